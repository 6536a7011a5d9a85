"""Small predictors with values of their own in every parameter and code."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from qdexp.config.model_config import ModelConfig
from qdexp.model.predictor import QuantizedDiffusionPredictor

SMALL: dict[str, Any] = {
    "num_embeddings": 32,
    "embedding_dim": 8,
    "hidden_dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "dropout": 0.0,
    "max_frames": 3,
    "max_grid": 4,
    "patch_size": (1, 2, 2),
}

MakePredictor = Callable[..., QuantizedDiffusionPredictor]


@pytest.fixture(scope="session")
def make_predictor() -> MakePredictor:
    """Builds a small predictor, its section of the configuration changed in some fields."""

    def make(**changes: object) -> QuantizedDiffusionPredictor:
        model = QuantizedDiffusionPredictor(ModelConfig.model_validate(SMALL | changes))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        model.quantizer.initialise(lambda _, shape: torch.randn(shape, generator=generator), 1.0)
        return model

    return make
