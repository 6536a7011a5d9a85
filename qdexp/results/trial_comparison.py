"""What differs between two trials: what was asked, what came out, and with what it ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qdexp.results.comparison import Difference, differences
from qdexp.results.provenance import OF_THE_MOMENT, flat
from qdexp.results.records import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A fact that two trials have differently; None where one has it not at all."""

    name: str
    one: Any
    other: Any


@dataclass(frozen=True, kw_only=True)
class TrialDifferences:
    """What differs between two trials; nothing that is equal.

    Args:
        configuration: Fields.
        trial: Seed, data, trainable, and the RESULTS_REVISION in the ids.
        outcome: Status, steps, reason of failure, whether it counts.
        measurements: Numbers, timings too.
        provenance: Commit, changes, versions, hardware, command; not when and in which process.
    """

    configuration: tuple[Pair, ...]
    trial: tuple[Pair, ...]
    outcome: tuple[Pair, ...]
    measurements: tuple[Difference, ...]
    provenance: tuple[Pair, ...]


def trial_differences(one: TrialRecord, other: TrialRecord) -> TrialDifferences:
    """Compares two trials, finished or not."""
    measured: tuple[Difference, ...] = ()
    if one.outcome and other.outcome:
        measured = tuple(differences(one.outcome, other.outcome))
    return TrialDifferences(
        configuration=_pairs(one.trial.configuration.fields(), other.trial.configuration.fields()),
        trial=_pairs(_trial(one), _trial(other)),
        outcome=_pairs(_outcome(one), _outcome(other)),
        measurements=measured,
        provenance=_pairs(_provenance(one), _provenance(other)),
    )


def _pairs(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Pair, ...]:
    names = dict.fromkeys((*one, *other))
    pairs = (Pair(name=name, one=one.get(name), other=other.get(name)) for name in names)
    return tuple(pair for pair in pairs if pair.one != pair.other)


def _trial(record: TrialRecord) -> dict[str, Any]:
    return {
        "seed": record.trial.seed,
        "data": record.trial.data_fingerprint,
        "trainable": record.trial.trainable,
        "revision": record.revision,
    }


def _outcome(record: TrialRecord) -> dict[str, Any]:
    if record.outcome is None:
        return {"outcome": None}
    failure = record.outcome.failure
    return {
        "outcome": record.outcome.status,
        "step": record.outcome.step,
        "kind": failure and failure.kind,
        "reason": failure and failure.reason,
        "invalidated": record.invalidated,
        "warnings": "; ".join(record.outcome.warnings) or None,
    }


def _provenance(record: TrialRecord) -> dict[str, str]:
    recorded = record.outcome.provenance if record.outcome else {}
    return flat({name: value for name, value in recorded.items() if name not in OF_THE_MOMENT})
