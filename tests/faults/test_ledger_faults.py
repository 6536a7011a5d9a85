"""Whatever is wrong with the ledger's file, the message says what to do, and nothing is lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from qdexp.config.presets import preset
from qdexp.errors import LedgerError, LedgerInUseError
from qdexp.experiment.trial import Trial
from qdexp.results import schema
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Outcome, Series
from qdexp.results.recorder import Recorder

TRIALS = [Trial(configuration=preset("tiny"), seed=seed, data_fingerprint="d") for seed in range(3)]


def outcome(trial: Trial, num_points: int = 2) -> Outcome:
    points = tuple(range(num_points))
    noise = tuple(float(hash((trial.seed, each)) % 1009) / 7 for each in points)
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=200,
        measurements={"eval.denoising_loss": 0.25},
        history={"train.loss": Series(steps=points, values=noise)},
    )


def asked(recorder: Recorder, text: str = "text") -> None:
    definition = {"name": "sizes", "question": "?"}
    recorder.record_plan(
        ("spec.yaml", text, definition), [(t, {"model.num_embeddings": 8192}) for t in TRIALS]
    )


def recorded(runs: Path) -> list[str]:
    with Ledger(runs) as ledger:
        return [member.trial_id for member in ledger.members("sizes") if member.outcome]


def read_all(runs: Path) -> None:
    with Ledger(runs) as ledger:
        for member in ledger.members("sizes"):
            ledger.history(member.trial_id)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with three trials, one of them completed."""
    with Recorder(tmp_path / "runs") as recorder:
        asked(recorder)
        recorder.record_outcome(outcome(TRIALS[0]))
    return tmp_path / "runs"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if (
        shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("a file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_full_disk_keeps_all_that_was_recorded_and_goes_on_when_there_is_room(
    small_disk: Path,
) -> None:
    with Recorder(small_disk) as recorder:
        asked(recorder)
        recorder.record_outcome(outcome(TRIALS[0]))
        filler = small_disk / "filler"
        with suppress(OSError):
            while True:
                with filler.open("ab", buffering=0) as file:
                    file.write(bytes(4096))
        with pytest.raises(LedgerError, match="free space, then give the same command again"):
            recorder.record_outcome(outcome(TRIALS[1], num_points=20_000))
        assert recorded(small_disk) == [TRIALS[0].trial_id]
        filler.unlink()
        recorder.record_outcome(outcome(TRIALS[1], num_points=20_000))
    assert recorded(small_disk) == [trial.trial_id for trial in TRIALS[:2]]


def test_ledger_that_another_program_holds_locked(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(runs / schema.LEDGER_FILE, isolation_level=None)) as other:
        with Recorder(runs) as recorder:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="another program held it locked"):
                recorder.record_outcome(outcome(TRIALS[1]))
            assert recorded(runs) == [TRIALS[0].trial_id]  # readers are not held up
            other.execute("ROLLBACK")
            recorder.record_outcome(outcome(TRIALS[1]))
        assert recorded(runs) == [trial.trial_id for trial in TRIALS[:2]]


def test_ledger_that_is_locked_when_a_driver_starts(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(runs / schema.LEDGER_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="another program held it locked"):
            Recorder(runs)
        with pytest.raises(LedgerError, match="another program held it locked"):
            Ledger(runs)
        other.execute("ROLLBACK")
    Recorder(runs).close()  # the driver's own lock was let go of


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_damaged_ledger_is_said_to_be_damaged(runs: Path, share: float) -> None:
    path = runs / schema.LEDGER_FILE
    content = bytearray(path.read_bytes())
    start = int(share * len(content))
    content[start : start + 20_000] = b"\xa5" * len(content[start : start + 20_000])
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"damaged.* `qdexp import`"):
        read_all(runs)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trials SET content = '{'",
        "UPDATE outcomes SET measurements = '[}'",
        "UPDATE outcomes SET status = 'won'",
        "UPDATE blocks SET block = x'0000'",
        "UPDATE blocks SET block = substr(block, 1, length(block) - 5)",
    ],
)
def test_row_that_makes_no_sense_is_a_damaged_ledger(runs: Path, statement: str) -> None:
    with closing(sqlite3.connect(runs / schema.LEDGER_FILE)) as connection:
        connection.execute(statement)
        connection.commit()
    with pytest.raises(LedgerError, match="the file is damaged"):
        read_all(runs)


@pytest.mark.parametrize("reads", [True, False])
def test_newer_ledger_is_refused_and_left_as_it_is(runs: Path, *, reads: bool) -> None:
    with closing(sqlite3.connect(runs / schema.LEDGER_FILE)) as connection:
        connection.execute("PRAGMA user_version = 4")
    before = (runs / schema.LEDGER_FILE).read_bytes()
    with pytest.raises(LedgerError, match="expected ledger version 3 or older, found 4"):
        (Ledger if reads else Recorder)(runs)
    with pytest.raises(LedgerError, match="found 4"):
        Recorder(runs)  # the driver's own lock was let go of
    assert (runs / schema.LEDGER_FILE).read_bytes() == before


def qdexp(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qdexp", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder that root may not write takes root to make")
def test_runs_folder_on_a_read_only_disk_is_read_and_not_written(small_disk: Path) -> None:
    with Recorder(small_disk / "runs") as recorder:
        asked(recorder)
        recorder.record_outcome(outcome(TRIALS[0]))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    status = qdexp("status", "sizes", "--runs", small_disk / "runs")
    assert status.returncode == 0, status.stderr
    assert "1 completed" in status.stdout
    written = qdexp(
        "invalidate", TRIALS[0].trial_id, "--because", "x", "--runs", small_disk / "runs"
    )
    assert written.returncode == 1
    assert "expected a writable ledger, found: [Errno 30] Read-only file system" in written.stderr
    assert "choose another folder with --runs" in written.stderr
    assert "Traceback" not in written.stderr


@pytest.mark.parametrize("command", ["import", "invalidate"])
def test_second_writer_is_refused_with_the_first_ones_name(
    runs: Path, tmp_path: Path, command: str
) -> None:
    with Recorder(tmp_path / "there") as recorder:
        asked(recorder)
    arguments = {
        "import": (tmp_path / "there",),
        "invalidate": (TRIALS[0].trial_id, "--because", "x"),
    }
    with Recorder(runs):
        result = qdexp(command, *arguments[command], "--runs", runs)
    assert result.returncode == 2
    assert f"in use by process {os.getpid()} on" in result.stderr
    with Recorder(runs), pytest.raises(LedgerInUseError):
        Recorder(runs)


def test_clock_that_is_set_back_hides_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([9e8, 8e8, 7e8, 6e8, 5e8])
    with Recorder(runs) as recorder:
        recorder.record_mirrored("sizes", "", [trial.trial_id for trial in TRIALS])
        monkeypatch.setattr(time, "time", lambda: next(now))
        trial = TRIALS[1]
        asked(recorder, text="changed")
        recorder.record_start(trial.trial_id, 100.0)
        recorder.record_start(trial.trial_id, 50.0)
        failed = Outcome(**{**outcome(trial).__dict__, "measurements": {"eval.x": 1.0}})
        recorder.record_outcome(failed)
        recorder.record_outcome(outcome(trial))
        recorder.record_invalidation(TRIALS[0].trial_id, "clock")
    with Ledger(runs) as ledger:
        record = ledger.trial(trial.trial_id)
        assert record.started_at == 100.0  # the first, by order: what mirrors are dated by
        assert record.outcome is not None
        assert record.outcome.measurements == {"eval.denoising_loss": 0.25}
        assert [spec.text for spec in ledger.specs("sizes")] == ["text", "changed"]
        behind = [each.trial_id for each in ledger.unmirrored("sizes")]
        assert behind == [TRIALS[0].trial_id, trial.trial_id]
        assert ledger.trial(TRIALS[0].trial_id).invalidated == "clock"


def test_columns_of_an_upgraded_ledger_are_those_of_a_new_one() -> None:
    def shape(script: str, version: int) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(f"{script} PRAGMA user_version = {version};")
            schema.upgrade(connection, "memory")
            names = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
            return {
                name: connection.execute(f"SELECT * FROM pragma_table_info('{name}')").fetchall()
                for (name,) in names
            }

    first = Path("tests/unit/results/conftest.py").read_text()
    script = first.partition('VERSION_1 = """')[2].partition('"""')[0]
    assert shape(script, 1) == shape(schema.TABLES, schema.SCHEMA_VERSION)
