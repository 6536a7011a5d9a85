"""A script: compiles the blocks of each kind as one graph, and prints how far outputs move.

It runs apart from the tests, whose checks of annotations would break the graphs.
"""

import itertools
import json
from collections.abc import Callable

import torch

from qdexp.config.model_config import ModelConfig
from qdexp.model.predictor import QuantizedDiffusionPredictor

CHOICES = {
    "attention": ("full", "factorised"),
    "positions": ("learned", "rope"),
    "conditioning": ("adaln_zero", "additive"),
}


def network(**choices: object) -> QuantizedDiffusionPredictor:
    """Returns a small network with random weights."""
    config = ModelConfig.model_validate(
        {"hidden_dim": 32, "num_layers": 2, "num_heads": 2, "embedding_dim": 8, "dropout": 0.0}
        | {"num_embeddings": 16, "patch_size": (1, 1, 1)}
        | choices
    )
    generator = torch.Generator().manual_seed(0)
    model = QuantizedDiffusionPredictor(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def results(model: QuantizedDiffusionPredictor) -> list[torch.Tensor]:
    """Returns features and gradients for clips of two sizes, then features without gradients."""
    found: list[torch.Tensor] = []
    t = torch.tensor([10, 900])
    for size in ((2, 3, 4), (1, 4, 2)):
        x_t = torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(1))
        model.zero_grad()
        z = model.features(x_t, t)
        z.square().mean().backward()
        gradients = [p.grad for p in model.blocks.parameters() if p.grad is not None]
        with torch.no_grad():
            again = model.features(x_t, t)
        found += [z.detach(), *(gradient.clone() for gradient in gradients), again]
    return found


def difference(
    model: QuantizedDiffusionPredictor, compile_: Callable[[QuantizedDiffusionPredictor], None]
) -> float:
    """Returns how far results are from those without compiling."""
    plain = results(model)
    compile_(model)
    pairs = zip(plain, results(model), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def as_graphs(model: QuantizedDiffusionPredictor) -> None:
    """Compiles the blocks as the network does, without making machine code."""
    torch.compiler.reset()
    for block in model.blocks:
        block.compile(fullgraph=True, backend="aot_eager")


def main() -> None:
    """Prints the differences as JSON, by kind."""
    torch.set_num_threads(1)
    checkpointed = network()
    checkpointed.checkpoint_activations = True
    found = {
        "default": difference(network(), QuantizedDiffusionPredictor.compile_blocks),
        "checkpointed": difference(checkpointed, QuantizedDiffusionPredictor.compile_blocks),
    }
    for values in itertools.product(*CHOICES.values()):
        choices = dict(zip(CHOICES, values, strict=True))
        found[", ".join(values)] = difference(network(**choices), as_graphs)
    print(json.dumps(found))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
