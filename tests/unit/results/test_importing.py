# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""An import takes what is sound, whole or not at all, and copies what is missing."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qdexp.errors import LedgerError, LedgerInUseError, RequestError
from qdexp.results import schema
from qdexp.results.foreign import ForeignLedger
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder


def test_files_are_copied_where_they_are_missing(machines, here, there) -> None:
    trial = machines.trial()
    there.runs_trial(trial)
    for name in ("final_checkpoint.pt", "samples.gif", "checkpoint_step_3.pt", ".x.tmp", "y.tmp"):
        there.keeps(trial, name)
    (there.folder(trial) / "link").symlink_to("/etc/hostname")
    here.keeps(trial, "samples.gif", b"ours")
    done = here.imports(there)
    found = {path.name: path.read_bytes() for path in here.folder(trial).iterdir()}
    assert found == {"samples.gif": b"ours", "final_checkpoint.pt": b"content"}
    assert (done.copied.num_files, done.copied.num_bytes) == (1, 7)


def test_unfinished_trial_goes_on_from_their_checkpoint(machines, here, there) -> None:
    trial = machines.trial()
    there.asks(trial)
    there.ends(machines.failed(trial))
    there.keeps(trial, "checkpoint_step_3.pt")
    here.imports(there)
    assert (here.folder(trial) / "checkpoint_step_3.pt").exists()


def test_files_of_a_disagreeing_result_stay_there(machines, here, there) -> None:
    trial = machines.trial()
    here.runs_trial(trial, loss=0.25)
    there.runs_trial(trial, loss=0.5)
    there.keeps(trial, "final_checkpoint.pt")
    here.imports(there)
    assert not here.folder(trial).exists()


def test_no_files_are_copied_unless_wanted_and_the_next_import_brings_them(
    machines, here, there
) -> None:
    trial = machines.trial()
    there.runs_trial(trial)
    there.keeps(trial, "final_checkpoint.pt")
    here.imports(there, with_files=False)
    assert not here.folder(trial).exists()
    here.imports(there)
    assert (here.folder(trial) / "final_checkpoint.pt").exists()


def test_import_is_refused_while_a_driver_runs_here(machines, here, there) -> None:
    there.runs_trial(machines.trial())
    with Recorder(here.runs), pytest.raises(LedgerInUseError, match="in use by process"):
        here.imports(there)


def test_import_reads_while_a_driver_runs_there(machines, here, there) -> None:
    trial = machines.trial()
    there.asks(trial)
    with Recorder(there.runs) as recorder:
        recorder.record_outcome(machines.completed(trial))
        here.imports(there)
    assert here.counts(trial) == 0.25


@pytest.mark.parametrize("place", ["here", "nowhere", "there"])
def test_what_is_no_other_runs_folder_is_refused(
    machines, here, tmp_path: Path, place: str
) -> None:
    here.runs_trial(machines.trial())
    (tmp_path / "there").mkdir()
    before = here.rows()
    with pytest.raises(RequestError, match="expected"):
        here.imports(tmp_path / place)
    assert here.rows() == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trials SET trial_id = '../../../../tmp/x'", "16 hexadecimal digits"),
        ("UPDATE trials SET content = '{}'", "expected trial"),
        ("UPDATE specs SET experiment = '../x'", "experiment's name"),
        ("UPDATE specs SET definition = '{\"own\": 5}'", "expected the spec of sizes"),
        ("UPDATE outcomes SET status = 'won'", "expected an outcome"),
        ("UPDATE outcomes SET measurements = 'x'", "expected an outcome"),
        ("UPDATE blocks SET block = x'00'", "expected array eval.clip_errors"),
        ("INSERT INTO texts VALUES ('00', 'x')", "a text that has its hash"),
        ("UPDATE outcomes SET trial_id = 'ffffffffffffffff'", ""),
    ],
)
def test_ledger_with_a_row_that_makes_no_sense_is_not_let_in(
    machines, here, there, statement: str, message: str
) -> None:
    here.runs_trial(machines.trial(1))
    there.runs_trial(machines.trial())
    with closing(sqlite3.connect(there.runs / schema.LEDGER_FILE)) as connection:
        connection.execute(statement)
        connection.commit()
    before = here.rows()
    if message:
        with pytest.raises(LedgerError, match=message):
            here.imports(there)
        assert here.rows() == before
    else:  # an outcome of no trial belongs to nobody
        here.imports(there)
        assert len(here.rows()["outcomes"]) == 1


def test_mirrored_outcomes_of_a_ledger_of_version_1_were_in_the_runs_folder(
    version_1: Path,
) -> None:
    with closing(sqlite3.connect(version_1 / schema.LEDGER_FILE)) as write, write:
        write.execute("INSERT INTO mirrored VALUES ('sizes', 1)")
    with Ledger(version_1) as ledger:
        assert ledger.unmirrored("sizes", "") == []
        assert len(ledger.unmirrored("sizes", "http://elsewhere")) == 1
    with Recorder(version_1), Ledger(version_1) as ledger:
        assert ledger.places() == [""]


def test_ledger_of_version_1_is_imported(machines, here, version_1: Path) -> None:
    before = version_1.joinpath(schema.LEDGER_FILE).read_bytes()
    here.imports(version_1)
    assert here.counts(machines.trial()) == 0.25
    assert version_1.joinpath(schema.LEDGER_FILE).read_bytes() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from qdexp.results import importing, sources
from qdexp.results.merging import _Merging

def kill(*_a, **_k):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[3]
if where == "in the middle of the ledger":
    done = []
    add = _Merging._add
    def dies_at_the_second(self, *a, **k):
        add(self, *a, **k)
        done.append(1)
        if len(done) == 2:
            kill()
    _Merging._add = dies_at_the_second
elif where == "before the files":
    importing.copy_files = kill
else:
    def dies_half_way(source, target, _length):
        target.write(source.read(3))
        target.flush()
        kill()
    sources.shutil.copyfileobj = dies_half_way
importing.import_ledger(Path(sys.argv[1]), Path(sys.argv[2]), with_files=True)
"""


@pytest.mark.parametrize(
    "where", ["in the middle of the ledger", "before the files", "in the middle of a file"]
)
def test_import_that_was_killed_is_made_up_for(machines, here, there, where: str) -> None:
    mine, trials = machines.trial(9), [machines.trial(seed) for seed in range(3)]
    here.runs_trial(mine)
    there.asks(*trials)
    there.ends(*(machines.completed(each) for each in trials))
    for each in trials:
        there.keeps(each, "final_checkpoint.pt")
    before = here.rows()
    arguments = [sys.executable, "-c", KILLED, str(there.runs), str(here.runs), where]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    if where == "in the middle of the ledger":
        with Ledger(here.runs) as ledger:
            assert len(ledger.trials()) == 1
        with Recorder(here.runs):
            pass
        assert here.rows() == before
    else:
        assert len(here.rows()["outcomes"]) == 4
    here.imports(there)
    assert len(here.rows()["outcomes"]) == 4
    left = [path for each in trials for path in here.folder(each).iterdir()]
    assert [path.name for path in left] == ["final_checkpoint.pt"] * 3
    assert {path.read_bytes() for path in left} == {b"content"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a folder as read-only")
def test_read_only_ledger_of_a_killed_driver_is_imported_with_its_log(
    machines, here, there, read_only
) -> None:
    trial = machines.trial()
    there.asks(trial)
    recorder = Recorder(there.runs)  # not closed: the log stays, as after a kill
    recorder.record_outcome(machines.completed(trial))
    with read_only(there.runs) as folder:
        assert (folder / f"{schema.LEDGER_FILE}-wal").stat().st_size > 0
        here.imports(folder)
    recorder.close()
    assert here.counts(trial) == 0.25


def test_ledger_that_grows_meanwhile_is_taken_from_one_moment(
    machines, here, there, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = machines.trial()
    there.asks(trial)
    with Recorder(there.runs) as recorder:
        read_starts = ForeignLedger.starts

        def grows(theirs: ForeignLedger) -> list[tuple[object, ...]]:
            starts = list(read_starts(theirs))
            recorder.record_start(trial.trial_id, 5.0)
            recorder.record_outcome(machines.completed(trial))
            return starts

        monkeypatch.setattr(ForeignLedger, "starts", grows)
        here.imports(there)
    record = here.knows(trial)
    assert (record.num_starts, record.outcome) == (0, None)
    monkeypatch.undo()
    here.imports(there)
    assert here.counts(trial) == 0.25
