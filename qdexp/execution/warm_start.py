"""What a search finds in the ledger before it begins: configurations of its space, measured."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError
from qdexp.execution.objectives import told_of
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger
from qdexp.results.overview import newest_completed
from qdexp.results.suggestions import Told

_ALL = 2**62


@dataclass(frozen=True, kw_only=True)
class Found:
    """A configuration that was measured before.

    Args:
        values: Its values.
        trials: Its trials, a seed each.
        told: What they measured.
    """

    values: Condition
    trials: tuple[Trial, ...]
    told: Told

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """The ids of its trials."""
        return tuple(trial.trial_id for trial in self.trials)


def found_in(
    spec: SearchSpec, ledger: Ledger, trials_of: Callable[[Condition], Sequence[Trial]]
) -> list[Found]:
    """Returns what a ledger has of a search's space, in the order in which it was measured.

    Args:
        spec: The search.
        ledger: The ledger.
        trials_of: The search's trials of values, a seed each.
    """
    completed = {each.trial_id: each for each in newest_completed(ledger, _ALL)}
    oldest_first = reversed([each.trial for each in completed.values()])
    found: list[Found] = []
    for values in found_before(spec, oldest_first, trials_of):
        trials = tuple(trials_of(values))
        outcomes = [completed[trial.trial_id].outcome for trial in trials]
        told = told_of(outcomes, spec.objectives)
        if told.ending == "complete":
            found.append(Found(values=values, trials=trials, told=told))
    return found


def found_before(
    spec: SearchSpec,
    completed: Iterable[Trial],
    trials_of: Callable[[Condition], Sequence[Trial]],
) -> list[Condition]:
    """Returns the values of a space that were measured with all of a search's seeds.

    Args:
        spec: The search.
        completed: The trials of the ledger that completed, in the order in which values come.
        trials_of: The search's trials of values, a seed each: those alone have an equal id, so
            that a trial that differs in anything else is none of them.
    """
    trials = list(completed)
    known = {trial.trial_id for trial in trials}
    first_seed = spec.spec.seeds[0]
    baseline = spec.baseline.fields()
    found: list[Condition] = []
    for trial in trials:
        if trial.seed != first_seed or trial.trainable != spec.spec.trainable:
            continue
        values = _values_in(spec, trial.configuration, baseline)
        if values is None:
            continue
        try:
            wanted = [each.trial_id for each in trials_of(values)]
        except ConfigurationError:
            continue
        if wanted[0] == trial.trial_id and known.issuperset(wanted):
            found.append(values)
    return found


def _values_in(
    spec: SearchSpec, configuration: Settings, baseline: Mapping[str, Any]
) -> Condition | None:
    """Returns a configuration's values if it is one of the space."""
    fields = configuration.fields()
    varied = set(spec.space.fields)
    if fields.keys() != baseline.keys() or not varied <= fields.keys():
        return None
    if any(fields[name] != value for name, value in baseline.items() if name not in varied):
        return None
    values = spec.space.acting(fields, baseline)
    return values if spec.space.contains(values, baseline) else None
