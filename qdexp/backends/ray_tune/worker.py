# pyright: basic
"""A warm process of Tune: it runs trials one after another, and hands over what they report."""

import time
from dataclasses import asdict
from typing import Any

from ray import tune

from qdexp.backends.ray_tune.arrival import arrived_reports
from qdexp.execution.attempt import attempt
from qdexp.execution.journey import located
from qdexp.execution.ports import Assignment
from qdexp.results.outcome import Outcome

_REPORT_SECONDS = 0.5
"""A worker gathers its reports for this long, since each exchange with Tune costs milliseconds."""


class Worker(tune.Trainable):
    """One warm process: `step` advances a trial for a while and hands over what it reported."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a trial up."""
        assignment = located(Assignment.from_json(config["content"]["assignment"]))
        self._reports = attempt(assignment, arrived_reports)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial up, in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Advances the trial for a while, and returns what it reported meanwhile."""
        progress: list[dict[str, Any]] = []
        due = time.monotonic() + _REPORT_SECONDS
        for report in self._reports:
            if isinstance(report, Outcome):
                return {
                    "progress": progress,
                    "outcome": report.to_json(),
                    "done": report.status == "completed",
                }
            progress.append(asdict(report))
            if time.monotonic() >= due:
                return {"progress": progress}
        # Reached only after an outcome that is not a completion: whatever such a trial left
        # behind (memory, threads, a broken device) must not meet another one. Tune keeps an actor
        # unless it raises, and kills the next trial where reset_config refuses.
        raise RuntimeError("this worker is not used again")

    def cleanup(self) -> None:
        """Closes the trial at a safe point."""
        self._reports.close()
