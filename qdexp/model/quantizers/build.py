"""The configured quantizer."""

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.cosine import CosineQuantizer
from qdexp.model.quantizers.estimator import estimator
from qdexp.model.quantizers.fsq import FSQQuantizer
from qdexp.model.quantizers.gradient import GradientQuantizer
from qdexp.model.quantizers.lfq import LFQQuantizer
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.model.quantizers.passthrough import PassthroughQuantizer
from qdexp.model.quantizers.quantization import Quantizer
from qdexp.model.quantizers.residual import ResidualQuantizer
from qdexp.model.quantizers.simvq import SimVQQuantizer

KINDS = {
    "ema": MovingAverageQuantizer,
    "cosine": CosineQuantizer,
    "gradient": GradientQuantizer,
    "simvq": SimVQQuantizer,
    "fsq": FSQQuantizer,
    "lfq": LFQQuantizer,
}
"""The class of every kind of `model.quantizer` that has codes."""


def build_quantizer(config: ModelConfig, dim: int) -> Quantizer:
    """Returns the quantizer of tokens with `dim` dimensions."""
    if config.quantizer == "none":
        return PassthroughQuantizer(config)
    kind = KINDS[config.quantizer]
    if config.codes_per_token == 1:
        return kind(config, dim)
    layers = [kind(config, dim) for _ in range(config.codes_per_token)]
    return ResidualQuantizer(layers, estimator(config.gradient_estimator))
