"""The codebook: its search, its gradients, and its two-phase update."""

import math

import pytest
import torch
from torch import Tensor

from qdexp.config.configuration import ModelConfig
from qdexp.model.vector_quantizer import (
    EPSILON,
    CodeStatistics,
    VectorQuantizer,
    code_statistics,
    nearest_codes,
)

K, D, TOKENS = 12, 4, 40


def quantizer(*, decay: float = 0.9, threshold: float = 0.0, codes: int = K) -> VectorQuantizer:
    made = VectorQuantizer(
        ModelConfig(
            num_embeddings=codes, embedding_dim=D, ema_decay=decay, dead_code_threshold=threshold
        )
    )
    made.set_codebook(normal(codes, D, seed=1), cluster_size=1.0)
    return made


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def order(count: int = TOKENS, seed: int = 0) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def statistics(tokens: Tensor, indices: Tensor, codes: int = K) -> CodeStatistics:
    return code_statistics(tokens, indices, codes)


def test_the_nearest_code_is_the_one_at_the_least_distance() -> None:
    z, codebook = normal(200, D), 3 * normal(50, D, seed=1)

    assert torch.equal(nearest_codes(z, codebook), torch.cdist(z, codebook).argmin(dim=1))


def test_the_first_of_equal_codes_is_chosen() -> None:
    assert nearest_codes(torch.zeros(1, D), torch.ones(5, D)).tolist() == [0]


@pytest.mark.parametrize("scores_per_block", [1, 50, 350, 10**9])
def test_the_size_of_the_blocks_does_not_change_the_codes(scores_per_block: int) -> None:
    z, codebook = normal(333, D), normal(50, D, seed=1)

    chunked = nearest_codes(z, codebook, scores_per_block=scores_per_block)
    assert torch.equal(chunked, nearest_codes(z, codebook))


def test_statistics_are_those_of_a_one_hot_matrix() -> None:
    tokens, indices = normal(TOKENS, D), torch.arange(TOKENS) % 5
    one_hot = torch.nn.functional.one_hot(indices, K).float()
    found = statistics(tokens, indices)

    torch.testing.assert_close(found.counts, one_hot.sum(dim=0))
    torch.testing.assert_close(found.sums, one_hot.T @ tokens)


def test_the_output_is_the_code_exactly_and_keeps_the_tokens_grid() -> None:
    vq, z = quantizer(), normal(2, 3, 2, 2, D)
    found = vq(z)

    assert found.indices.shape == (2, 3, 2, 2)
    assert torch.equal(found.z_q, vq.codebook[found.indices])


def test_the_commitment_gradient_has_its_closed_form() -> None:
    vq, z = quantizer(), normal(TOKENS, D).requires_grad_()
    found = vq(z)
    found.vq_loss.backward()

    expected = 2 * vq.commitment_cost * (z - found.z_q).detach() / z.numel()
    torch.testing.assert_close(z.grad, expected)


def test_the_gradient_passes_straight_through() -> None:
    vq, z, weights = quantizer(), normal(TOKENS, D).requires_grad_(), normal(TOKENS, D, seed=2)
    (vq(z).z_q * weights).sum().backward()

    assert z.grad is not None
    assert torch.equal(z.grad, weights)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_forward_never_moves_the_codebook(mode: str) -> None:
    vq = quantizer(threshold=0.5).train(mode == "train")
    before = {name: buffer.clone() for name, buffer in vq.named_buffers()}
    vq(normal(TOKENS, D))
    with torch.no_grad():
        vq(normal(TOKENS, D))

    assert all(torch.equal(buffer, before[name]) for name, buffer in vq.named_buffers())


def test_an_update_is_one_step_of_the_moving_averages_with_laplace_smoothing() -> None:
    vq, tokens = quantizer(decay=0.9), normal(TOKENS, D)
    old = vq.codebook.clone()
    seen = vq(tokens).statistics
    vq.update(seen, order())

    size = 0.9 * torch.ones(K) + 0.1 * seen.counts
    sums = 0.9 * old + 0.1 * seen.sums
    smoothed = (size + EPSILON) / (size.sum() + K * EPSILON) * size.sum()
    torch.testing.assert_close(vq.cluster_size, size)
    torch.testing.assert_close(vq.codebook, sums / smoothed[:, None])


def test_statistics_of_micro_batches_add_up_to_those_of_the_batch() -> None:
    whole, parts = quantizer(threshold=0.5), quantizer(threshold=0.5)
    tokens = normal(TOKENS, D)
    added = [parts(part).statistics for part in tokens.split(10)]
    whole.update(whole(tokens).statistics, order())
    parts.update(added[0] + added[1] + added[2] + added[3], order())

    torch.testing.assert_close(parts.codebook, whole.codebook)
    torch.testing.assert_close(parts.cluster_size, whole.cluster_size)


def test_a_dead_code_becomes_a_token_and_lives_on_after_the_next_step() -> None:
    vq = quantizer(decay=0.5, threshold=0.3)
    vq.cluster_size[7] = 0.0
    tokens, first = normal(TOKENS, D), order()[0]
    elsewhere = statistics(tokens, torch.zeros(TOKENS, dtype=torch.long))
    vq.cluster_size[:7] = vq.cluster_size[8:] = 100.0
    vq.update(elsewhere, order())
    uniform_size = TOKENS / K

    assert vq.cluster_size[7].item() == pytest.approx(uniform_size)
    torch.testing.assert_close(vq.code_sums[7], tokens[first] * uniform_size)
    torch.testing.assert_close(vq.codebook[7], tokens[first], rtol=1e-4, atol=1e-4)
    vq.update(elsewhere, order(seed=9))
    torch.testing.assert_close(vq.codebook[7], tokens[first], rtol=1e-4, atol=1e-4)


def test_dead_codes_become_different_tokens_and_those_too_many_wait() -> None:
    vq = quantizer(threshold=0.3, codes=TOKENS + 5)
    vq.cluster_size.zero_()
    codes = len(vq.codebook)
    nothing = CodeStatistics(
        counts=torch.zeros(codes), sums=torch.zeros(codes, D), tokens=normal(TOKENS, D)
    )
    vq.update(nothing, order())

    assert len(vq.codebook[:TOKENS].unique(dim=0)) == TOKENS
    assert (vq.cluster_size[:TOKENS] > 0).all()
    assert (vq.cluster_size[TOKENS:] == 0).all()


@pytest.mark.parametrize("codes", [8, 32])
def test_a_code_that_is_never_used_dies_at_the_same_step_whatever_the_codebook_s_size(
    codes: int,
) -> None:
    vq = quantizer(decay=0.9, threshold=0.3, codes=codes)
    vq.set_codebook(normal(codes, D), cluster_size=TOKENS / codes)
    before = vq.codebook[-1].clone()
    elsewhere = statistics(normal(TOKENS, D), torch.zeros(TOKENS, dtype=torch.long), codes)
    lives = 0
    while torch.allclose(vq.codebook[-1], before, rtol=1e-3, atol=1e-3):
        vq.update(elsewhere, order(seed=lives))
        lives += 1
    assert lives == math.ceil(math.log(0.3) / math.log(0.9))


def test_a_threshold_of_zero_replaces_nothing() -> None:
    vq = quantizer(threshold=0.0)
    vq.cluster_size[7] = 0.0
    vq.update(statistics(normal(TOKENS, D), torch.zeros(TOKENS, dtype=torch.long)), order())

    assert vq.cluster_size[7] == 0


def test_the_threshold_is_a_share_of_what_a_uniform_code_would_get() -> None:
    for codes in (8, 16):
        vq = quantizer(decay=0.0, threshold=0.9, codes=codes)
        evenly = statistics(normal(64, D), torch.arange(64) % codes, codes)
        vq.update(evenly, order(64))
        alive = vq.codebook.clone()
        torch.testing.assert_close(vq.code_sums, evenly.sums)

        vq.update(statistics(normal(64, D), torch.arange(64) % (codes // 2), codes), order(64))
        assert not torch.allclose(vq.codebook[codes // 2 :], alive[codes // 2 :])


def test_a_smaller_codebook_draws_the_beginning_of_a_larger_ones_replacements() -> None:
    tokens = normal(TOKENS, D)
    small, large = quantizer(threshold=0.3, codes=6), quantizer(threshold=0.3, codes=K)
    for vq in (small, large):
        vq.cluster_size.zero_()
        codes = len(vq.codebook)
        nothing = CodeStatistics(
            counts=torch.zeros(codes), sums=torch.zeros(codes, D), tokens=tokens
        )
        vq.update(nothing, order())

    torch.testing.assert_close(small.codebook, large.codebook[:6], rtol=1e-4, atol=1e-5)


def test_the_codebook_is_float32_under_a_narrower_model() -> None:
    vq = quantizer()
    found = vq(normal(TOKENS, D).bfloat16())

    assert found.z_q.dtype == torch.bfloat16
    assert found.vq_loss.dtype == found.statistics.sums.dtype == torch.float32
