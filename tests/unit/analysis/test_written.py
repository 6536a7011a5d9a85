"""A written report is kept exactly as long as a new one would say the same."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import qdexp_analysis
from qdexp_analysis import written

from qdexp.experiment.trial import Trial
from qdexp.results.folders import SAMPLED_CLIPS, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.schema import LEDGER_FILE

NAME = "codebook_size"


@pytest.fixture
def runs(make_ledger: Callable[[Any], Path], made: type[Any]) -> Path:
    runs = make_ledger(made())
    qdexp_analysis.write_report(NAME, runs)
    return runs


def first(runs: Path) -> tuple[Trial, Outcome]:
    with Ledger(runs) as ledger:
        record = ledger.members(NAME)[0]
    assert record.outcome is not None
    return record.trial, record.outcome


def again(runs: Path) -> None:
    """The same outcome once more: its numbers are the same, and still it is another one."""
    _, outcome = first(runs)
    with Recorder(runs) as recorder:
        recorder.record_outcome(outcome)


def invalidated(runs: Path) -> None:
    with closing(sqlite3.connect(runs / LEDGER_FILE)) as connection, connection:
        connection.execute("INSERT INTO invalidations VALUES (1, 1.0, 'the disk lied', '')")


def spec_changed(runs: Path) -> None:
    with Ledger(runs) as ledger:
        spec = ledger.specs(NAME)[-1]
        asked = [(record.trial, record.condition) for record in ledger.members(NAME)]
    with Recorder(runs) as recorder:
        recorder.record_plan((spec.file, spec.text + "\n", spec.definition), asked)


def asked_for_less(runs: Path) -> None:
    with closing(sqlite3.connect(runs / LEDGER_FILE)) as connection, connection:
        connection.execute("UPDATE members SET asked_for = 0 WHERE position = 0")


def clip_came(runs: Path) -> None:
    folder = trial_folder(runs, first(runs)[0].trial_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SAMPLED_CLIPS).write_bytes(b"GIF89a")


def page_edited(runs: Path) -> None:
    page = runs / "reports" / NAME / "report.html"
    page.write_text(page.read_text() + "<!-- mine -->")


def page_gone(runs: Path) -> None:
    (runs / "reports" / NAME / "report.md").unlink()


def key_damaged(runs: Path) -> None:
    (runs / "reports" / NAME / written.KEPT).write_text("{")


def test_report_of_which_nothing_changed_is_current_and_says_what_it_said(runs: Path) -> None:
    files = written.current(NAME, runs)
    assert files is not None
    assert files == qdexp_analysis.write_report(NAME, runs)
    assert files.summary_lines


def test_report_is_out_of_date_after_any_change(runs: Path) -> None:
    files = written.current(NAME, runs)
    assert files is not None
    page = files.markdown.read_text()
    changes = (again, invalidated, spec_changed, asked_for_less, clip_came)
    for change in (*changes, page_edited, page_gone, key_damaged):
        change(runs)
        assert written.current(NAME, runs) is None, change.__name__
        files.markdown.write_text(page)
        written.keep(files, written.key_of(NAME, runs))  # as if it had been made anew
        assert written.current(NAME, runs) == files


def test_other_experiments_do_not_make_it_out_of_date(runs: Path) -> None:
    trial, outcome = first(runs)
    other = replace(trial, seed=1000)
    with Recorder(runs) as recorder:
        recorder.record_plan(("s", "t", {"name": "others"}), [(other, {"a.b": 1})])
        recorder.record_outcome(replace(outcome, trial_id=other.trial_id))
    assert written.current(NAME, runs) is not None


def test_other_code_or_libraries_make_it_out_of_date(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("_code", "_libraries"):
        with monkeypatch.context() as patch:
            patch.setattr(written, part, lambda: iter([["x", "another version"]]))
            assert written.current(NAME, runs) is None
    assert written.current(NAME, runs) is not None


def test_all_code_of_the_analysis_is_in_the_key() -> None:
    names = {name for name, _ in written._code()}
    assert {"report.py", "report.html.j2", "report.css", "metrics.py", "ledger.py"} <= names


def test_what_changed_while_a_report_was_made_makes_it_out_of_date(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qdexp_analysis import report

    load = report.load_either

    def meanwhile(name: str, folder: Path) -> object:
        found = load(name, folder)
        again(folder)
        return found

    monkeypatch.setattr(report, "load_either", meanwhile)
    qdexp_analysis.write_report(NAME, runs)
    assert written.current(NAME, runs) is None


def test_finding_out_loads_nothing_heavy(runs: Path) -> None:
    code = (
        "import json, sys, pathlib, qdexp_analysis\n"
        f"assert qdexp_analysis.current({NAME!r}, pathlib.Path({str(runs)!r}))\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pandas", "numpy", "matplotlib", "seaborn", "scipy"}.isdisjoint(
        json.loads(found.stdout)
    )
