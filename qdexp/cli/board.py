"""The table of a run by condition: what is done, what runs, how well, how fast, how long still."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from qdexp.cli.durations import in_words
from qdexp.cli.sizes import size_in_words
from qdexp.cli.tally import ConditionTally, Running, Tally
from qdexp.config import metrics
from qdexp.experiment.counting import counted
from qdexp.experiment.trial import condition_label

WIDE = 110
"""Columns from which a row has a bar."""

_AROUND = 8
"""Lines of a terminal that are not rows of the table."""

_LEAST_LABEL = 12
_GAP = "  "


@dataclass(frozen=True, kw_only=True)
class Space:
    """A terminal's size, in characters."""

    width: int
    height: int


def head_of(tally: Tally) -> str:
    """Returns the counts and the time left, in a line."""
    ahead = tally.ahead.num_of_search
    ended = counted(tally.num_ended, "trial")
    if ahead is not None:
        ended = f"{tally.num_ended}/{tally.num_to_run + ahead} trials"
    return f"{ended}: {tally.states()}{left_in_words(tally)}"


def left_in_words(tally: Tally) -> str:
    """Returns ``; about 3 min 05 s left``, or nothing too early to tell."""
    seconds = tally.seconds_left()
    whole = ", the confirmation included" if tally.ahead.num_to_confirm else ""
    return f"; about {in_words(seconds)} left{whole}" if seconds else ""


def board(tally: Tally, space: Space) -> Group:
    """Returns the table; of more conditions than lines those that run, and a summary of the rest.

    Where a terminal is too narrow, the labels give way.
    """
    running: dict[int, list[Running]] = {}
    for each in tally.running.values():
        running.setdefault(id(each.of), []).append(each)
    conditions = list(tally.conditions.values())
    room = max(3, space.height - _AROUND)
    shown = conditions
    if len(conditions) > room:
        shown = [each for each in conditions if id(each) in running][:room]
    rows = [_Row(of=each, running=running.get(id(each), [])) for each in shown]
    parts: list[RenderableType] = []
    if rows:
        parts.append(_table(rows, tally.primary, space))
    if len(shown) < len(conditions):
        chosen = set(map(id, shown))
        others = [each for each in conditions if id(each) not in chosen]
        parts.append(_line(_summary(others, running), space))
    if any(row.is_preliminary for row in rows):
        clips = ", on fewer clips" if metrics.find(tally.primary) else ""
        parts.append(_line(f"~ of trials that run{clips}: no result yet", space))
    return Group(*parts)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A condition, and its trials that run now."""

    of: ConditionTally
    running: Sequence[Running]

    @property
    def is_preliminary(self) -> bool:
        return not self.of.values and any(each.value is not None for each in self.running)

    @property
    def done(self) -> str:
        return f"{self.of.num_done}/{self.of.num_trials}"

    @property
    def share(self) -> float:
        """The share of its steps that is done."""
        if not self.of.num_steps:
            return 1.0
        steps = self.of.steps_ended + sum(each.step for each in self.running)
        return min(1.0, steps / self.of.num_steps)

    @property
    def metric(self) -> str:
        if self.of.values:
            return f"{statistics.fmean(self.of.values):.4g}"
        values = [each.value for each in self.running if each.value is not None]
        return f"~{statistics.fmean(values):.4g}" if values else "-"

    @property
    def speed(self) -> str:
        speeds = [each.steps_per_second for each in self.running if each.steps_per_second]
        return f"{statistics.fmean(speeds):.3g}" if speeds else "-" if self.running else ""

    @property
    def memory(self) -> str:
        held = [each.gpu_memory_bytes for each in self.running if each.gpu_memory_bytes]
        return size_in_words(max(held)) if held else ""

    @property
    def left(self) -> str:
        if not self.running:
            return "" if not self.of.is_over else "done"
        if all(each.step >= each.num_steps for each in self.running):
            return "measuring"
        seconds = [each.seconds_left for each in self.running]
        known = [each for each in seconds if each is not None]
        return in_words(max(known)) if known else "-"


def _table(rows: Sequence[_Row], primary: str, space: Space) -> Table:
    columns = _columns(rows, primary, space)
    width = max(_LEAST_LABEL, space.width - sum(len(_GAP) + each.width for each in columns))
    header, labels = _labels([row.of for row in rows], width)
    table = Table.grid(padding=(0, len(_GAP), 0, 0))
    table.add_column(max_width=width, overflow="ellipsis", no_wrap=True)
    for each in columns:
        table.add_column(justify="right", width=each.width, overflow="ellipsis", no_wrap=True)
    table.add_row(header, *(each.name for each in columns), style="dim")
    for row, label in zip(rows, labels, strict=True):
        table.add_row(label, *(each.cell(row) for each in columns))
    return table


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the table: its head, how wide it is, what it shows of a row, and whether."""

    name: str
    width: int
    cell: Callable[[_Row], RenderableType]
    is_shown: bool = True


def _columns(rows: Sequence[_Row], primary: str, space: Space) -> list[_Column]:
    metric = (primary.partition(".")[2] or primary).replace("_", " ")
    has_bad = any(row.of.num_bad for row in rows)
    has_gpu = any(row.memory for row in rows)
    done = max(len("done"), *(len(row.done) for row in rows))
    width = min(14, max(9, len(metric)))
    columns = [
        _Column(name="done", width=done, cell=lambda row: row.done),
        _Column(name="now", width=3, cell=lambda row: str(len(row.running) or "")),
        _Column(name="bad", width=3, cell=_bad, is_shown=has_bad),
        _Column(name="", width=20, cell=_bar, is_shown=space.width >= WIDE),
        _Column(name="steps", width=5, cell=lambda row: f"{100 * row.share:.0f} %"),
        _Column(name=metric, width=width, cell=lambda row: row.metric, is_shown=bool(metric)),
        _Column(name="steps/s", width=7, cell=lambda row: row.speed),
        _Column(name="GPU", width=8, cell=lambda row: row.memory, is_shown=has_gpu),
        _Column(name="left", width=11, cell=lambda row: row.left),
    ]
    return [each for each in columns if each.is_shown]


def _bad(row: _Row) -> Text:
    return Text(str(row.of.num_bad or ""), style="red")


def _bar(row: _Row) -> ProgressBar:
    return ProgressBar(total=1.0, completed=row.share, width=20)


def _labels(conditions: Sequence[ConditionTally], width: int) -> tuple[str, list[str]]:
    """Returns the head of the labels and the labels: without names where these do not fit."""
    whole = [condition_label(each.condition) for each in conditions]
    if max(map(len, whole), default=0) <= width:
        return "condition", whole
    names = max((list(each.condition) for each in conditions), key=len)
    header = " / ".join(name.rpartition(".")[2] for name in names)
    values = [" / ".join(map(str, each.condition.values())) for each in conditions]
    return header, [label or name for label, name in zip(values, whole, strict=True)]


def _summary(others: Sequence[ConditionTally], running: dict[int, list[Running]]) -> str:
    counts = Counter[str]()
    for each in others:
        if id(each) in running:
            counts["running"] += 1
        elif each.num_bad:
            counts["with bad trials"] += 1
        elif each.is_over:
            counts["done"] += 1
        else:
            counts["waiting"] += 1
    said = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"{counted(len(others), 'other condition')}: {said}"


def _line(text: str, space: Space) -> Text:
    line = Text(text, style="dim", overflow="ellipsis", no_wrap=True)
    line.truncate(space.width, overflow="ellipsis")
    return line
