"""How much of a codebook is used."""

import pytest
import torch

from qdexp.evaluation.codebook_statistics import code_counts, codebook_usage, perplexity


def test_counts_are_over_all_tokens_whatever_their_grid() -> None:
    assert code_counts(torch.tensor([[0, 3], [3, 3]]), 5).tolist() == [1, 0, 0, 3, 0]


def test_usage_is_the_share_of_codes_chosen_at_least_once() -> None:
    assert codebook_usage(torch.tensor([1, 0, 0, 3])) == 0.5


@pytest.mark.parametrize("codes", [1, 7, 4096])
def test_an_even_distribution_has_as_much_perplexity_as_codes(codes: int) -> None:
    counts = torch.zeros(5000, dtype=torch.long)
    counts[:codes] = 3
    assert perplexity(counts) == pytest.approx(codes)


def test_perplexity_is_exp_of_the_entropy() -> None:
    # p = (1/2, 1/4, 1/4): the entropy is 1.5 bits.
    assert perplexity(torch.tensor([2.0, 1.0, 1.0])) == pytest.approx(2**1.5)


def test_perplexity_of_a_sum_is_not_the_mean_of_perplexities() -> None:
    first, second = torch.tensor([4, 0]), torch.tensor([0, 4])

    assert perplexity(first + second) == pytest.approx(2)
    assert (perplexity(first) + perplexity(second)) / 2 == pytest.approx(1)
