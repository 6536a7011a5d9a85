"""Moving digits are a function of seed, split and index, and no image is on both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.data_config import DataConfig
from qdexp.data import moving_digits
from qdexp.data.moving_digits import MOST_DIGITS, NO_DIGIT, SPLITS, bounces, digits, make_clips
from qdexp.errors import DataError

SMALL = DataConfig(num_frames=9, height=32, width=48)


def test_the_same_clip_is_made_twice() -> None:
    first, again = (make_clips(SMALL, "train", range(3)) for _ in range(2))

    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)


@pytest.mark.parametrize("indices", [range(2), range(1, 4), range(4, 5)])
def test_a_clip_does_not_depend_on_which_others_are_asked_for(indices: range) -> None:
    whole = make_clips(SMALL, "held_out", range(6))
    part = make_clips(SMALL, "held_out", indices)

    np.testing.assert_array_equal(part.frames, whole.frames[indices.start : indices.stop])
    np.testing.assert_array_equal(part.labels, whole.labels[indices.start : indices.stop])


def test_seed_split_and_index_each_give_another_clip() -> None:
    reseeded = SMALL.model_copy(update={"seed": 1})
    clips = [
        make_clips(config, split, range(3)).frames[i].tobytes()
        for config in (SMALL, reseeded)
        for split in SPLITS
        for i in range(3)
    ]

    assert len(set(clips)) == 12


def test_a_seed_wider_than_a_word_is_not_cut() -> None:
    wide, narrow = (
        make_clips(SMALL.model_copy(update={"seed": seed}), "train", range(1)).frames
        for seed in (2**32 + 5, 5)
    )

    assert (wide != narrow).any()


def test_no_held_out_image_is_a_training_image() -> None:
    train, held_out = ({image.tobytes() for image in digits(split).images} for split in SPLITS)

    assert not train & held_out
    assert len(train) == 1440
    assert len(held_out) == 357


@pytest.mark.parametrize("split", SPLITS)
def test_both_splits_have_every_digit(split: moving_digits.Split) -> None:
    assert np.bincount(digits(split).labels).min() >= 30


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (5, 64, 40), (17, 72, 128)])
def test_clips_have_the_configured_size(frames: int, height: int, width: int) -> None:
    config = DataConfig(num_frames=frames, height=height, width=width)

    clips = make_clips(config, "train", range(2))

    assert clips.frames.shape == (2, 3, frames, height, width)
    assert clips.frames.dtype == np.uint8


def test_labels_name_the_digits_and_then_say_that_there_are_no_more() -> None:
    labels = make_clips(SMALL, "train", range(40)).labels
    counts = (labels != NO_DIGIT).sum(axis=1)

    assert set(counts) == set(range(1, MOST_DIGITS + 1))
    assert all((row[count:] == NO_DIGIT).all() for row, count in zip(labels, counts, strict=True))
    assert set(labels[labels != NO_DIGIT]) == set(range(10))


def test_every_frame_shows_digits_brighter_than_the_background() -> None:
    frames = make_clips(SMALL, "train", range(20)).frames

    assert frames.max(axis=(1, 3, 4)).min() > 150
    assert np.median(frames) < 96


def test_digits_move_in_every_clip() -> None:
    frames = make_clips(DataConfig(), "train", range(20)).frames

    assert (frames[:, :, 0] != frames[:, :, -1]).any(axis=(1, 2, 3)).all()


@given(
    room=st.integers(1, 200),
    fastest=st.integers(5, 5000),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3),
)
def test_bounces_stay_inside_and_never_exceed_the_speed(
    room: int, fastest: int, draws: list[float]
) -> None:
    fractions = iter(draws)
    below = lambda n: int(next(fractions) * n)  # noqa: E731 - a fake stream of draws

    positions = bounces(40, room, fastest=fastest, below=below)

    assert positions.min() >= 0
    assert positions.max() <= room
    assert np.abs(np.diff(positions)).max() <= fastest / 256 + 1


def test_a_point_turns_back_at_both_ends() -> None:
    draws = iter([0, 256, 1])  # from 0, a fifth of 5 pixels a frame and 1 more, to the right

    positions = bounces(9, 5, fastest=5 * 256, below=lambda _: next(draws))

    assert positions.tolist() == [0, 2, 4, 4, 2, 0, 2, 4, 4]


def test_the_installed_libraries_make_the_pinned_clips() -> None:
    moving_digits.verify_reference()


def test_other_clips_than_the_pinned_ones_are_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moving_digits, "FRAMES_SHA256", "0" * 64)

    with pytest.raises(DataError) as refusal:
        moving_digits.verify_reference()

    message = str(refusal.value)
    assert f"expected reference clips with SHA-256 {'0' * 64}" in message
    assert f"found {moving_digits.reference_sha256()}" in message
    assert "pip install --force-reinstall 'scikit-learn>=1.7" in message
