"""Searches over a toy hill, and what they work with, where no engine is needed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import InterruptedRunError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.ports import Assignment, Checked, Dataset, Listener
from qdexp.execution.search import Searched, Tools, search
from qdexp.execution.search_ports import Feed, SearchExecutor, StudyMirror, Suggested
from qdexp.execution.silence import SILENT
from qdexp.experiment.reader import parse_overrides
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Condition
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome, Progress
from qdexp.results.suggestions import SuggestionRecord, Told, suggestions_of

HILL: dict[str, Any] = {
    "name": "hill",
    "question": "Where is it lowest?",
    "trainable": "own_trainables:hill",
    "space": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
    "metrics": {"primary": "error"},
    "budget": {"trials": 6},
}


def spec_of(num_trials: int | None = None, **changes: Any) -> SearchSpec:  # noqa: ANN401
    content = {key: value for key, value in {**HILL, **changes}.items() if value is not None}
    return read_search(content, parse_overrides((), None, num_trials=num_trials))


class Walking:
    """A suggester: a function of how much was suggested and of the best so far."""

    def __init__(self, spec: SearchSpec) -> None:
        self._spec = spec

    def suggest(
        self, history: Sequence[SuggestionRecord], accepts: Callable[[Condition], bool]
    ) -> Suggested | None:
        done = [each for each in history if each.told and each.told.values]
        best = min((each.told.values[0] for each in done if each.told), default=0.5)
        for attempt in range(50):
            share = (len(history) * 0.37 + attempt * 0.11 + best) % 1.0
            point = [(share + place * 0.29) % 1.0 for place in range(len(self._spec.space.fields))]
            values = self._spec.space.at(point, self._spec.baseline.fields())
            if accepts(values):
                return Suggested(values=values, attributes={"share": share})
        return None


@dataclass
class Shown:
    """A mirror that remembers what it was shown last."""

    records: Sequence[SuggestionRecord] = ()
    problem: tuple[str, ...] = ()

    def show(self, history: Sequence[SuggestionRecord]) -> Checked:
        self.records = list(history)
        return Checked(unmended=self.problem)


class NoDataset:
    def fingerprint(self, config: object) -> str:
        raise AssertionError(config)

    def prepare(self, config: object, cache: Path) -> Path:
        raise AssertionError(config, cache)


@dataclass
class Cut:
    """An executor that is stopped after so many reports or outcomes, as by a signal or a kill."""

    after: int
    heard: int = 0
    inside: InlineExecutor = field(default_factory=InlineExecutor)

    def check(self) -> None:
        self.inside.check()

    def execute(
        self, assignments: Sequence[Assignment], listener: Listener, deadline: float | None = None
    ) -> None:
        raise AssertionError(assignments, listener, deadline)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        self.inside.follow(feed, _Cutting(self, listener), deadline, workers)

    def gpus_of_trial(self) -> float:
        return self.inside.gpus_of_trial()


@dataclass
class _Cutting:
    by: Cut
    inside: Listener

    def _count(self) -> None:
        self.by.heard += 1
        if self.by.heard > self.by.after:
            raise InterruptedRunError("cut")

    def on_start(self, trial_id: str) -> None:
        self.inside.on_start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self.inside.on_progress(trial_id, progress)
        self._count()

    def on_outcome(self, outcome: Outcome) -> None:
        self._count()
        self.inside.on_outcome(outcome)


def searched(  # noqa: PLR0913
    spec: SearchSpec,
    runs: Path,
    *,
    executor: SearchExecutor | None = None,
    mirror: StudyMirror | None = None,
    keep_going: bool = False,
    clock: Callable[[], float] | None = None,
    pause: Callable[[float], None] = lambda _seconds: None,
    dataset: Dataset | None = None,
) -> Searched:
    at = executor or InlineExecutor()
    outside = Collaborators(
        dataset=dataset or NoDataset(),
        executor=at,
        tracker=NoTracker(),
        display=SILENT,
        draw=lambda _outcome, _folder: (),
        provenance={"commit": "abc"},
        pause=pause,
        clock=clock or time.monotonic,
    )
    tools = Tools(executor=at, suggester=Walking(spec), mirror=mirror, keep_going=keep_going)
    return search(spec, runs, outside, tools)


def records_of(runs: Path, name: str = "hill") -> list[SuggestionRecord]:
    with Ledger(runs) as ledger:
        return suggestions_of(ledger, name)


def ended(record: SuggestionRecord) -> Told:
    """Returns how a suggestion ended, which it did."""
    assert record.told is not None
    return record.told


def outcome_of(runs: Path, trial_id: str) -> Outcome:
    with Ledger(runs) as ledger:
        outcome = ledger.trial(trial_id).outcome
    assert outcome is not None
    return outcome


def told(runs: Path, name: str = "hill") -> list[tuple[Mapping[str, Any], str, tuple[float, ...]]]:
    """Returns what each suggestion of a search was and how it ended, which all of them did."""
    return [
        (each.suggestion.values, ended(each).ending, ended(each).values)
        for each in records_of(runs, name)
    ]


def attempts(runs: Path) -> dict[str, int]:
    """Returns how often each trial was begun."""
    files = (runs / "trials").glob("*/attempts")
    return {file.parent.name: len(file.read_text().splitlines()) for file in files}
