"""An experiment that is killed and repeated: how it is started and ended."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from places_of_writing import ORDER

HERE = Path(__file__).parent
MARK = "QDEXP_FAULT_MARK"
"""Every process that a test starts has it in its environment, so that it can be found again."""

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set:
  model.hidden_dim: 16
  model.num_layers: 1
  model.num_heads: 2
  model.embedding_dim: 8
  training.max_steps: 12
  training.checkpoint_every_steps: 3
  training.log_every_steps: 2
  training.warmup_steps: 1
  data.num_train_clips: 8
  data.num_eval_clips: 4
  data.num_frames: 5
  data.height: 32
  data.width: 32
  evaluation.num_clips: 2
  evaluation.num_levels: 4
  evaluation.curve_steps: [0, 3]
  evaluation.curve_clips: 2
  evaluation.codebook_tokens: 256
factors:
  model.num_embeddings: {levels: [32, 64], baseline: 32}
seeds: {until_decided: true, min: 2, max: 3}
"""


COMMAND = ["run", "sizes.yaml", "--executor", "inline"]


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Where, or when, and by which signal a run is ended.

    Args:
        signal: ``SIGKILL`` or ``SIGTERM``.
        kind: A kind of write, or None.
        nth: Which write of this kind, from 1.
        moment: before, torn (half written) or after.
        after: Seconds after the start instead, where there is no kind; or else after that write.
    """

    signal: str
    kind: str | None = None
    nth: int = 1
    moment: str = "before"
    after: float | None = None

    def __str__(self) -> str:
        place = f"{self.moment} write {self.nth} of '{self.kind}'" if self.kind else "at a moment"
        return f"{self.signal} {place}" + (f", {self.after:.3f} s" if self.after else "")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended.

    Args:
        code: Its exit code; of a killed one, minus the signal.
        said: What it wrote to stdout and stderr.
        was_hit: Whether it was sent the signal that it was to get.
        seconds: How long it lived.
        passed: The writes that it passed, as (kind, moment), in order.
    """

    code: int
    said: str
    was_hit: bool
    seconds: float
    passed: tuple[tuple[str, str], ...]

    def counts(self) -> Counter[tuple[str, str]]:
        return Counter(self.passed)


class ForkServer:
    """Many starts of the command line; see `fork_server`.

    Args:
        mark: In the environment of every process.
        environment: What else is in there.
    """

    def __init__(self, mark: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, MARK: mark, **environment},
            text=True,
        )
        self.pid = self._process.pid
        assert self._read() == {"pid": self.pid}

    def run(
        self,
        arguments: list[str],
        folder: Path,
        kill: Kill | None = None,
        changes: dict[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Runs qdexp with the runs folder ``folder/runs``, ends it as told, and waits for it.

        Args:
            arguments: Of the command line.
            folder: The current folder.
            kill: Where or when it is ended, if it is.
            changes: To its surroundings: `clock`, seconds that its clock is ahead, and `patience`,
                seconds that it waits for a lock of SQLite.
            environment: What else is in its environment.
        """
        log, output = folder / "writes.log", folder / "said.txt"
        log.unlink(missing_ok=True)
        order = asdict(kill) if kill and kill.kind else {}
        order |= {"under": str(folder / "runs"), "log": str(log), **(changes or {})}
        request = {
            "arguments": arguments,
            "cwd": str(folder),
            "environment": {ORDER: json.dumps(order), **(environment or {})},
            "output": str(output),
            "signal": kill and kill.signal,
            "after": kill.after if kill and not kill.kind else None,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        written = (
            [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        )
        was_told = any(is_told for *_, is_told in written)
        return Ended(
            code=answer["code"],
            said=output.read_text(errors="replace"),
            was_hit=was_told if kill and kill.kind else bool(answer["was_sent"]),
            seconds=answer["seconds"],
            passed=tuple((kind, moment) for kind, _, moment, _ in written),
        )

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the fork server ended"
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def marked_processes(mark: str) -> dict[int, str]:
    """Returns the live processes that carry a mark, with their command lines."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:  # a zombie has none
                    found[int(folder.name)] = command
        except (OSError, UnicodeDecodeError):
            continue
    return found


def end(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
