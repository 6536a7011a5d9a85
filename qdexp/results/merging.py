"""Merging another ledger into ours: everything once, however often it is imported.

What a trial is known by here stays: an imported outcome becomes a trial's last one only where the
trial has no result that counts. An equal result is the same one. Another result is kept beside
ours, whole, with where it is from, and counts nowhere.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from qdexp.results.comparison import Difference, disagreement
from qdexp.results.foreign import ForeignLedger, OutcomeRow, outcome_rows
from qdexp.results.invalidation import mark_invalid
from qdexp.results.ledger import Ledger
from qdexp.results.merging_searches import merge_searches
from qdexp.results.packed import packed
from qdexp.results.records import Row


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A trial that has another result there than here; ours counts.

    Args:
        trial_id: The trial.
        here: How ours ended.
        there: How theirs ended.
        numbers: The measurements that differ, ours first; timings are not compared.
    """

    trial_id: str
    here: str
    there: str
    numbers: tuple[Difference, ...]


@dataclass(kw_only=True)
class Merged:
    """What an import did.

    Args:
        num_experiments: Experiments there.
        num_trials: Trials there; `num_new_trials` of them were unknown here.
        num_outcomes: Outcomes that were added.
        num_equal: Results that were measured on both machines, equally.
        num_invalidated: Outcomes of ours that were invalidated there, and now are here.
        disagreements: Trials whose results differ.
        keeping_their_spec: Experiments known here by another spec, which stays; their other trials
            came as no longer asked for.
        keeping_their_history: Searches whose suggestions here are others than there; ours stay, and
            the trials of theirs came as no longer asked for.
        sharing_files: Trials whose files there are as good as ours.
    """

    num_experiments: int = 0
    num_trials: int = 0
    num_new_trials: int = 0
    num_outcomes: int = 0
    num_equal: int = 0
    num_invalidated: int = 0
    disagreements: list[Disagreement] = field(default_factory=list[Disagreement])
    keeping_their_spec: list[str] = field(default_factory=list[str])
    keeping_their_history: list[str] = field(default_factory=list[str])
    sharing_files: list[str] = field(default_factory=list[str])


def merge(
    write: sqlite3.Connection,
    ours: Ledger,
    theirs: ForeignLedger,
) -> Merged:
    """Adds what another ledger has.

    Args:
        write: A transaction of our writer.
        ours: Our ledger, read.
        theirs: The other one.

    Raises:
        LedgerError: Something there is not what it should be.
    """
    merged = Merged()
    write.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", theirs.texts())
    merging = _Merging(write, ours, theirs, merged)
    trial_ids = merging.trials()
    merging.specs_and_members()
    merged.keeping_their_history = merge_searches(write, theirs)
    merging.starts()
    for trial_id in trial_ids:
        merging.outcomes(trial_id)
    write.executemany(
        "INSERT OR IGNORE INTO disagreements VALUES (?, ?, ?, ?, ?)", theirs.disagreements()
    )
    return merged


class _Merging:
    """One import, while it goes on."""

    def __init__(
        self,
        write: sqlite3.Connection,
        ours: Ledger,
        theirs: ForeignLedger,
        merged: Merged,
    ) -> None:
        self._write = write
        self._ours = ours
        self._theirs = theirs
        self._merged = merged
        self._timings = ours.timings()

    def trials(self) -> list[str]:
        trial_ids: list[str] = []
        for row in self._theirs.trials():
            added = self._write.execute("INSERT OR IGNORE INTO trials VALUES (?, ?, ?, ?, ?)", row)
            self._merged.num_new_trials += added.rowcount
            trial_ids.append(row[0])
        self._merged.num_trials = len(trial_ids)
        return trial_ids

    def specs_and_members(self) -> None:
        by_experiment: dict[str, list[Row]] = {}
        for row in self._theirs.specs():
            by_experiment.setdefault(row[0], []).append(row)
        self._merged.num_experiments = len(by_experiment)
        present = {name: self._present_spec(name) for name in by_experiment}
        for name, rows in by_experiment.items():
            self._specs(name, rows, is_known=present[name] is not None)
        is_theirs = {
            name: present[name] in (None, tuple(rows[-1][3:]))
            for name, rows in by_experiment.items()
        }
        self._timings |= self._theirs.ledger.timings()
        stray: dict[str, int] = {}
        for experiment, *rest, asked_for in self._theirs.members():
            is_asked_for = asked_for if is_theirs.get(experiment) else 0
            added = self._write.execute(
                "INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?, ?)",
                (experiment, *rest, is_asked_for),
            )
            stray[experiment] = stray.get(experiment, 0) + added.rowcount * (
                is_asked_for != asked_for
            )
        self._merged.keeping_their_spec += [name for name, number in stray.items() if number]

    def _present_spec(self, experiment: str) -> Row | None:
        return self._write.execute(
            "SELECT text, definition FROM specs WHERE experiment = ? ORDER BY spec_id DESC",
            (experiment,),
        ).fetchone()

    def _specs(self, experiment: str, rows: Sequence[Row], *, is_known: bool) -> None:
        """Adds texts of a spec: after ours if there are none, and else before them all."""
        known = set(
            self._write.execute(
                "SELECT text, definition FROM specs WHERE experiment = ?", (experiment,)
            )
        )
        new = [row for row in rows if not is_known or tuple(row[3:]) not in known]
        numbers: Sequence[int | None] = [None] * len(new)
        if is_known:
            numbers = self._numbers_below("specs", "spec_id", len(new))
        self._write.executemany(
            "INSERT INTO specs VALUES (?, ?, ?, ?, ?, ?)",
            [(number, *row) for number, row in zip(numbers, new, strict=True)],
        )

    def _numbers_below(self, table: str, column: str, count: int) -> list[int]:
        """Returns free numbers, rising, before all that are taken."""
        query = f"SELECT min(0, coalesce(min({column}), 0)) FROM {table}"
        (first,) = self._write.execute(query).fetchone()
        return list(range(first - count, first))

    def starts(self) -> None:
        known = Counter(self._write.execute("SELECT trial_id, started_at FROM starts").fetchall())
        for row in self._theirs.starts():  # a clock that was set may show one time twice
            if known[row[:2]]:
                known[row[:2]] -= 1
            else:
                self._write.execute("INSERT INTO starts VALUES (?, ?, ?)", row)

    def outcomes(self, trial_id: str) -> None:
        theirs = self._theirs.outcomes(trial_id)
        known = {row.key: row for row in outcome_rows(self._ours, trial_id)}
        invalid_here = {key for key, row in known.items() if row.because is not None}
        for row in theirs:
            if row.because is not None and row.key in known and row.key not in invalid_here:
                mark_invalid(
                    self._write, known[row.key].outcome_id, row.invalidated_at or 0.0, row.because
                )
                invalid_here.add(row.key)
                self._merged.num_invalidated += 1
        ours = next(reversed(known.values()), None)
        is_ours_settled = ours is not None and ours.is_settled and ours.key not in invalid_here
        last = theirs[-1] if theirs else None
        new = [row for row in theirs if row.key not in known]
        is_equal = last is not None and ours is not None and last.key == ours.key
        if last and ours and is_ours_settled and last.is_settled and last.key not in known:
            new.remove(last)
            is_equal = self._compare(ours, last)
        is_last_new = bool(new) and new[-1] is last
        is_theirs_better = last is not None and last.is_settled and is_last_new
        if new:
            self._add(new, is_before=bool(known) and not (is_theirs_better and not is_ours_settled))
        if last is None or not last.is_settled:
            is_shared = not is_ours_settled and not invalid_here and not _any_invalid(theirs)
        else:
            is_shared = is_last_new if not is_ours_settled else is_equal
        if is_shared:
            self._merged.sharing_files.append(trial_id)

    def _compare(self, ours: OutcomeRow, theirs: OutcomeRow) -> bool:
        """Tells whether two results agree; where they do not, keeps theirs beside ours."""
        here, there = ours.outcome(), theirs.outcome()
        numbers = disagreement(here, there, self._timings)
        if numbers is None:
            self._merged.num_equal += 1
            return True
        self._merged.disagreements.append(
            Disagreement(
                trial_id=ours.trial_id,
                here=here.status,
                there=there.status,
                numbers=tuple(numbers),
            )
        )
        sha256, content = packed(self._theirs.whole(theirs))
        self._write.execute(
            "INSERT OR IGNORE INTO disagreements VALUES (?, ?, ?, ?, ?)",
            (ours.trial_id, sha256, time.time(), self._theirs.origin, content),
        )
        return False

    def _add(self, rows: Sequence[OutcomeRow], *, is_before: bool) -> None:
        numbers = self._numbers_below("outcomes", "outcome_id", len(rows)) if is_before else None
        for place, row in enumerate(rows):
            added = self._write.execute(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (numbers[place] if numbers else None, row.trial_id, *row.values),
            )
            self._write.executemany(
                "INSERT INTO blocks VALUES (?, ?, ?, ?)",
                [(added.lastrowid, *block) for block in self._theirs.blocks(row)],
            )
            if row.because is not None:
                self._write.execute(
                    "INSERT INTO invalidations VALUES (?, ?, ?, '')",  # its folder is elsewhere
                    (added.lastrowid, row.invalidated_at, row.because),
                )
        self._merged.num_outcomes += len(rows)


def _any_invalid(rows: Sequence[OutcomeRow]) -> bool:
    return any(row.because is not None for row in rows)
