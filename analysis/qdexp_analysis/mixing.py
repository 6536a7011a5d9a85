"""What trials were run with that was not the same for all: machines, code, data.

It matters most where conditions did not share it alike: then a difference between conditions may be
one between machines.
"""

from collections.abc import Callable
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
    keys = [(key, _provenance(key)) for key in KEYS]
    keys.append((REVISION, lambda record: record.revision))
    if not any(factor.field.startswith("data.") for factor in experiment.factors):
        keys.append((DATA, lambda record: record.trial.data_fingerprint))
    found = [_mixture(experiment, key, read) for key, read in keys]
    return tuple(each for each in found if each is not None)


def flat(value: object) -> str:
    """Returns a value of provenance in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
    return str(value)


def _provenance(key: str) -> Callable[[TrialRecord], Any]:
    return lambda record: record.outcome.provenance.get(key) if record.outcome else None


def _mixture(
    experiment: Experiment, key: str, read: Callable[[TrialRecord], Any]
) -> Mixture | None:
    by_condition: dict[int, set[str]] = {}
    for record in experiment.records:
        value = read(record) if record.outcome is not None else None
        if value is not None:
            place = experiment.place(record)[0]
            by_condition.setdefault(place, set()).add(flat(value))
    values = set[str]().union(*by_condition.values())
    if len(values) < 2:
        return None
    is_balanced = all(found == values for found in by_condition.values())
    return Mixture(key=key, values=tuple(sorted(values)), is_balanced=is_balanced)
