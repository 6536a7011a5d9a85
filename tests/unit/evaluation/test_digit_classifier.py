"""The classifier of moving digits: how often it is right on digits that it never saw."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from qdexp.config.data_config import DataConfig
from qdexp.data.moving_digits import make_clips
from qdexp.data.pca3d import Pca3d
from qdexp.evaluation import digit_classifier as module
from qdexp.evaluation.digit_classifier import DigitClassifier, digit_classifier, shown
from qdexp.evaluation.inception_score import inception_score

DATA = DataConfig()
HELD_OUT = 300


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    return digit_classifier(DATA)


def held_out_clips(numbers: range) -> tuple[Tensor, Tensor]:
    clips = make_clips(DATA, "held_out", numbers)
    return torch.from_numpy(clips.frames).float() / 255, torch.from_numpy(clips.labels)


@pytest.fixture(scope="module")
def held_out() -> tuple[Tensor, Tensor]:
    return held_out_clips(range(HELD_OUT))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def share_right(p: Tensor, target: Tensor, *, of: int) -> float:
    """Returns how often the most probable digits are those shown, among clips that show `of`."""
    chosen = (target > 0).sum(dim=1) == of
    best = p[chosen].topk(of).indices
    return (target[chosen].gather(1, best) > 0).all(dim=1).double().mean().item()


@pytest.mark.slow
def test_digits_that_were_never_seen_are_told(classifier: DigitClassifier) -> None:
    # Of so many clips, since its weights depend on the processor: a share of 300 is 2 % vague.
    told: list[Tensor] = []
    shown_there: list[Tensor] = []
    for first in range(0, 2400, HELD_OUT):
        frames, labels = held_out_clips(range(first, first + HELD_OUT))
        told.append(classifier.probabilities(frames))
        shown_there.append(shown(labels))
    p, target = torch.cat(told), torch.cat(shown_there)

    assert p.shape == (2400, 10)
    assert share_right(p, target, of=1) > 0.97
    assert share_right(p, target, of=2) > 0.75
    assert inception_score(p) > 3.5


@pytest.mark.slow
def test_digits_are_told_after_the_autoencoder_too(
    classifier: DigitClassifier, held_out: tuple[Tensor, Tensor]
) -> None:
    frames, labels = held_out
    fitted = make_clips(DATA, "train", range(64)).frames
    autoencoder = Pca3d.fit(torch.from_numpy(fitted))
    decoded = torch.cat([autoencoder.decode(autoencoder.encode(part)) for part in frames.split(20)])

    assert share_right(classifier.probabilities(decoded), shown(labels), of=1) > 0.95


@pytest.mark.slow
def test_noise_is_scored_far_below_real_clips(
    classifier: DigitClassifier, held_out: tuple[Tensor, Tensor]
) -> None:
    real = classifier.probabilities(held_out[0][:200])
    noise = torch.rand(200, 3, 17, 64, 64, generator=torch.Generator().manual_seed(0))
    assert inception_score(classifier.probabilities(noise)) < 1.2 < 3 < inception_score(real)


def test_a_label_is_even_over_the_digits_that_are_shown() -> None:
    expected = torch.zeros(3, 10)
    expected[0, 7] = 1
    expected[1, [0, 9]] = 0.5
    expected[2, 4] = 1
    assert torch.equal(shown(torch.tensor([[7, -1, -1], [0, 9, -1], [4, 4, -1]])), expected)


def test_it_is_the_same_network_again_and_leaves_everything_else_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NUM_IMAGES", 200)
    monkeypatch.setattr(module, "EPOCHS", 1)
    module._trained.cache_clear()
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    with torch.no_grad():
        first = digit_classifier(DATA)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2
    torch.rand(5)
    assert digit_classifier(DATA) is first
    module._trained.cache_clear()
    torch.set_num_threads(1)
    second = digit_classifier(DATA)
    module._trained.cache_clear()

    assert not first.training
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
