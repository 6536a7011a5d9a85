"""Histories and arrays of many trials, read as they are needed: never all of them at once."""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qdexp.results import schema
from qdexp.results.ledger import Ledger
from qdexp.results.troubles import trouble

if TYPE_CHECKING:
    from array import array

_TOGETHER = 100
"""Trials whose blocks are in memory at once."""

_SHORT = 512
"""Bytes of packed values up to which they may be the same in most trials: noise levels, say."""

_MOST_KEPT = 1000

_NAMED = """
SELECT o.trial_id, b.name, b.block FROM json_each(?1) wanted
JOIN outcomes o ON o.outcome_id =
    (SELECT max(outcome_id) FROM outcomes x WHERE x.trial_id = wanted.value)
JOIN blocks b ON b.outcome_id = o.outcome_id AND b.kind = ?2
WHERE b.name IN (SELECT value FROM json_each(?3))
ORDER BY wanted.key, b.name
"""
_ALL = _NAMED.replace("WHERE b.name IN (SELECT value FROM json_each(?3))", "")


Numbers = tuple[str, str, "array[int]", "array[float]"]
"""A trial's id, a name, steps or a shape, and values."""


def numbers(
    ledger: Ledger, kind: str, trial_ids: Sequence[str], names: Sequence[str] | None = None
) -> Iterator[Numbers]:
    """Yields the histories or arrays of trials' last outcomes.

    Args:
        ledger: Where they are.
        kind: ``history`` or ``array``.
        trial_ids: Whose, in the order in which they come.
        names: Which; all unless given.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    query, rest = (_ALL, ()) if names is None else (_NAMED, (json.dumps(list(names)),))
    firsts: dict[bytes, array[int]] = {}
    seconds: dict[bytes, array[float]] = {}
    for start in range(0, len(trial_ids), _TOGETHER):
        together = json.dumps(list(trial_ids[start : start + _TOGETHER]))
        for trial_id, name, block in ledger.rows(query, together, kind, *rest):
            try:
                packed, values = schema.parts_of_block(block)
                if packed not in firsts:  # most trials share their steps, and shapes are few
                    firsts[packed] = schema.integers_from_part(packed)
                yield trial_id, name, firsts[packed], _floats(values, seconds)
            except (ValueError, zlib.error) as error:
                raise trouble(ledger.file, "a readable ledger", error) from error


def _floats(packed: bytes, known: "dict[bytes, array[float]]") -> "array[float]":
    """Returns packed values; short ones are unpacked once, and are the same object each time."""
    if len(packed) > _SHORT:
        return schema.floats_from_part(packed)
    if packed not in known:
        if len(known) >= _MOST_KEPT:
            known.clear()
        known[packed] = schema.floats_from_part(packed)
    return known[packed]
