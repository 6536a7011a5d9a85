"""The code search, its memory, and how often codes are found."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.build import KINDS, build_quantizer
from qdexp.model.quantizers.code_search import SCORES_PER_BLOCK, code_statistics, nearest_codes

D = 4


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**31))
def test_the_nearest_code_is_the_one_at_the_least_distance(
    tokens: int, codes: int, dim: int, seed: int
) -> None:
    z, codebook = normal(tokens, dim, seed=seed).double(), 3 * normal(codes, dim, seed=~seed)
    distances = (z[:, None] - codebook.double()).square().sum(dim=2)
    found = nearest_codes(z, codebook.double())

    torch.testing.assert_close(distances.gather(1, found[:, None])[:, 0], distances.amin(dim=1))


def test_the_first_of_equal_codes_is_chosen() -> None:
    assert nearest_codes(torch.zeros(1, D), torch.ones(5, D)).tolist() == [0]


@pytest.mark.parametrize("scores_per_block", [1, 50, 350, 10**9])
def test_the_size_of_the_blocks_does_not_change_the_codes(scores_per_block: int) -> None:
    z, codebook = normal(333, D), normal(50, D, seed=1)

    chunked = nearest_codes(z, codebook, scores_per_block=scores_per_block)
    assert torch.equal(chunked, nearest_codes(z, codebook))


def test_statistics_are_those_of_a_one_hot_matrix() -> None:
    tokens, indices = normal(40, D), torch.arange(40) % 5
    one_hot = torch.nn.functional.one_hot(indices, 12).float()
    found = code_statistics(tokens, indices, 12)

    torch.testing.assert_close(found.counts[0], one_hot.sum(dim=0))
    torch.testing.assert_close(found.sums[0], one_hot.T @ tokens)


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had that was made meanwhile."""

    numel = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.numel = max(self.numel, made.numel())
        return made


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_tokens_times_codes(kind: str) -> None:
    tokens, codes = 2048, 8192
    quantizer = build_quantizer(
        ModelConfig.model_validate({"quantizer": kind, "num_embeddings": codes}), D
    )
    quantizer.initialise(lambda _, shape: normal(*shape, seed=1), 1.0)
    z = normal(tokens, D).requires_grad_()
    with LargestTensor() as largest:
        found = quantizer(z)
        (found.z_q.sum() + found.vq_loss).backward()
        quantizer.update(found.statistics, torch.arange(tokens))

    # LFQ keeps the distribution of half of the bits: tokens x sqrt(codes).
    assert largest.numel <= max(SCORES_PER_BLOCK["cpu"], tokens * 2**7)
    assert largest.numel < tokens * codes / 10


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_memory_of_the_search_on_a_gpu_is_that_of_its_blocks() -> None:
    tokens, codes, dim = 2**17, 2**14, 64
    z, codebook = normal(tokens, dim).cuda(), normal(codes, dim, seed=1).cuda()
    nearest_codes(z[:256], codebook)  # the libraries' own workspaces
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    found = nearest_codes(z, codebook)
    peak_bytes = torch.cuda.max_memory_allocated() - before

    block_bytes = 4 * SCORES_PER_BLOCK["cuda"]
    operand_bytes = 4 * (tokens + 2 * codes) * (dim + 1) + 2 * 8 * tokens
    assert peak_bytes <= 2 * block_bytes + operand_bytes
    assert peak_bytes < 4 * tokens * codes / 10
    expected = nearest_codes(z[:512].double().cpu(), codebook.double().cpu())
    assert (found[:512].cpu() == expected).float().mean() > 0.99
