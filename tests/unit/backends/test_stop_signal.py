"""The first signal is kept for a safe point; a second one is for whoever listened before."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from qdexp.backends.stop_signal import StopSignal
from qdexp.errors import InterruptedRunError

LATE = """\
import os, signal, sys
from qdexp.cli.run_command import signals_interrupt
from qdexp.errors import InterruptedRunError
try:
    with signals_interrupt():
        for _ in range(int(sys.argv[1])):
            try:
                os.kill(os.getpid(), signal.SIGUSR1)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        raise KeyboardInterrupt
except InterruptedRunError as error:
    print(error, flush=True)
"""


class Listening:
    """Listens to SIGUSR1 as the command line does."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        assert number == signal.SIGUSR1
        self.heard += 1
        raise KeyboardInterrupt


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    former = signal.signal(signal.SIGUSR1, listening)
    yield listening
    signal.signal(signal.SIGUSR1, former)


def test_first_signal_waits_and_is_told_and_a_second_one_interrupts(listening: Listening) -> None:
    with StopSignal() as stop:
        stop.check()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert listening.heard == 1
        with pytest.raises(InterruptedRunError, match="SIGUSR1"):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR1)
    assert listening.heard == 2
    assert signal.getsignal(signal.SIGUSR1) is listening


def test_exit_that_another_listener_makes_of_a_signal_waits_too() -> None:
    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(number)

    former = signal.signal(signal.SIGTERM, leave)  # as Ray does
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(InterruptedRunError, match="SIGTERM"):
                stop.check()
            with pytest.raises(SystemExit):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)


@pytest.mark.usefixtures("listening")
def test_signal_after_it_is_left_is_not_its_own() -> None:
    with StopSignal() as stop:
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGUSR1)
    stop.check()


@pytest.mark.parametrize(
    ("signals", "code", "said"),
    [(0, 0, "stopped: "), (1, 0, "interrupted\nstopped: "), (2, 130, "interrupted\n")],
)
def test_command_line_is_left_at_once_by_the_second(signals: int, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, str(signals)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith(said)
    assert ("stopped at once by a second SIGUSR1" in done.stderr) == (signals == 2)
