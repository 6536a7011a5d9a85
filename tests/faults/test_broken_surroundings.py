"""What is broken around a run is said clearly, costs nothing, and the next run completes."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aftermath import results
from fault_session import Faults, Undisturbed
from killed_runs import COMMAND, SPEC, Ended, ForkServer, Kill

from qdexp.results.ledger import Ledger

pytestmark = pytest.mark.slow

HALF = Kill(signal="SIGTERM", kind="sync checkpoint.tmp", nth=11, moment="before")
"""In the third trial of six, at its ninth step of twelve."""


@pytest.fixture(scope="session")
def half_done(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose experiment was stopped half-way, with a trial to go on with."""
    folder = tmp_path_factory.mktemp("half")
    (folder / "sizes.yaml").write_text(SPEC)
    ended = server.run(COMMAND, folder, HALF)
    assert ended.code == 130, ended.said
    return folder


@pytest.fixture
def half(half_done: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "half"
    shutil.copytree(half_done, folder)
    _move_artifacts(folder / "runs")
    return folder


@pytest.fixture
def small_disk(half_done: Path, tmp_path: Path) -> Iterator[Path]:
    """The half-done folder on a small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=48m", "qdexp-fault", str(folder)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(half_done, folder, dirs_exist_ok=True)
        _move_artifacts(folder / "runs")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _move_artifacts(runs: Path) -> None:
    """MLflow's store knows absolute places: those of a copy are the copy's own."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection, connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            for (place,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():
                moved = f"{(runs / 'mlartifacts').as_uri()}{place.partition('mlartifacts')[2]}"
                connection.execute(
                    f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (moved, place)
                )


def outcomes(folder: Path) -> dict[str, float | None]:
    with Ledger(folder / "runs") as ledger:
        return {m.trial_id: m.finished_at for m in ledger.members("sizes") if m.outcome}


def assert_clear(ended: Ended, code: int, *words: str) -> None:
    assert ended.code == code, ended.said
    assert "Traceback" not in ended.said
    for word in words:
        assert word in ended.said


def assert_completes(server: ForkServer, folder: Path, undisturbed: Undisturbed) -> None:
    ended = server.run(COMMAND, folder)
    assert ended.code == 0, ended.said
    assert "not mirrored" not in ended.said
    found = results(folder / "runs")
    assert found.outcomes == undisturbed.results.outcomes
    assert found.mirrored == undisturbed.results.mirrored
    assert found.files == undisturbed.results.files


def test_full_disk_is_named_and_nothing_is_lost(
    server: ForkServer, small_disk: Path, undisturbed: Undisturbed
) -> None:
    before = outcomes(small_disk)
    (checkpoint, *_) = (small_disk / "runs" / "trials").rglob("final_checkpoint.pt")
    left = checkpoint.stat().st_size // 2
    state = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * (state.f_bavail * state.f_frsize - left))

    assert_clear(server.run(COMMAND, small_disk), 1, "No space left on device")
    assert before.items() <= outcomes(small_disk).items()
    ballast.unlink()
    assert_completes(server, small_disk, undisturbed)


def test_runs_folder_that_cannot_be_written_is_named_and_can_be_read(
    server: ForkServer, small_disk: Path, undisturbed: Undisturbed
) -> None:
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    output = small_disk / "said.txt"
    for name in (output, small_disk / "writes.log"):
        name.unlink(missing_ok=True)
    outside = small_disk.parent / "outside"
    outside.mkdir()
    (outside / "sizes.yaml").write_text(SPEC)
    (outside / "runs").symlink_to(small_disk / "runs")
    subprocess.run(remount, check=True)
    try:
        ended = server.run(COMMAND, outside)
        assert_clear(ended, 1, "expected a writable ledger", "Read-only", "--runs")
        for reading in (
            ["status", "sizes"],
            ["plan", "sizes.yaml"],
            ["report", "sizes", "--format", "md"],
        ):
            assert_clear(server.run(reading, outside), 0)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert_completes(server, small_disk, undisturbed)


def test_damaged_checkpoint_is_passed_over(
    server: ForkServer, half: Path, undisturbed: Undisturbed
) -> None:
    with Ledger(half / "runs") as ledger:
        finished = {m.trial_id for m in ledger.members("sizes") if m.outcome}
    newest = max(
        (p for p in (half / "runs" / "trials").rglob("checkpoint_step_*.pt")
         if p.parent.name not in finished),
        key=lambda path: int(path.stem.rpartition("_")[2]),
    )  # fmt: skip
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert_completes(server, half, undisturbed)
    with Ledger(half / "runs") as ledger:
        outcome = ledger.trial(newest.parent.name).outcome
    assert outcome is not None
    assert [w for w in outcome.warnings if f"{newest.name} is damaged" in w]


@pytest.mark.parametrize("seconds", [-30 * 86_400.0, 400 * 86_400.0], ids=["back", "ahead"])
def test_clock_that_was_set_changes_no_result(
    server: ForkServer, half: Path, undisturbed: Undisturbed, seconds: float
) -> None:
    stopped = server.run(
        COMMAND,
        half,
        Kill(signal="SIGKILL", kind="ledger.sqlite blocks", moment="after"),
        changes={"clock": seconds},
    )
    assert stopped.code == -9
    assert_completes(server, half, undisturbed)
    for command in (["status", "sizes"], ["plan", "sizes.yaml"], ["report", "sizes"]):
        assert_clear(server.run(command, half), 0)


def test_ledger_locked_by_another_process_is_named(
    server: ForkServer, half: Path, undisturbed: Undisturbed
) -> None:
    before = outcomes(half)
    with closing(sqlite3.connect(half / "runs" / "ledger.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = server.run(COMMAND, half, changes={"patience": 0.2})
        assert_clear(ended, 1, "ledger.sqlite", "locked", "another program")
        other.execute("ROLLBACK")
    assert outcomes(half) == before
    assert_completes(server, half, undisturbed)


def test_ledger_of_a_newer_version_is_left_alone(server: ForkServer, half: Path) -> None:
    ledger = half / "runs" / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = ledger.read_bytes()
    for command in (COMMAND, ["plan", "sizes.yaml"], ["status"], ["report", "sizes"]):
        ended = server.run(command, half)
        assert_clear(ended, 1, "expected ledger version", "found 999", "another version of qdexp")
    assert ledger.read_bytes() == before


def test_second_driver_is_refused_naming_the_first(
    server: ForkServer, half: Path, undisturbed: Undisturbed
) -> None:
    lock = half / "runs" / "driver.lock"
    with lock.open("w") as held:
        held.write("process 12345 on elsewhere")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert_clear(server.run(COMMAND, half), 2, "in use by process 12345 on elsewhere")
    assert_completes(server, half, undisturbed)


def test_locked_mlflow_stops_no_trial_and_catches_up(
    server: ForkServer, half: Path, undisturbed: Undisturbed
) -> None:
    with closing(sqlite3.connect(half / "runs" / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        ended = server.run(COMMAND, half, changes={"patience": 0.2})
        other.execute("ROLLBACK")
    assert_clear(ended, 0, "not mirrored", "locked")
    assert len(outcomes(half)) == 6
    assert_completes(server, half, undisturbed)


def test_damaged_mlflow_stops_no_trial_and_says_what_to_do(server: ForkServer, half: Path) -> None:
    database = half / "runs" / "mlflow.db"
    database.write_bytes(b"not a database" * 1000)
    ended = server.run(COMMAND, half)
    assert_clear(ended, 0, "not mirrored", "file is not a database")
    assert len(outcomes(half)) == 6


def test_nothing_that_was_started_here_is_left(faults: Faults) -> None:
    assert faults.left_processes() == {}
