"""An interruption is never lost, wherever Python happens to be when the signal comes."""

import signal
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from qdexp.api.interruption import signals_interrupt
from qdexp.cli import impatience
from qdexp.errors import InterruptedRunError


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
