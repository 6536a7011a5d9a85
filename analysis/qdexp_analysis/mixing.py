"""What trials were run with that was not the same for all: machines, code, data.

It matters most where conditions did not share it alike: then a difference between conditions may be
one between machines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.results.ledger import TrialRecord
from qdexp_analysis.table import Experiment

KEYS = ("commit", "dirty", "versions", "hardware", "host", "device", "num_threads")

REVISION, DATA = "results_revision", "data"

MACHINE = ("hardware", "host", "device", "num_threads")
CODE = ("commit", "dirty", "versions", REVISION)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A fact that differs between trials.

    Args:
        key: Which, as provenance has it, or `REVISION` or `DATA`.
        values: Its distinct values, in one line each.
        is_balanced: Whether every condition has trials of each value: the seeds are then mixed, and
            the conditions alike.
    """

    key: str
    values: tuple[str, ...]
    is_balanced: bool


def mixtures(experiment: Experiment) -> tuple[Mixture, ...]:
    """Returns every fact that differs between trials that have an outcome."""
    by_condition = dict(enumerate(map(experiment.records_at, range(len(experiment.conditions)))))
    varies_data = any(factor.field.startswith("data.") for factor in experiment.factors)
    return mixtures_of(by_condition, with_data=not varies_data)


def mixtures_of(
    groups: Mapping[int, Sequence[TrialRecord]], *, with_data: bool
) -> tuple[Mixture, ...]:
    """Returns every fact that differs between trials of groups that are compared.

    Args:
        groups: The trials of each; those without an outcome say nothing.
        with_data: Whether other data are such a fact too.
    """
    keys = [(key, _provenance(key)) for key in KEYS]
    keys.append((REVISION, lambda record: record.revision))
    if with_data:
        keys.append((DATA, lambda record: record.trial.data_fingerprint))
    found = [_mixture(groups, key, read) for key, read in keys]
    return tuple(each for each in found if each is not None)


def flat(value: object) -> str:
    """Returns a value of provenance in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
    return str(value)


def _provenance(key: str) -> Callable[[TrialRecord], Any]:
    return lambda record: record.outcome.provenance.get(key) if record.outcome else None


def _mixture(
    groups: Mapping[int, Sequence[TrialRecord]], key: str, read: Callable[[TrialRecord], Any]
) -> Mixture | None:
    by_group: dict[int, set[str]] = {}
    for group, records in groups.items():
        for record in records:
            value = read(record) if record.outcome is not None else None
            if value is not None:
                by_group.setdefault(group, set()).add(flat(value))
    values = set[str]().union(*by_group.values())
    if len(values) < 2:
        return None
    is_balanced = all(found == values for found in by_group.values())
    return Mixture(key=key, values=tuple(sorted(values)), is_balanced=is_balanced)
