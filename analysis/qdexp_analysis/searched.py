"""What the ledger has of a search: space, suggestions, and the experiments that check it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qdexp.config.metric import Metric
from qdexp.experiment.derived import derived_name
from qdexp.experiment.search_spec import Direction
from qdexp.experiment.space import Parameter
from qdexp.experiment.trial import acting_values
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.provenance import duration
from qdexp.results.suggestions import (
    SuggestionRecord,
    TimeSpent,
    suggestions_of,
    time_spent,
)
from qdexp_analysis.table import Experiment
from qdexp_analysis.written import RELATED


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search makes small or large: a metric, and which of its values are better."""

    metric: Metric
    direction: Direction

    @property
    def sign(self) -> float:
        """What a value is multiplied by so that lower is better."""
        return 1.0 if self.direction == "lower" else -1.0


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What the ledger knows of one search.

    Args:
        experiment: Its spec and its trials.
        parameters: What may be suggested, in the order of the spec.
        objectives: What it optimises; the first is the primary one.
        history: Its suggestions in order, each with those values that act, and how it ended.
        confirm: The check of the best on fresh seeds, or None.
        path: The way from the baseline to the best, change by change, or None.
        left_out: The best without each of its changes, or None.
        spent: How long its trials ran, over all its calls: what its budget counts.
    """

    experiment: Experiment
    parameters: tuple[Parameter, ...]
    objectives: tuple[Objective, ...]
    history: tuple[SuggestionRecord, ...]
    confirm: Experiment | None
    path: Experiment | None
    left_out: Experiment | None
    spent: TimeSpent

    @property
    def declared(self) -> Mapping[str, Any]:
        """What the spec says beside the space: sampler, budget, pruning, confirm, ..."""
        return self.experiment.spec.definition["search"]

    @property
    def where(self) -> str | None:
        """The expression that every suggestion satisfies, or None."""
        return self.declared["space"].get("where")

    @cached_property
    def records(self) -> Mapping[str, TrialRecord]:
        """Its trials by id."""
        return {record.trial_id: record for record in self.experiment.records}

    @property
    def baseline(self) -> SuggestionRecord | None:
        """The configuration that it began with."""
        return next((each for each in self.history if each.suggestion.number == 0), None)

    def trials_of(self, record: SuggestionRecord) -> tuple[TrialRecord, ...]:
        """Returns the trials of a suggestion, a seed each."""
        return tuple(self.records[each] for each in record.trial_ids if each in self.records)

    def seconds_of(self, record: SuggestionRecord) -> float:
        """Returns how long a suggestion's trials took; nothing for what was there before."""
        return sum(self._seconds(trial) for trial in self._paid(record))

    def gpu_seconds_of(self, record: SuggestionRecord) -> float:
        """Returns the seconds of a suggestion's trials, times the GPUs of each."""
        return sum(self._seconds(trial) * self._gpus(trial) for trial in self._paid(record))

    def _paid(self, record: SuggestionRecord) -> tuple[TrialRecord, ...]:
        return () if record.suggestion.origin == "ledger" else self.trials_of(record)

    @staticmethod
    def _seconds(trial: TrialRecord) -> float:
        return (duration(trial.outcome.provenance) if trial.outcome else None) or 0.0

    def _gpus(self, trial: TrialRecord) -> float:
        asked = self.experiment.spec.definition["resources"].get("gpus")
        if asked is not None:
            return float(asked)
        device = trial.outcome.provenance.get("device", "cpu") if trial.outcome else "cpu"
        return 0.0 if device == "cpu" else 1.0

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for each in self.history:
            for trial in self.trials_of(each)[:1]:
                found.setdefault(_without_seed(trial), each.suggestion.number)
        return found

    def number_of(self, trial: TrialRecord) -> int | None:
        """Returns the suggestion whose configuration a trial has, whatever its seed, or None."""
        return self._numbers.get(_without_seed(trial))


def is_search(experiment: Experiment) -> bool:
    """Tells whether an experiment looks through a space, instead of comparing levels."""
    return "search" in experiment.spec.definition


def searched_of(ledger: Ledger, experiment: Experiment) -> Searched:
    """Reads the rest of a search.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    declared: dict[str, Any] = experiment.spec.definition["search"]
    known = set(ledger.experiments())
    confirm, path, left_out = (
        Experiment.from_ledger(ledger, name)
        if (name := derived_name(experiment.name, end)) in known
        else None
        for end in RELATED
    )
    return Searched(
        experiment=experiment,
        parameters=parameters_of(declared["space"]["parameters"]),
        objectives=tuple(
            Objective(metric=experiment.metric(each["metric"]), direction=each["direction"])
            for each in declared["objectives"]
        ),
        history=_history(ledger, experiment),
        confirm=confirm,
        path=path,
        left_out=left_out,
        spent=time_spent(ledger, experiment.name),
    )


def _history(ledger: Ledger, experiment: Experiment) -> tuple[SuggestionRecord, ...]:
    """Returns the suggestions of a search, without values that its trials do not read."""
    trials = {each.trial_id: each.trial for each in experiment.records}
    found: list[SuggestionRecord] = []
    for each in suggestions_of(ledger, experiment.name):
        suggestion, trial = each.suggestion, trials.get(each.trial_ids[0])
        if trial is not None:
            values = acting_values(suggestion.values, trial.configuration)
            suggestion = replace(suggestion, values=values)
        found.append(replace(each, suggestion=suggestion))
    return tuple(found)


def load_either(name: str, runs: Path) -> Experiment | Searched:
    """Reads an experiment, with what else there is of it if it is a search.

    Raises:
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
    """
    with Ledger(runs) as ledger, ledger.snapshot():
        experiment = Experiment.from_ledger(ledger, name)
        return searched_of(ledger, experiment) if is_search(experiment) else experiment


def parameters_of(written: Sequence[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """Returns the parameters of a space from what the ledger keeps of them."""
    return tuple(
        Parameter(**{**each, "choices": tuple(each.get("choices", ()))}) for each in written
    )


def load_searched(experiment: Experiment, file: Path) -> Searched:
    """Reads the rest of a search from a ledger's file.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    with Ledger(file) as ledger, ledger.snapshot():
        return searched_of(ledger, experiment)


def _without_seed(record: TrialRecord) -> str:
    return replace(record.trial, seed=0).trial_id
