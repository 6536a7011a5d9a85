"""What can be sampled, and what the refusal of the rest says."""

import pytest

from qdexp.cli.sample_options import Asked, cautions, resolved
from qdexp.config.configuration import Configuration
from qdexp.config.presets import preset
from qdexp.errors import RequestError

TINY = preset("tiny")
DMD = {"training.objective": "dmd", "diffusion.sampling_steps": 4}
PATCHED = {"model.patch_size": [2, 2, 4], "model.max_frames": 3, "data.num_frames": 5}


def config(**changes: object) -> Configuration:
    fitting = {"evaluation.codebook_tokens": 100} if "model.patch_size" in changes else {}
    return TINY.replace(fitting | changes)


def test_what_is_not_asked_is_as_it_was_trained() -> None:
    options = resolved(Asked(), TINY)
    assert options.to_plain() == {
        "num_frames": 17, "height": 64, "width": 64, "steps": 50, "eta": 0.0, "seed": 0, "batch": 4,
    }  # fmt: skip
    assert options.latent_size == (5, 8, 8)
    assert not list(cautions(options, TINY))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(num_frames=16), "--num-frames: .*found 16; the nearest are 13 and 17"),
        (Asked(num_frames=0), "found 0; the nearest is 1"),
        (Asked(num_frames=999), "up to 253, .*; the nearest is 253"),
        (Asked(height=60), "--height: .*found 60; the nearest are 56 and 64"),
        (Asked(width=2000), "--width: .*up to 512, .*; the nearest is 512"),
        (Asked(steps=962), "--steps: expected at most 961, .*20 to 980.* found 962"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(asked: Asked, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        resolved(asked, TINY)


@pytest.mark.parametrize("frames", [5, 13, 21])
def test_patches_of_two_latent_frames_allow_every_other_length(frames: int) -> None:
    patched = config(**PATCHED | {"data.width": 96})
    assert resolved(Asked(num_frames=frames, width=128), patched).num_frames == frames


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        (Asked(num_frames=9), "5 and 13"),
        (Asked(num_frames=29), "21"),
        (Asked(width=80), "64 and 96"),
        (Asked(height=72), "64 and 80"),
    ],
)
def test_patches_decide_what_is_near(asked: Asked, nearest: str) -> None:
    with pytest.raises(RequestError, match=f"{nearest}$"):
        resolved(asked, config(**PATCHED | {"data.width": 96}))


def test_a_model_of_one_size_says_that_it_is_all() -> None:
    few = {"model.max_frames": 1, "data.num_frames": 1, "evaluation.codebook_tokens": 100}
    still = config(**few)
    with pytest.raises(RequestError, match="expected 1, all that this model can do, found 5"):
        resolved(Asked(num_frames=5), still)


def test_other_steps_than_a_students_own_are_cautioned() -> None:
    student = config(**DMD)
    assert not list(cautions(resolved(Asked(), student), student))
    (caution,) = cautions(resolved(Asked(steps=8), student), student)
    assert "made for 4 steps; with 8" in caution
    assert not list(cautions(resolved(Asked(steps=8), TINY), TINY))


def test_a_student_has_no_eta() -> None:
    assert resolved(Asked(eta=0.0), config(**DMD)).eta == 0.0
    with pytest.raises(RequestError, match="--eta: expected none for a distilled student"):
        resolved(Asked(eta=0.5), config(**DMD))
    assert resolved(Asked(), config(**{"diffusion.sampling_eta": 0.3})).eta == 0.3
    assert resolved(Asked(eta=1.0), TINY).eta == 1.0


@pytest.mark.parametrize(("positions", "words"), [("learned", "as they were"), ("rope", "rotary")])
def test_more_than_was_trained_is_cautioned(positions: str, words: str) -> None:
    trained = config(**{"model.positions": positions})
    (caution,) = cautions(resolved(Asked(num_frames=21, height=32), trained), trained)
    assert "trained on 17 frames of 64 x 64, sampling 21 of 32 x 64" in caution
    assert words in caution
