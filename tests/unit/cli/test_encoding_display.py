"""What `qdexp encode` shows: the speed and the time left, measured from its own first clip on."""

from io import StringIO

import pytest
from rich.console import Console

from qdexp.cli.encoding_display import Pace, PlainDisplay, live_display
from qdexp.data.video_encoding import EncodingProgress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(share: float, num_clips: int, own_share: float | None = None) -> EncodingProgress:
    own = share if own_share is None else own_share
    return EncodingProgress(name="a.mp4", share=share, own_share=own, num_clips=num_clips)


def test_speed_and_time_left_are_measured_from_the_first_clip_on() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert str(pace) == "reading videos"

    clock.now = 100.0  # fitting took a while
    pace.add(progress(0.1, 1))
    assert str(pace) == "encoding: 10%, 1 clips, a.mp4"
    clock.now = 110.0
    pace.add(progress(0.2, 21))

    assert str(pace) == "encoding: 20%, 21 clips, 2.0 clips/s, 1 min 20 s left, a.mp4"


def test_what_an_earlier_attempt_encoded_is_not_taken_for_speed() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.add(progress(0.5, 1, own_share=0.0))
    clock.now = 10.0
    pace.add(progress(0.6, 11, own_share=0.1))

    assert "1.0 clips/s, 40 s left" in str(pace)


def test_plain_lines_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = PlainDisplay(clock)
    for second in range(25):
        clock.now = float(second)
        display.show(progress(second / 25, second + 1))

    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_terminal_keeps_the_last_state() -> None:
    screen = StringIO()
    with live_display(Console(file=screen, force_terminal=True, width=120)) as show:
        show(progress(1.0, 42))

    assert "encoding: 100%, 42 clips" in screen.getvalue()
