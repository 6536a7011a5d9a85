"""A script: compiles the blocks of each kind as one graph, and prints how far outputs move.

It runs apart from the tests, whose checks of annotations would break the graphs.
"""

import itertools
import json

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


def difference(model: QuantizedDiffusionPredictor, backend: str) -> float:
    """Returns how far features and gradients are from those without compiling."""
    x_t = torch.randn(2, 16, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    results: list[list[torch.Tensor]] = []
    for is_compiled in (False, True):
        if is_compiled:
            torch.compiler.reset()
            for block in model.blocks:
                block.compile(fullgraph=True, backend=backend)
        model.zero_grad()
        z = model.features(x_t, torch.tensor([10, 900]))
        z.square().mean().backward()
        gradients = [p.grad for p in model.blocks.parameters() if p.grad is not None]
        results.append([z.detach(), *(gradient.clone() for gradient in gradients)])
    pairs = zip(*results, strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def main() -> None:
    """Prints the differences as JSON, by kind."""
    torch.set_num_threads(1)
    found = {"default, inductor": difference(network(), "inductor")}
    for values in itertools.product(*CHOICES.values()):
        choices = dict(zip(CHOICES, values, strict=True))
        found[", ".join(values)] = difference(network(**choices), "aot_eager")
    print(json.dumps(found))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
