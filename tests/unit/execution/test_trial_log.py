"""A trial's log takes what its trainable prints, nothing else, and fails nothing."""

import io
import logging
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from qdexp.execution.trial_log import LOG_FILE, TrialLog, last_lines


@contextmanager
def quiet_root() -> Generator[logging.Logger]:
    """Lends the root logger as a fresh process has it: pytest's own handlers are taken away."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[TrialLog]:
    with closing(TrialLog(tmp_path)) as log:
        yield log


def text(folder: Path) -> str:
    return (folder / LOG_FILE).read_text()


def test_streams_come_back_and_the_log_is_only_of_what_was_between(
    log: TrialLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    print("before")  # noqa: T201
    with log.capturing():
        print("inside")  # noqa: T201
    print("after")  # noqa: T201
    with pytest.raises(ValueError, match="broken"), log.capturing():
        raise ValueError("broken")
    assert (sys.stdout, sys.stderr) == before
    assert text(tmp_path) == "inside\n"
    assert capsys.readouterr().out == "before\nafter\n"


def test_informative_messages_are_kept_unless_someone_chose(log: TrialLog, tmp_path: Path) -> None:
    with quiet_root() as root:
        with log.capturing():
            logging.getLogger("mine").info("a step")
        assert (root.level, root.handlers) == (logging.WARNING, [])
        root.setLevel(logging.ERROR)
        with log.capturing():
            logging.getLogger("mine").warning("not wanted")
        assert root.level == logging.ERROR
    assert text(tmp_path).endswith("INFO mine: a step\n")


def test_level_that_the_trainable_chose_stays(log: TrialLog) -> None:
    with quiet_root() as root:
        with log.capturing():
            root.setLevel(logging.DEBUG)
        assert root.level == logging.DEBUG


def test_live_display_bound_to_its_stream_stays_out_of_the_log(
    log: TrialLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    console = Console(file=sys.stderr)
    with log.capturing():
        console.print("a live table")
    assert screen.getvalue() == "a live table\n"
    assert text(tmp_path) == ""


def test_bytes_and_child_processes_reach_the_log_of_a_process_that_owns_its_streams(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from qdexp.execution.trial_log import TrialLog\n"
        "with TrialLog(Path(sys.argv[1]), takes_descriptors=True).capturing():\n"
        "    sys.stdout.buffer.write(b'bytes\\n'); sys.stdout.flush()\n"
        "    os.system('echo from a child')\n"
        "os.write(1, b'outside\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert text(tmp_path) == "bytes\nfrom a child\n"
    assert done.stdout == "outside\n"


def test_folder_that_is_not_there_costs_the_log_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = TrialLog(tmp_path / "absent")
    log.say("began")
    with log.capturing():
        print("nowhere else to go")  # noqa: T201
    log.close()
    assert "nowhere" in capsys.readouterr().out
    assert not (tmp_path / "absent").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_fails_no_print(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).symlink_to("/dev/full")
    log = TrialLog(tmp_path)
    log.say("began")
    with log.capturing():
        print("lost" * 10_000, flush=True)  # noqa: T201
    log.close()


def test_stream_that_a_trainable_kept_or_closed_harms_nothing(tmp_path: Path) -> None:
    log = TrialLog(tmp_path)
    with log.capturing():
        kept = sys.stdout
        kept.close()
        print("still there")  # noqa: T201
    log.close()
    kept.write("too late")
    assert text(tmp_path) == "still there\n"


def test_other_ranks_have_their_own_files(tmp_path: Path) -> None:
    for rank in (0, 1):
        with closing(TrialLog(tmp_path, rank=rank)) as log:
            log.say(f"rank {rank}")
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] == ["log.txt", "log_rank_1.txt"]
    assert "rank 1 ---" in files[1].read_text()


def test_last_lines_are_the_last_that_say_something_and_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_bytes(
        b"".join(b"line %d\n" % number for number in range(1000)) + b"\n10%\r20%\n\x1b[2Jend \xff\n"
    )
    assert last_lines(tmp_path, 4) == ["line 999", "10%", "20%", "\ufffd[2Jend \ufffd"]
    assert last_lines(tmp_path / "absent", 4) == []
