"""What a person sees of one training."""

import io

import pytest
from rich.console import Console

from qdexp.cli.training_display import Pace, PlainDisplay, live_display, progress_display
from qdexp.results.outcome import Progress

LOSSES = {"train.loss": 0.5, "train.perplexity": 812.25}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def at(step: int, measurements: dict[str, float] | None = None) -> Progress:
    return Progress(step=step, num_steps=100, measurements=measurements or {})


def test_speed_and_time_left_are_counted_from_the_first_report() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert str(pace) == "starting"
    pace.add(at(10))
    assert str(pace) == "step 10/100"
    clock.now += 20
    pace.add(at(50, LOSSES))
    clock.now += 20
    pace.add(at(90))
    assert pace.seconds_left == 5.0
    assert str(pace) == "step 90/100, loss 0.5, perplexity 812.2, 2.0 steps/s, 5 s left"


def test_after_the_last_step_it_is_measured() -> None:
    pace = Pace(Clock())
    pace.add(at(100))
    assert str(pace) == "step 100/100, measuring"


def test_plain_display_prints_the_first_the_last_and_some_between(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    display = PlainDisplay(clock)
    for step in range(0, 101, 5):
        display.show(at(step))
        clock.now += 4
    captured = capsys.readouterr()
    steps = [line.split("/")[0] for line in captured.err.splitlines()]
    assert steps == [f"step {step}" for step in (0, 15, 30, 45, 60, 75, 90, 100)]
    assert captured.out == ""


@pytest.mark.parametrize("width", [80, 160])
def test_live_display_draws_one_line_with_a_bar_where_there_is_room(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    with live_display(console) as show:
        show(at(0))
        show(at(40, LOSSES))
    text = screen.getvalue()
    assert "step 40/100, loss 0.5" in text
    assert ("━" in text) == (width == 160)


def test_processes_after_the_first_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_display(is_shown=False) as show:
        show(at(0))
    with progress_display(is_shown=True) as show:
        show(at(1))
    assert capsys.readouterr().err == "step 1/100\n"
