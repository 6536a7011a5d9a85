"""The codebooks of moving averages: their update, once for each optimizer step."""

import math

import pytest
import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.code_search import code_statistics
from qdexp.model.quantizers.cosine import CosineQuantizer
from qdexp.model.quantizers.moving_average import EPSILON, MovingAverageQuantizer
from qdexp.model.quantizers.quantization import CodeStatistics

K, D, TOKENS = 12, 4, 40


def config(*, decay: float = 0.9, threshold: float = 0.0, codes: int = K) -> ModelConfig:
    return ModelConfig(num_embeddings=codes, ema_decay=decay, dead_code_threshold=threshold)


def quantizer(
    *, decay: float = 0.9, threshold: float = 0.0, codes: int = K
) -> MovingAverageQuantizer:
    made = MovingAverageQuantizer(config(decay=decay, threshold=threshold, codes=codes), D)
    made.set_codebook(normal(codes, D, seed=1), cluster_size=1.0)
    return made


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def order(count: int = TOKENS, seed: int = 0) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def statistics(tokens: Tensor, indices: Tensor, codes: int = K) -> CodeStatistics:
    return code_statistics(tokens, indices, codes)


def all_in_the_first(tokens: Tensor, codes: int = K) -> CodeStatistics:
    return statistics(tokens, torch.zeros(len(tokens), dtype=torch.long), codes)


def test_an_update_is_one_step_of_the_moving_averages_with_laplace_smoothing() -> None:
    vq, tokens = quantizer(decay=0.9), normal(TOKENS, D)
    old = vq.codebook.clone()
    seen = vq(tokens).statistics
    vq.update(seen, order())

    size = 0.9 * torch.ones(K) + 0.1 * seen.counts[0]
    sums = 0.9 * old + 0.1 * seen.sums[0]
    smoothed = (size + EPSILON) / (size.sum() + K * EPSILON) * size.sum()
    torch.testing.assert_close(vq.cluster_size, size)
    torch.testing.assert_close(vq.codebook, sums / smoothed[:, None])


def test_a_dead_code_becomes_a_token_and_lives_on_after_the_next_step() -> None:
    vq = quantizer(decay=0.5, threshold=0.3)
    vq.cluster_size[7] = 0.0
    tokens, first = normal(TOKENS, D), order()[0]
    vq.cluster_size[:7] = vq.cluster_size[8:] = 100.0
    vq.update(all_in_the_first(tokens), order())
    uniform_size = TOKENS / K

    assert vq.cluster_size[7].item() == pytest.approx(uniform_size)
    torch.testing.assert_close(vq.code_sums[7], tokens[first] * uniform_size)
    torch.testing.assert_close(vq.codebook[7], tokens[first], rtol=1e-4, atol=1e-4)
    vq.update(all_in_the_first(tokens), order(seed=9))
    torch.testing.assert_close(vq.codebook[7], tokens[first], rtol=1e-4, atol=1e-4)


def test_dead_codes_become_different_tokens_and_those_too_many_wait() -> None:
    vq = quantizer(decay=0.0, threshold=0.3, codes=TOKENS + 6)
    vq.update(all_in_the_first(normal(TOKENS, D), TOKENS + 6), order())

    assert len(vq.codebook[1 : TOKENS + 1].unique(dim=0)) == TOKENS
    assert (vq.cluster_size[: TOKENS + 1] > 0).all()
    assert (vq.cluster_size[TOKENS + 1 :] == 0).all()


@pytest.mark.parametrize("codes", [8, 32])
def test_a_code_that_is_never_used_dies_at_the_same_step_whatever_the_codebook_s_size(
    codes: int,
) -> None:
    vq = quantizer(decay=0.9, threshold=0.3, codes=codes)
    vq.set_codebook(normal(codes, D), cluster_size=TOKENS / codes)
    before = vq.codebook[-1].clone()
    lives = 0
    while torch.allclose(vq.codebook[-1], before, rtol=1e-3, atol=1e-3):
        vq.update(all_in_the_first(normal(TOKENS, D), codes), order(seed=lives))
        lives += 1
    assert lives == math.ceil(math.log(0.3) / math.log(0.9))


def test_a_threshold_of_zero_replaces_nothing() -> None:
    vq = quantizer(threshold=0.0)
    vq.cluster_size[7] = 0.0
    vq.update(all_in_the_first(normal(TOKENS, D)), order())

    assert vq.cluster_size[7] == 0


def test_the_threshold_is_a_share_of_what_a_uniform_code_would_get() -> None:
    for codes in (8, 16):
        vq = quantizer(decay=0.0, threshold=0.9, codes=codes)
        evenly = statistics(normal(64, D), torch.arange(64) % codes, codes)
        vq.update(evenly, order(64))
        alive = vq.codebook.clone()
        torch.testing.assert_close(vq.code_sums, evenly.sums[0])

        vq.update(statistics(normal(64, D), torch.arange(64) % (codes // 2), codes), order(64))
        assert not torch.allclose(vq.codebook[codes // 2 :], alive[codes // 2 :])


def test_only_the_candidates_for_replacement_are_needed_of_all_tokens() -> None:
    """As several processes send them: the uniform size comes from the counts."""
    whole, sent = quantizer(threshold=0.5), quantizer(threshold=0.5)
    everything = whole(normal(TOKENS, D)).statistics
    candidates = CodeStatistics(
        counts=everything.counts, sums=everything.sums, tokens=everything.tokens[:, order()[:K]]
    )
    whole.update(everything, order())
    sent.update(candidates, torch.arange(K))

    assert torch.equal(sent.codebook, whole.codebook)
    assert torch.equal(sent.cluster_size, whole.cluster_size)


def test_a_smaller_codebook_draws_the_beginning_of_a_larger_ones_replacements() -> None:
    tokens = normal(TOKENS, D)
    small, large = (quantizer(decay=0.0, threshold=0.3, codes=codes) for codes in (6, K))
    for vq in (small, large):
        vq.update(all_in_the_first(tokens, len(vq.codebook)), order())

    torch.testing.assert_close(small.codebook, large.codebook[:6], rtol=1e-4, atol=1e-5)


def test_a_moving_average_of_a_narrow_model_still_moves() -> None:
    """In bfloat16 a step of 0.001 towards a token would be rounded away."""
    vq = quantizer(decay=0.999)
    before = vq.codebook.clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = vq(normal(TOKENS, D).bfloat16())
        vq.update(found.statistics, order())
    used = found.statistics.counts[0] > 0

    assert {buffer.dtype for buffer in vq.buffers()} == {torch.float32}
    assert ((vq.codebook != before).any(dim=1) == used)[used].all()


def test_cosine_codes_are_directions() -> None:
    vq = CosineQuantizer(config(threshold=0.3), D)
    vq.initialise(lambda _, shape: 5 * normal(*shape), 1.0)
    for step in range(5):
        found = vq(7 * normal(TOKENS, D, seed=step) + 1)
        vq.update(found.statistics, order(seed=step))
        torch.testing.assert_close(vq.codebook.norm(dim=1), torch.ones(K))


def test_cosine_codes_do_not_depend_on_the_tokens_length() -> None:
    vq = CosineQuantizer(config(), D)
    vq.initialise(lambda _, shape: normal(*shape, seed=1), 1.0)
    near, far = vq(normal(TOKENS, D)), vq(100 * normal(TOKENS, D))

    assert torch.equal(near.indices, far.indices)
    torch.testing.assert_close(near.z_q.norm(dim=1), torch.full((TOKENS,), math.sqrt(D)))


def test_a_cosine_code_without_tokens_keeps_its_direction_when_nothing_is_remembered() -> None:
    vq = CosineQuantizer(config(decay=0.0), D)
    vq.initialise(lambda _, shape: normal(*shape, seed=1), 1.0)
    before = vq.codebook.clone()
    vq.update(all_in_the_first(normal(TOKENS, D)), order())

    assert torch.equal(vq.codebook[1:], before[1:])
