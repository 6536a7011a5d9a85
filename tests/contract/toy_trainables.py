"""Trainables that end in every way a trial can end; workers import them from this file."""

import itertools
import logging
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qdexp.errors import DivergedError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress

NUM_STEPS = 4


def completes(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, NUM_STEPS)
    yield _completed(trial, {"eval.toy": float(trial.seed)})


def computes(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Trains a small network, with what depends on the number of threads in its last bits."""
    import torch

    torch.set_num_threads(trial.ours.training.num_threads)
    generator = torch.Generator().manual_seed(trial.seed)
    x = torch.randn(512, 512, generator=generator)
    weight = torch.randn(512, 512, generator=generator, requires_grad=True)
    loss = torch.zeros(())
    for step in range(NUM_STEPS):
        loss = (torch.tanh(x @ weight) - x).square().mean()
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - 10 * gradient).detach().requires_grad_(True)
        yield Progress(step=step, num_steps=NUM_STEPS, measurements={"train.toy": loss.item()})
    yield _completed(trial, {"eval.toy": loss.item(), "eval.sum": weight.sum().item()})


def raises(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 2)
    raise ValueError("the toy broke\nand this line is detail")


def exits(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    raise SystemExit(3)
    yield


def exhausts_memory(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    raise MemoryError
    yield


def diverges(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 2)
    raise DivergedError(step=2, what="loss is nan")


def ends_in_nan(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield _completed(trial, {"eval.toy": float("nan"), "eval.fine": 1.0})


def forgets_its_outcome(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 2)


def reports_for_another(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield Outcome(trial_id="0" * 16, status="completed", step=trial.seed)


def goes_on_after_its_outcome(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from completes(trial, workspace)
    yield from completes(trial, workspace)


def is_slow_and_fails_to_clean_up(
    _trial: Trial, _workspace: Workspace
) -> Iterator[Progress | Outcome]:
    try:
        while True:
            sum(range(100_000))  # a step takes a while
            yield Progress(step=1, num_steps=NUM_STEPS)
    finally:
        raise ValueError("the toy cannot be closed")


def measures_with_numpy(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    half: Any = np.float32(0.5)
    one: Any = np.int64(1)
    earlier = {"train.toy": [(one, half)]}
    yield Progress(step=one, num_steps=2, measurements={"train.toy": half}, earlier=earlier)
    yield _completed(trial, {"eval.toy": half})


def steps_by_halves(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    step: Any = 0.5
    yield Progress(step=step, num_steps=2)


def steps_beyond_64_bits(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield Progress(step=2**70, num_steps=2)


def measures_a_word(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    word: Any = "low"
    yield Progress(step=0, num_steps=2, measurements={"train.toy": word})


def measured_before_without_a_step(_trial: Trial, _workspace: Workspace) -> Iterator[Progress]:
    yield Progress(step=1, num_steps=2, earlier={"train.toy": [(0.5,)]})  # pyright: ignore


def warns_of_nothing(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    nothing: Any = (None,)
    yield replace(_completed(trial, {}), warnings=nothing)


def comes_from_an_object(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield replace(_completed(trial, {}), provenance={"made_by": object()})


def reports_none(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    none: Any = None
    yield none


def raises_what_cannot_be_shown(
    _trial: Trial, _workspace: Workspace
) -> Iterator[Progress | Outcome]:
    class UnspeakableError(BaseException):
        def __str__(self) -> str:
            raise TypeError

    raise UnspeakableError
    yield


def raises_control_characters(_trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    raise ValueError("\x1b[2J\ud800" + "x" * 5_000)
    yield


def loses_its_worker_once(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 2)
    marker = workspace.folder / "was_lost"
    if not marker.exists():
        workspace.folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield _completed(trial, {})


def loses_every_worker(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 1)  # SIGTERM is what a machine that shuts down tells all of its
    os.kill(os.getpid(), signal.SIGTERM if trial.seed else signal.SIGKILL)


def asks_its_driver_to_stop(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Sends the signal named in `start_from` to the driver, whose pid is the name's other part.

    It then waits to be closed, and leaves a file that says so.
    """
    assert workspace.start_from is not None
    name, pid = workspace.start_from.name.split("-", maxsplit=1)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    try:
        yield from _steps(trial, 1)
        os.kill(int(pid), signal.Signals[name])
        step = 1
        while True:
            sum(range(100_000))  # a step takes a while
            yield Progress(step=step, num_steps=NUM_STEPS)
            step += 1
    finally:
        (workspace.folder / "was_closed").touch()


def never_reports(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    yield from _steps(trial, 2)
    while True:
        sum(range(100_000))


def never_ends(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Reports for ever, and leaves a file when it is closed at a safe point."""
    try:
        step = 0
        while True:
            sum(range(100_000))  # a step takes a while
            yield Progress(step=step, num_steps=NUM_STEPS, measurements={"train.toy": trial.seed})
            step += 1
    finally:
        (workspace.folder / "was_closed").touch()


def says_who_it_is(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Reports for ever, from a process whose number it writes down."""
    (workspace.folder / "pid").write_text(str(os.getpid()))
    yield from never_ends(trial, workspace)


def speaks(trial: Trial, _workspace: Workspace) -> Iterator[Progress | Outcome]:
    print("on stdout, in Python")  # noqa: T201
    sys.stderr.write("on stderr, in Python\n")
    logging.getLogger("toys").warning("through logging")
    os.write(1, b"on the descriptor\n")
    yield from _steps(trial, 2)
    print("and later")  # noqa: T201
    yield _completed(trial, {})


def _ranks() -> tuple[int, int]:
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def adds_up_ranks(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Exchanges a number with the other processes at every step."""
    import torch

    total = torch.zeros(())
    for step in range(NUM_STEPS):
        total = torch.tensor(float(_ranks()[0] + 1))
        torch.distributed.all_reduce(total)
        yield Progress(step=step, num_steps=NUM_STEPS, measurements={"train.toy": total.item()})
    (workspace.folder / f"pid_{_ranks()[0]}").write_text(str(os.getpid()))
    yield _completed(trial, {"eval.toy": total.item(), "eval.processes": _ranks()[1]})


def second_rank_raises(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    """Leaves the first process waiting in an exchange that never comes about."""
    (workspace.folder / f"pid_{_ranks()[0]}").write_text(str(os.getpid()))
    yield from _steps(trial, 1)
    if _ranks()[0] == 1:
        raise ValueError("only the second one broke")
    import torch

    torch.distributed.all_reduce(torch.zeros(1))
    yield _completed(trial, {})


def second_rank_dies_once(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    import torch

    (workspace.folder / f"pid_{_ranks()[0]}").write_text(str(os.getpid()))
    yield from _steps(trial, 1)
    marker = workspace.folder / "was_lost"
    if _ranks()[0] == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    torch.distributed.all_reduce(torch.zeros(1))
    yield _completed(trial, {})


def trains_and_loses_its_second_rank(
    trial: Trial, workspace: Workspace
) -> Iterator[Progress | Outcome]:
    """Trains like the default, but for one death on the way."""
    from qdexp.training.run_trial import run_trial

    marker = workspace.folder / "was_lost"
    for report in run_trial(trial, workspace):
        if os.environ.get("RANK") == "1" and report.step == 5 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield report


def ranks_never_end(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    (workspace.folder / f"pid_{_ranks()[0]}").write_text(str(os.getpid()))
    try:
        for step in itertools.count():
            sum(range(100_000))  # a step takes a while
            yield Progress(step=step, num_steps=NUM_STEPS, measurements={"train.toy": trial.seed})
    finally:
        (workspace.folder / f"was_closed_{_ranks()[0]}").touch()


def ranks_never_report(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
    (workspace.folder / f"pid_{_ranks()[0]}").write_text(str(os.getpid()))
    yield from _steps(trial, 1)
    while True:
        sum(range(100_000))


def _steps(trial: Trial, count: int) -> Iterator[Progress]:
    for step in range(count):
        yield Progress(
            step=step, num_steps=NUM_STEPS, measurements={"train.toy": trial.seed + step / 8}
        )


def _completed(trial: Trial, measurements: dict[str, float]) -> Outcome:
    return Outcome(
        trial_id=trial.trial_id, status="completed", step=NUM_STEPS, measurements=measurements
    )
