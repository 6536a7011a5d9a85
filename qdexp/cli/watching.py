"""`qdexp status NAME --watch`: a run seen from another process, by the ledger and small files."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from qdexp.cli.board import Space, board, head_of
from qdexp.cli.tally import ConditionTally, Running, Tally, comparable, first_of
from qdexp.errors import RequestError
from qdexp.execution.beacon import Seen, seen
from qdexp.experiment.trial import condition_label
from qdexp.results.driver_lock import driver_began, is_in_use
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Outcome
from qdexp.results.overview import last_starts

NO_DRIVER = "no driver is running; the command that began it runs what is missing"

LEAST_SECONDS = 1.0
"""Between two looks."""

SHARE_OF_TIME = 0.1
"""Of the time, at most, that reading takes: a ledger of many thousand trials is read less often."""


def watch(
    name: str | None,
    runs: Path,
    *,
    console: Console | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Shows an experiment until its driver ends, or Ctrl-C: in place in a terminal, else in lines.

    Args:
        name: The experiment; None for the only one that there is.
        runs: The runs folder.
        console: The terminal, or None for stdout.
        pause: Waits between two looks, for some seconds.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: There are several, and none was named.
    """
    console = console or Console(file=sys.stdout)
    name = name or _only_one(runs)
    try:
        if console.is_terminal:
            _watch_in_place(name, runs, console, pause)
        else:
            _watch_in_lines(name, runs, pause)
    except KeyboardInterrupt:
        return


def _only_one(runs: Path) -> str:
    with Ledger(runs) as ledger:
        names = ledger.experiments()
    if len(names) != 1:
        raise RequestError(
            f"--watch: expected the name of an experiment, found none; {runs} has "
            f"{', '.join(names) or 'no experiment'}"
        )
    return names[0]


def _watch_in_place(
    name: str, runs: Path, console: Console, pause: Callable[[float], None]
) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for tally in _looks(name, runs, pause):
            space = Space(width=console.width, height=console.height)
            head = Text(f"{name}: {head_of(tally)}", overflow="ellipsis", no_wrap=True)
            live.update(Group(head, board(tally, space)), refresh=True)
    console.print(NO_DRIVER, highlight=False)


def _watch_in_lines(name: str, runs: Path, pause: Callable[[float], None]) -> None:
    last = ""
    for tally in _looks(name, runs, pause):
        if tally.states() != last:
            last = tally.states()
            typer.echo(f"{name}: {head_of(tally)}")
    typer.echo(NO_DRIVER)


def _looks(name: str, runs: Path, pause: Callable[[float], None]) -> Iterator[Tally]:
    """Yields how far an experiment is, again and again until its driver has ended."""
    while True:
        began = time.monotonic()
        # In this order: what a driver wrote before it ended is read after it ended.
        is_driven = is_in_use(runs)
        yield read_tally(name, runs, is_driven=is_driven)
        if not is_driven:
            return
        pause(_until_next(time.monotonic() - began))


def _until_next(seconds: float) -> float:
    return max(LEAST_SECONDS, seconds / SHARE_OF_TIME)


def read_tally(name: str, runs: Path, *, is_driven: bool) -> Tally:
    """Returns how far an experiment is.

    Args:
        name: The experiment.
        runs: The runs folder.
        is_driven: Whether a driver is running: without one, no trial is.

    Raises:
        NotFoundError: There is no such experiment.
    """
    with Ledger(runs) as ledger:
        primary: str = ledger.specs(name)[-1].definition["metrics"]["primary"]
        records = [record for record in ledger.members(name) if record.is_asked_for]
        starts = last_starts(ledger, name)
    tally = Tally(primary)
    tally.num_to_run = len(records)
    driven_since = driver_began(runs) if is_driven else None
    shown = comparable(primary, [record.condition for record in records])
    for record in records:
        of = tally.conditions.setdefault(
            condition_label(record.condition), ConditionTally(condition=record.condition)
        )
        of.num_trials += 1
        of.num_steps += record.trial.configuration.num_steps
        outcome = record.outcome if record.invalidated is None else None
        started = starts.get(record.trial_id, 0.0)
        is_open = record.finished_at is None or record.finished_at < started
        # What an earlier driver started and did not end does not run before this one starts it.
        if is_open and driven_since is not None and started >= driven_since:
            label = f"{condition_label(record.condition)}, seed {record.trial.seed}"
            beacon = seen(runs, record.trial_id, since=started)
            tally.running[record.trial_id] = _running(label, of, record, beacon, shown)
        elif outcome:
            _count(tally, of, outcome)
    tally.most_at_once = len(tally.running)
    return tally


def _count(tally: Tally, of: ConditionTally, outcome: Outcome) -> None:
    tally.ended[outcome.status] += 1
    of.ended[outcome.status] += 1
    of.steps_ended += outcome.step
    facts = outcome.provenance
    if outcome.status == "completed":
        if {"started_at", "finished_at"} <= facts.keys():
            tally.durations.append(float(facts["finished_at"]) - float(facts["started_at"]))
        if tally.primary in outcome.measurements:
            of.values.append(outcome.measurements[tally.primary])


def _running(
    label: str,
    of: ConditionTally,
    record: TrialRecord,
    beacon: Seen | None,
    shown: tuple[str, ...],
) -> Running:
    now, num_steps = time.monotonic(), record.trial.configuration.num_steps
    if beacon is None:
        return Running(label=label, of=of, num_steps=num_steps, started=now)
    steps = beacon.step - beacon.first_step
    return Running(
        label=label,
        of=of,
        num_steps=beacon.num_steps,
        started=now - beacon.seconds,
        first_step=beacon.first_step,
        step=beacon.step,
        value=first_of(shown, beacon.measurements, None),
        steps_per_second=steps / beacon.seconds if steps > 0 and beacon.seconds > 0 else None,
        gpu_memory_bytes=beacon.gpu_memory_bytes,
    )
