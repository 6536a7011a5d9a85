"""What a session of faults is made of, and what it is compared with."""

import os
import random
import time
import uuid
from dataclasses import dataclass

from aftermath import Results
from killed_runs import Ended, marked_processes


class Faults:
    """What a session of faults is made of: a seed for its choices, and how many kills.

    Attributes:
        seed: Of all choices: ``QDEXP_FAULT_SEED``, drawn by the session where it is not given.
        mark: In the environment of every process that is started.
        num_kills_at_writes: Kills of an inline driver at kinds of write.
        num_kills_at_moments: Kills of an inline driver at random moments.
        num_kills_of_ray: Kills of a driver, a worker or a raylet.
        num_kills_of_searching: Kills of the driver of a search with Ray's workers.
    """

    def __init__(self) -> None:
        self.seed = int(os.environ["QDEXP_FAULT_SEED"])
        self.mark = uuid.uuid4().hex
        num_kills = int(os.environ.get("QDEXP_FAULT_KILLS") or 56)
        self.num_kills_of_ray = max(6, num_kills // 16)
        self.num_kills_of_searching = max(3, num_kills // 20)
        num_kills -= self.num_kills_of_ray
        self.num_kills_at_moments = num_kills // 4
        self.num_kills_at_writes = num_kills - self.num_kills_at_moments
        self.notes: list[str] = []
        self.server_pids: set[int] = set()

    def chance(self, what: str) -> random.Random:
        """Returns the generator of one test's choices."""
        return random.Random(f"{self.seed} {what}")

    def note(self, what: str) -> None:
        self.notes.append(what)

    def left_processes(self) -> dict[int, str]:
        """Returns what runs of ours, once what is about to end has had time to."""
        deadline = time.monotonic() + 120  # agents of a raylet that was killed
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def processes(self) -> dict[int, str]:
        """Returns the live processes that were started here, the fork servers excepted."""
        found = marked_processes(self.mark)
        return {pid: found[pid] for pid in found.keys() - self.server_pids}


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The experiment as it is when nothing happens."""

    ended: Ended
    results: Results
