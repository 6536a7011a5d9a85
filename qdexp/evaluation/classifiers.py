"""What labels clips, so that sets of clips have an inception score.

Axes: n clips, f frames, h rows, w columns, k labels.
"""

# pyright: basic

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.errors import ConfigurationError
from qdexp.evaluation.backbones import NetworkFeatures
from qdexp.evaluation.digit_classifier import digit_classifier
from qdexp.evaluation.inception_score import check_probabilities
from qdexp.evaluation.torchscript_file import open_network

Clips = Float[Tensor, "n 3 f h w"]
Classifier = Callable[[Clips], Float[Tensor, "n k"]]
"""From clips in 0..1 to the probability of each label."""

C3D_FRAMES = 16
"""Frames that C3D takes: the first ones of a clip."""

_FIELD = "evaluation.classifier"


def open_classifier(config: Configuration, device: torch.device) -> Classifier:
    """Returns the classifier of a configuration, whose file is given if it needs one.

    Raises:
        ConfigurationError: The file is not there, or another one, or clips are too short for it.
    """
    evaluation = config.evaluation
    if evaluation.classifier == "digits":
        return digit_classifier(config.data).probabilities
    assert evaluation.classifier_path is not None
    assert evaluation.classifier_sha256 is not None
    if evaluation.classifier == "c3d" and config.data.num_frames < C3D_FRAMES:
        raise ConfigurationError(
            f"{_FIELD}: expected clips of at least {C3D_FRAMES} frames for c3d, found "
            f"data.num_frames {config.data.num_frames}"
        )
    path = Path(evaluation.classifier_path)
    network = open_network(_FIELD, path, evaluation.classifier_sha256, device)
    is_c3d = evaluation.classifier == "c3d"
    # Without the output's bias, as the original score was computed.
    options = {} if is_c3d else {"no_output_bias": True}
    labels = NetworkFeatures(field=_FIELD, network=network, options=options, device=device)

    def probabilities(clips: Clips) -> Float[Tensor, "n k"]:
        seen = clips[:, :, :C3D_FRAMES] if is_c3d else clips[:, :, clips.shape[2] // 2]
        found = labels([seen])
        try:
            check_probabilities(found)
        except ValueError as error:
            raise ConfigurationError(f"{_FIELD}: {error}: end the network with a softmax") from None
        return found

    return probabilities
