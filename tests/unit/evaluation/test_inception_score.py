"""The Inception Score against its formula."""

import math

import pytest
import torch

from qdexp.evaluation.inception_score import inception_score


def test_all_alike_score_one_whatever_the_labels() -> None:
    assert inception_score(torch.tensor([[0.2, 0.5, 0.3]]).repeat(7, 1)) == pytest.approx(1)
    assert inception_score(torch.full((4, 10), 0.1)) == pytest.approx(1)


@pytest.mark.parametrize("labels", [2, 10, 101])
def test_sure_and_evenly_spread_score_the_number_of_labels(labels: int) -> None:
    assert inception_score(torch.eye(labels).repeat(3, 1)) == pytest.approx(labels)


def test_known_probabilities_have_the_score_that_can_be_written_down() -> None:
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    # The mean is (0.65, 0.35).
    divergences = [
        0.9 * math.log(0.9 / 0.65) + 0.1 * math.log(0.1 / 0.35),
        0.4 * math.log(0.4 / 0.65) + 0.6 * math.log(0.6 / 0.35),
    ]
    assert inception_score(p) == pytest.approx(math.exp(sum(divergences) / 2))


def test_parts_are_scored_apart_and_averaged_and_what_fills_none_is_left_out() -> None:
    sure, alike = torch.eye(2), torch.full((2, 2), 0.5)
    odd = torch.tensor([[1.0, 0.0]])
    assert inception_score(torch.cat([sure, alike, odd]), splits=2) == pytest.approx((2 + 1) / 2)
    assert inception_score(torch.cat([sure, sure]), splits=4) == pytest.approx(1)


@pytest.mark.parametrize("splits", [1, 5, 10])
def test_random_probabilities_have_the_score_of_the_published_loop(splits: int) -> None:
    logits = torch.randn(200, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.softmax(dim=1)
    scores = []
    for i in range(splits):
        part = p[i * 200 // splits : (i + 1) * 200 // splits]
        kl = part * (part.log() - part.mean(dim=0, keepdim=True).log())
        scores.append(kl.sum(dim=1).mean().exp().item())

    assert inception_score(p, splits) == pytest.approx(sum(scores) / splits, rel=1e-12)


@pytest.mark.parametrize("bad", [[[2.0, 1.0]], [[1.5, -0.5]], [[float("nan"), 1.0]]])
def test_what_is_no_probability_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected probabilities"):
        inception_score(torch.tensor(bad))


@pytest.mark.parametrize("splits", [0, 4])
def test_more_parts_than_clips_are_refused(splits: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 to 3, the number of clips, found {splits}"):
        inception_score(torch.eye(3), splits)
