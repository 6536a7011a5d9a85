"""Clips are cut by time or by number, and no frame is lost between them."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.data.clip_cutting import Timed, at_rate, every, runs


def timed(times: list[Fraction], last: Fraction = Fraction(1, 25)) -> Iterator[Timed[int]]:
    for number, time in enumerate(times):
        following = times[number + 1] - time if number + 1 < len(times) else last
        yield Timed(frame=number, time=time, duration=following)


def regular(count: int, rate: int, ticks: int = 1_000_000) -> list[Fraction]:
    """Times of frames at a rate, rounded to the ticks of a container's clock."""
    return [Fraction(round(number * ticks / rate), ticks) for number in range(count)]


@given(rate=st.integers(1, 120), count=st.integers(1, 60))
def test_at_its_own_rate_every_frame_comes_once_although_containers_round_times(
    rate: int, count: int
) -> None:
    taken = list(at_rate(timed(regular(count, rate, 1000), Fraction(1, rate)), float(rate)))

    assert taken == list(range(count))


def test_half_the_rate_takes_every_second_frame() -> None:
    assert list(at_rate(timed(regular(8, 30)), 15.0)) == [0, 2, 4, 6]


def test_twice_the_rate_takes_every_frame_twice() -> None:
    taken = list(at_rate(timed(regular(4, 10), Fraction(1, 10)), 20.0))

    assert taken == [0, 0, 1, 1, 2, 2, 3, 3]


def test_frames_of_a_varying_rate_are_taken_by_their_time() -> None:
    times = [Fraction(t, 10) for t in (0, 1, 2, 3, 10, 11)]

    taken = list(at_rate(timed(times, Fraction(1, 10)), 5.0))

    assert taken == [0, 2, 3, 3, 4, 4]


def test_time_need_not_begin_at_zero() -> None:
    times = [Fraction(100) + time for time in regular(6, 30)]

    assert list(at_rate(timed(times), 30.0)) == list(range(6))


def test_times_that_jump_are_refused_instead_of_filled() -> None:
    with pytest.raises(ValueError, match="times of frames jump by 90000 s"):
        list(at_rate(timed([Fraction(0), Fraction(90_000)]), 25.0))


def test_a_fraction_of_a_frame_a_second_is_a_rate() -> None:
    assert list(at_rate(timed(regular(81, 10), Fraction(1, 10)), 0.25)) == [0, 40, 80]


@pytest.mark.parametrize(("stride", "taken"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (9, [0])])
def test_a_stride_takes_frames_by_number(stride: int, taken: list[int]) -> None:
    assert list(every(timed(regular(5, 25)), stride)) == taken


def test_no_frames_make_no_clips() -> None:
    nothing: list[Timed[int]] = []

    assert list(at_rate(nothing, 25.0)) == []
    assert list(runs([], num_frames=5, overlap=0)) == []


@given(num=st.integers(0, 60), length=st.integers(1, 17), overlap=st.integers(0, 16))
def test_neighbouring_clips_share_the_overlap_and_nothing_else_is_lost(
    num: int, length: int, overlap: int
) -> None:
    overlap = min(overlap, length - 1)

    clips = [tuple(clip) for clip in runs(range(num), num_frames=length, overlap=overlap)]

    assert all(len(clip) == length for clip in clips)
    starts = [clip[0] for clip in clips]
    assert starts == list(range(0, max(0, num - length + 1), length - overlap))
