"""Videos are split by their content, and clips are ordered so that every video comes early."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.data_config import DataConfig
from qdexp.data.split import HELD_OUT, TRAIN, lone_split, sides_of, spread

HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]


def test_the_share_is_about_what_was_asked_for() -> None:
    sides = list(sides_of(HASHES, 0.2).values())

    assert 25 <= sides.count(HELD_OUT) <= 55


def test_another_video_leaves_the_others_where_they_are() -> None:
    before = sides_of(HASHES[:100], 0.1)

    after = sides_of(HASHES, 0.1)

    assert {name: after[name] for name in before} == before


def test_the_order_of_files_decides_nothing() -> None:
    assert sides_of(HASHES, 0.1) == sides_of(HASHES[::-1], 0.1)


@given(
    count=st.integers(2, 12),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 180),
)
def test_no_side_is_empty_where_there_are_two_videos(count: int, share: float, seed: int) -> None:
    assert set(sides_of(HASHES[seed : seed + count], share).values()) == {TRAIN, HELD_OUT}


@given(
    num_clips=st.integers(1, 80),
    overlap=st.integers(0, 16),
    share=st.floats(0.01, 0.99),
)
def test_the_last_clips_of_an_only_video_share_no_frame_with_those_before(
    num_clips: int, overlap: int, share: float
) -> None:
    config = DataConfig(kind="video_folder", path="videos", overlap=overlap, held_out_share=share)

    train, held_out = lone_split(num_clips, config)

    step = 17 - overlap
    assert held_out.stop == num_clips
    assert len(held_out) >= 1
    if train:
        assert train[-1] * step + 17 <= held_out[0] * step
        assert (train[-1] + 1) * step + 17 > held_out[0] * step, "one more would fit"


@pytest.mark.parametrize(
    ("num_clips", "overlap", "expected"),
    [
        (2, 0, (1, 1)),
        (3, 0, (1, 2)),
        (12, 0, (10, 2)),
        (40, 0, (36, 4)),
        (5, 12, (1, 1)),
        (6, 12, (1, 2)),
    ],
)
def test_two_clips_of_an_only_video_are_held_out_where_one_is_left(
    num_clips: int, overlap: int, expected: tuple[int, int]
) -> None:
    config = DataConfig(kind="video_folder", path="videos", overlap=overlap)

    train, held_out = lone_split(num_clips, config)

    assert (len(train), len(held_out)) == expected


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_every_clip_comes_once(lengths: list[int]) -> None:
    pairs = spread([range(length) for length in lengths])

    expected = {(video, clip) for video, length in enumerate(lengths) for clip in range(length)}
    assert sorted(map(tuple, pairs.tolist())) == sorted(expected)


def test_the_first_clips_are_one_of_every_video() -> None:
    pairs = spread([range(5), range(2, 9), range(3)])

    assert sorted(pairs[:3, 0].tolist()) == [0, 1, 2]
    assert sorted(pairs[3:6, 0].tolist()) == [0, 1, 2]


def test_within_a_video_every_beginning_is_spread_over_its_length() -> None:
    clips = spread([range(64)])[:, 1]

    for count in (2, 4, 8, 16):
        gaps = np.diff(np.sort(clips[:count]))
        assert set(gaps.tolist()) == {64 // count}


def test_no_videos_have_no_clips() -> None:
    assert spread([]).shape == (0, 2)
    assert spread([range(0)]).shape == (0, 2)
