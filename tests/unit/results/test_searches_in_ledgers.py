"""Searches move with their ledgers: imported, bundled, upgraded, and never mixed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from searches import attempts, records_of, searched, spec_of, told

from qdexp.errors import LedgerError
from qdexp.results import schema
from qdexp.results.bundle_writing import write_bundle
from qdexp.results.importing import import_ledger
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import OF_SEARCHES, suggestions_of, time_spent

PRUNING = {"kind": "median", "metric": "error", "steps": [1], "least": 1}


def rows(runs: Path) -> dict[str, list[tuple[object, ...]]]:
    with Ledger(runs) as ledger:
        return {table: ledger.rows(f"SELECT * FROM {table}") for table in (*OF_SEARCHES, "members")}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Another machine's runs folder, with a search of four."""
    searched(spec_of(num_trials=4, pruning=PRUNING), tmp_path / "there")
    return tmp_path / "there"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def test_imported_search_reads_as_the_other_one_and_goes_on_here(there: Path, here: Path) -> None:
    import_ledger(there, here, with_files=True)
    assert rows(here) == rows(there)
    import_ledger(there, here, with_files=True)
    assert rows(here) == rows(there)
    searched(spec_of(num_trials=6, pruning=PRUNING), here)
    assert told(here)[:4] == told(there)
    begun = attempts(here)
    for record in records_of(here)[4:]:
        assert begun[record.trial_ids[0]] == 1


def test_history_that_continues_ours_is_taken(there: Path, here: Path) -> None:
    import_ledger(there, here, with_files=True)
    searched(spec_of(num_trials=7, pruning=PRUNING), here)
    done = import_ledger(here, there, with_files=True)
    assert done.merged.keeping_their_history == []
    assert records_of(there) == records_of(here)
    with Ledger(there) as ours, Ledger(here) as theirs:
        assert all(member.is_asked_for for member in ours.members("hill"))
        assert time_spent(ours, "hill") == time_spent(theirs, "hill")
    assert searched(spec_of(num_trials=7, pruning=PRUNING), there).num_run == 0


def test_another_history_is_not_mixed_into_ours(there: Path, here: Path) -> None:
    searched(spec_of(num_trials=4, pruning=PRUNING, enqueue=[{"x": 0.1, "y": 0.1}]), here)
    before = rows(here)
    done = import_ledger(there, here, with_files=True)
    assert done.merged.keeping_their_history == ["hill"]
    after = rows(here)
    assert {t: after[t] for t in OF_SEARCHES} == {t: before[t] for t in OF_SEARCHES}
    with Ledger(here) as ledger:
        asked = [each.trial_id for each in ledger.members("hill") if each.is_asked_for]
    assert asked == [trial_id for each in records_of(here) for trial_id in each.trial_ids]
    found = searched(spec_of(name="both", num_trials=1), here)
    with Ledger(here) as ledger:
        completed = ledger.rows("SELECT count(DISTINCT trial_id) FROM outcomes WHERE status = ?",
                                "completed")  # fmt: skip
    assert found.num_found == completed[0][0] - 1  # all but the baseline, of both


def test_another_search_of_the_same_name_is_not_mixed_into_ours(there: Path, here: Path) -> None:
    wider = {"x": {"low": 0.0, "high": 2.0}, "y": {"low": 0.0, "high": 1.0}}
    searched(spec_of(num_trials=1, space=wider, set={"x": 0.5, "y": 0.5}), here)
    first = records_of(here)
    assert first[0].trial_ids == records_of(there)[0].trial_ids, "they begin alike"
    done = import_ledger(there, here, with_files=False)
    assert done.merged.keeping_their_history == ["hill"]
    assert records_of(here) == first
    with Ledger(here) as ledger:
        asked = [each.trial_id for each in ledger.members("hill") if each.is_asked_for]
    assert asked == [*first[0].trial_ids]


def test_ablation_here_stays_one_beside_a_search_of_its_name_there(there: Path, here: Path) -> None:
    with Ledger(there) as ledger:
        spec, trial = ledger.specs("hill")[-1], ledger.members("hill")[0].trial
    definition = {key: value for key, value in spec.definition.items() if key != "search"}
    with Recorder(here) as recorder:
        recorder.record_plan(("hill.yaml", "name: hill", definition), [(trial, {"x": 0.5})])
    done = import_ledger(there, here, with_files=False)
    assert done.merged.keeping_their_history == ["hill"]
    with Ledger(here) as ledger:
        assert suggestions_of(ledger, "hill") == []
        asked = [each.trial_id for each in ledger.members("hill") if each.is_asked_for]
    assert asked == [trial.trial_id]


def test_bundle_has_the_search(there: Path, here: Path, tmp_path: Path) -> None:
    write_bundle("hill", there, {}, tmp_path / "hill.zip", with_checkpoints=False)
    import_ledger(tmp_path / "hill.zip", here, with_files=True)
    assert rows(here) == rows(there)


def test_search_that_makes_no_sense_is_not_imported(there: Path, here: Path) -> None:
    for change in (
        "UPDATE suggestions SET content = '{}' WHERE number = 1",
        "UPDATE tellings SET content = 'no' WHERE number = 1",
        "UPDATE suggestions SET search = '../up'",
        """UPDATE specs SET definition = json_set(definition, '$.search', 'no')""",
    ):
        damaged = there.with_name("damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(there, damaged)
        with closing(sqlite3.connect(damaged / schema.LEDGER_FILE)) as write, write:
            write.execute(change)
        with pytest.raises(LedgerError, match="nothing was imported"):
            import_ledger(damaged, here, with_files=False)
        with Ledger(here) as ledger:
            assert ledger.experiments() == []


def test_ledger_of_version_2_is_read_and_upgraded_and_searched_in(here: Path) -> None:
    with Recorder(here):
        pass
    with closing(sqlite3.connect(here / schema.LEDGER_FILE)) as write, write:
        for table in OF_SEARCHES:
            write.execute(f"DROP TABLE {table}")
        write.execute("PRAGMA user_version = 2")
    with Ledger(here) as ledger:
        assert suggestions_of(ledger, "hill") == []
    searched(spec_of(num_trials=2), here)
    assert [ending for _, ending, _ in told(here)] == ["complete"] * 2
    with closing(sqlite3.connect(here / schema.LEDGER_FILE)) as read:
        assert read.execute("PRAGMA user_version").fetchone() == (3,)
