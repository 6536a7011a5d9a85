"""How much of a codebook is used."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdexp.evaluation.codebook_statistics import (
    code_counts,
    codebook_usage,
    counts_by_bucket,
    entropy,
    perplexity,
)


def test_counts_are_over_all_tokens_whatever_their_grid() -> None:
    indices = torch.tensor([[0, 3], [3, 3]])[:, :, None]
    assert code_counts(indices, 5).tolist() == [[1, 0, 0, 3, 0]]


def test_each_codebook_of_a_token_is_counted_apart() -> None:
    indices = torch.tensor([[0, 2], [1, 2], [0, 0]])
    assert code_counts(indices, 3).tolist() == [[2, 1, 0], [1, 0, 2]]


def test_no_codebook_has_no_counts() -> None:
    assert code_counts(torch.zeros(4, 6, 0, dtype=torch.long), 3).shape == (0, 3)


@pytest.mark.parametrize("wrong", [3, 7])
def test_an_index_that_is_no_code_is_refused(wrong: int) -> None:
    with pytest.raises(IndexError):
        code_counts(torch.tensor([[wrong, 0]]), 3)


def test_counts_by_bucket_keep_buckets_apart() -> None:
    indices = torch.tensor([[0, 1], [1, 1], [0, 0]])
    counts = counts_by_bucket(indices, torch.tensor([2, 0, 2]), 3, 2)

    assert counts[0].tolist() == [[0, 1], [0, 1]]
    assert counts[1].tolist() == [[0, 0], [0, 0]]
    assert counts[2].tolist() == [[2, 0], [1, 1]]


def test_a_bucket_that_there_is_not_is_refused() -> None:
    with pytest.raises(IndexError):
        counts_by_bucket(torch.tensor([[0]]), torch.tensor([2]), 2, 4)


@given(seed=st.integers(0, 10_000), buckets=st.integers(1, 5), q=st.integers(1, 3))
def test_counts_by_bucket_add_up_to_all_counts(seed: int, buckets: int, q: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(0, 7, (4, 6, q), generator=generator)
    bucket = torch.randint(0, buckets, (4, 6), generator=generator)
    counts = counts_by_bucket(indices, bucket, buckets, 7)

    assert torch.equal(counts.sum(dim=0), code_counts(indices, 7))
    for each in range(buckets):
        assert torch.equal(counts[each], code_counts(indices[bucket == each], 7))


def test_usage_is_the_share_of_codes_chosen_at_least_once() -> None:
    assert codebook_usage(torch.tensor([[1, 0, 0, 3]])) == 0.5
    assert codebook_usage(torch.tensor([[1, 0, 0, 3], [4, 0, 0, 0]])) == 3 / 8


@pytest.mark.parametrize("codes", [1, 7, 4096])
def test_an_even_distribution_has_as_much_perplexity_as_codes(codes: int) -> None:
    counts = torch.zeros(1, 5000, dtype=torch.long)
    counts[:, :codes] = 3
    assert perplexity(counts) == pytest.approx(codes)


def test_entropy_is_in_nats() -> None:
    # p = (1/2, 1/4, 1/4): the entropy is 1.5 bits.
    assert entropy(torch.tensor([[2.0, 1.0, 1.0]])) == pytest.approx(1.5 * math.log(2))


def test_perplexity_is_exp_of_the_mean_entropy_over_codebooks() -> None:
    counts = torch.tensor([[2.0, 1.0, 1.0], [5.0, 0.0, 0.0]])
    assert entropy(counts) == pytest.approx(0.75 * math.log(2))
    assert perplexity(counts) == pytest.approx(2**0.75)


def test_a_codebook_counts_the_same_however_many_tokens_it_has() -> None:
    counts = torch.tensor([[2, 2], [1, 3]])
    assert entropy(counts * torch.tensor([[10], [1]])) == pytest.approx(entropy(counts))


def test_perplexity_of_a_sum_is_not_the_mean_of_perplexities() -> None:
    first, second = torch.tensor([[4, 0]]), torch.tensor([[0, 4]])

    assert perplexity(first + second) == pytest.approx(2)
    assert (perplexity(first) + perplexity(second)) / 2 == pytest.approx(1)


@pytest.mark.parametrize("counts", [torch.zeros(0, 4), torch.tensor([[1.0, 0.0], [0.0, 0.0]])])
def test_a_codebook_without_tokens_is_refused(counts: torch.Tensor) -> None:
    for measure in (codebook_usage, entropy, perplexity):
        with pytest.raises(ValueError, match="expected tokens counted"):
            measure(counts)
