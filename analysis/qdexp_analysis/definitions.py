"""What a metric means in an experiment: only numbers of one meaning may stand in one column.

A metric declares the configuration fields that enter its definition, such as the tokens that a
codebook is counted over; the clips enter by the fingerprint of the data. Measures of samples carry
the number of samples and the network in their names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from qdexp.config.metric import Metric
from qdexp.experiment.identity import digest
from qdexp.results.ledger import TrialRecord

DATA = "data"
"""Stands among a meaning's fields for the inputs that the data are made of."""


def meaning(metric: Metric, records: Sequence[TrialRecord]) -> dict[str, tuple[Any, ...]]:
    """Returns every field in a metric's definition with the distinct values that trials have."""
    found: dict[str, list[Any]] = {}
    for record in records:
        for field, value in _fields(metric, record).items():
            values = found.setdefault(field, [])
            if value not in values:
                values.append(value)
    return {field: tuple(values) for field, values in sorted(found.items())}


def meaning_digest(metric: Metric, records: Sequence[TrialRecord]) -> str:
    """Returns 12 digits that are equal where a metric means the same."""
    return digest([metric.name, meaning(metric, records)])[:12]


def differing(
    one: Mapping[str, tuple[Any, ...]], other: Mapping[str, tuple[Any, ...]]
) -> list[tuple[str, str, str]]:
    """Returns the fields in which two meanings differ, with both values in words."""
    return [
        (field, _text(one.get(field)), _text(other.get(field)))
        for field in sorted({*one, *other})
        if one.get(field) != other.get(field)
    ]


def _text(values: tuple[Any, ...] | None) -> str:
    return "nothing" if values is None else ", ".join(str(value) for value in values)


def _fields(metric: Metric, record: TrialRecord) -> dict[str, Any]:
    fields = record.trial.configuration.fields()
    found = {
        name: value
        for name, value in fields.items()
        if metric.is_defined_by(name) and not name.startswith("data.")
    }
    if any(name.startswith("data.") for name in metric.defined_by):
        found[DATA] = record.trial.data_fingerprint
    return found
