"""Merging the suggestions of searches: a history that continues ours is taken, another one is not.

Numbers of suggestions are their order, so that two histories cannot be mixed; nor can those of two
searches that have one name and look through different spaces, or for different objectives.
"""

import json
import sqlite3
from collections.abc import Sequence

from qdexp.results.foreign import ForeignLedger
from qdexp.results.records import Row


def merge_searches(write: sqlite3.Connection, theirs: ForeignLedger) -> list[str]:
    """Adds what another ledger has of searches; returns those that have another history here."""
    return [name for name in theirs.searches() if not _is_merged(write, name, theirs)]


def _is_merged(write: sqlite3.Connection, name: str, theirs: ForeignLedger) -> bool:
    if not _is_same_search(write, name, theirs):
        return False  # of another spec: its trials came as no longer asked for
    rows = theirs.search_rows(name)
    here = _contents(write, "suggestions", name)
    there = {number: content for _, number, _, content in rows["suggestions"]}
    is_ours = all(there[number] == here[number] for number in here.keys() & there.keys())
    told_here = _contents(write, "tellings", name)
    told_there = {number: content for _, number, _, content in rows["tellings"]}
    common = told_here.keys() & told_there.keys()
    is_ours = is_ours and all(told_here[number] == told_there[number] for number in common)
    if not is_ours:
        _ask_no_more(write, name, here)
        return False
    for table in ("suggestions", "tellings", "rungs"):
        for row in rows[table]:
            _add(write, table, row, "OR IGNORE ")
    known = set(write.execute("SELECT recorded_at FROM spent WHERE search = ?", (name,)))
    for row in rows["spent"]:
        if (row[1],) not in known:
            _add(write, "spent", row)
    write.execute(
        "UPDATE members SET asked_for = 1 WHERE experiment = ?1 AND trial_id IN (SELECT t.value"
        " FROM suggestions s, json_each(s.content, '$.trial_ids') t WHERE s.search = ?1)",
        (name,),
    )
    return True


def _is_same_search(write: sqlite3.Connection, name: str, theirs: ForeignLedger) -> bool:
    """Tells whether the present specs of a name ask for one search here and there."""
    query = "SELECT definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC LIMIT 1"
    here = write.execute(query, (name,)).fetchone()
    return here is not None and theirs.is_of_search(name, json.loads(here[0]))


def _contents(write: sqlite3.Connection, table: str, name: str) -> dict[int, str]:
    return dict(write.execute(f"SELECT number, content FROM {table} WHERE search = ?", (name,)))


def _ask_no_more(write: sqlite3.Connection, name: str, here: dict[int, str]) -> None:
    """Leaves the search its own trials, and what they learn from: what came stays as it came."""
    ours = [trial_id for content in here.values() for trial_id in json.loads(content)["trial_ids"]]
    write.execute(
        "UPDATE members SET asked_for = 0 WHERE experiment = ? AND condition <> '{}'"
        " AND trial_id NOT IN (SELECT value FROM json_each(?))",
        (name, json.dumps(ours)),
    )


def _add(write: sqlite3.Connection, table: str, row: Sequence[object] | Row, how: str = "") -> None:
    write.execute(f"INSERT {how}INTO {table} VALUES ({', '.join('?' * len(row))})", tuple(row))
