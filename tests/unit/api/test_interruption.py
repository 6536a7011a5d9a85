"""An interruption is never lost, wherever Python happens to be when the signal comes."""

import signal
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from qdexp.api.interruption import interruptions_wait, signals_interrupt
from qdexp.api.pictures import draw
from qdexp.backends.stop_signal import StopSignal
from qdexp.cli import impatience
from qdexp.errors import InterruptedRunError
from qdexp.results.outcome import Array, Outcome


class Thing:
    """Can be referred to weakly."""


def interrupted_in_a_callback() -> None:
    """Gets a signal while Python runs a weak reference's callback, which swallows exceptions."""
    thing = Thing()
    _kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing
    for _ in range(1000):  # and trains on
        time.sleep(0.01)
    pytest.fail("it trained to its end")


@pytest.mark.parametrize("interrupting", [signals_interrupt, impatience.signals_interrupt])
def test_signal_in_a_destructor_interrupts_all_the_same(
    interrupting: Callable[[], AbstractContextManager[None]], capfd: pytest.CaptureFixture[str]
) -> None:
    former = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(InterruptedRunError), interrupting():
        interrupted_in_a_callback()
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == former
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert said.count("stopping") <= 1


def test_interruption_that_compiled_code_makes_an_error_of_is_one() -> None:
    def cleanup_path() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ValueError("invalid matrix") from None

    with pytest.raises(InterruptedRunError), signals_interrupt():
        cleanup_path()


def test_errors_without_an_interruption_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="invalid matrix"), signals_interrupt():
        raise ValueError("invalid matrix")


def test_what_else_cannot_be_raised_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: told.append(found.exc_value))
    thing = Thing()

    def fails(_: object) -> None:
        raise ValueError("lost")

    with signals_interrupt():
        _kept = weakref.ref(thing, fails)
        del thing
    assert [str(each) for each in told] == ["lost"]


def test_interruption_that_was_lost_at_the_end_does_not_come_later() -> None:
    with signals_interrupt():
        thing = Thing()
        _kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
        del thing
    time.sleep(0.2)  # would be interrupted


def test_interruption_while_a_picture_is_drawn_waits_for_the_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def draw_path(_counts: object, path: Path) -> Path:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ValueError("Invalid bounding box") from None
        path.touch()
        return path

    monkeypatch.setattr("qdexp_analysis.code_histogram.save_code_histogram", draw_path)
    counts = {"eval.code_counts": Array(shape=(1,), values=(1.0,))}
    outcome = Outcome(trial_id="a", status="completed", step=1, arrays=counts)

    def go_on() -> None:
        with suppress(ValueError):  # as whoever takes it for a picture that cannot be drawn
            draw(outcome, tmp_path)
        pytest.fail("it went on")

    with pytest.raises(InterruptedRunError), signals_interrupt():
        go_on()
    assert (tmp_path / "code_histogram.png").exists()


def test_second_interruption_does_not_wait() -> None:
    former = signal.getsignal(signal.SIGINT)
    reached: list[int] = []

    def draw_for_ever() -> None:
        for number in range(3):
            reached.append(number)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError), signals_interrupt(), interruptions_wait():
        draw_for_ever()
    assert reached == [0, 1]
    assert signal.getsignal(signal.SIGINT) == former


def test_interruption_that_waited_is_one_for_whoever_listens() -> None:
    with StopSignal() as stop:
        with interruptions_wait():
            signal.raise_signal(signal.SIGUSR1)
            stop.check()
        with pytest.raises(InterruptedRunError, match="SIGUSR1"):
            stop.check()
