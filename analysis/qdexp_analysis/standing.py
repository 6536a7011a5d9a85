"""How a planned trial stands: what its last outcome says, if that counts."""

from collections.abc import Sequence
from dataclasses import replace

from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.records import OtherOutcome
from qdexp_analysis.language import say, word

MISSING = "missing"
"""The status of a planned trial that has no outcome yet."""

INVALIDATED = "invalidated"
"""The status of a planned trial whose last outcome counts no more."""


def status_of(record: TrialRecord) -> str:
    """Returns how a planned trial ended, or `MISSING`, or `INVALIDATED`."""
    if record.invalidated is not None:
        return INVALIDATED
    return record.outcome.status if record.outcome else MISSING


def reason_of(record: TrialRecord) -> str:
    """Returns why a planned trial has no completed outcome, or nothing."""
    if record.invalidated is not None:
        return say("invalidated: {why}", why=record.invalidated)
    return record.outcome.failure.reason if record.outcome and record.outcome.failure else ""


def counted(record: TrialRecord) -> TrialRecord:
    """Returns a record without an outcome that counts no more, so that nothing can count it."""
    return replace(record, outcome=record.counted)


def other_results(ledger: Ledger, records: Sequence[TrialRecord]) -> dict[str, tuple[str, ...]]:
    """Returns, in words by trial id, where else a trial has another result than the one counted."""
    known = {each for (each,) in ledger.rows("SELECT DISTINCT trial_id FROM disagreements")}
    return {
        record.trial_id: _others(ledger, record) if record.trial_id in known else ()
        for record in records
    }


def _others(ledger: Ledger, record: TrialRecord) -> tuple[str, ...]:
    return tuple(
        say(
            "another result, imported from {origin}, differs in {what}: this one counts",
            origin=other.origin,
            what=_what(other),
        )
        for other in ledger.others(record)
    )


def _what(other: OtherOutcome) -> str:
    return say(", ").join(each.name for each in other.numbers) or say(
        "its end, {status}", status=word(other.outcome.status)
    )
