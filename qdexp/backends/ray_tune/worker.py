# pyright: basic
"""A warm process of Tune: it runs trials one after another, and hands over what they report."""

import time
from dataclasses import asdict
from typing import Any

import ray
from ray import tune

from qdexp.backends.ray_tune.arrival import arrived_reports, settled
from qdexp.backends.ray_tune.rank_group import RankGroup
from qdexp.backends.ray_tune.relay import WORKER
from qdexp.backends.ray_tune.resources import cap_memory
from qdexp.backends.ray_tune.watchdog import Watchdog, end_at_sigterm
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment
from qdexp.results.outcome import Outcome

_REPORT_SECONDS = 0.5
"""A worker gathers its reports for this long, since each exchange with Tune costs milliseconds."""


class Worker(tune.Trainable):
    """One warm process: `step` advances a trial for a while and hands over what it reported.

    A trial of several processes runs in a group of them, which this one only follows.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a trial up."""
        end_at_sigterm()
        placement = self.trial_resources
        assert placement is not None, "Tune tells every worker"
        self._watchdog = Watchdog()
        self._group: RankGroup | None = None
        if placement.head_bundle_is_empty:
            self._group = RankGroup(placement.bundles)
        else:
            cap_memory(placement.bundles[0].get("GPU", 0))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial up, in the same process."""
        assignment = Assignment.from_json(new_config["content"]["assignment"])
        if self._group:
            self._reports = self._group.attempt(assignment)
        else:
            self._watchdog.watch(assignment)
            here = settled(assignment)
            self._reports = attempt(here, arrived_reports, owns_process=True)
        return True

    def step(self) -> dict[str, Any]:
        """Advances the trial for a while, and returns what it reported meanwhile."""
        progress: list[dict[str, Any]] = []
        due = time.monotonic() + _REPORT_SECONDS
        for report in self._reports:
            if isinstance(report, Outcome):
                self._watchdog.call_off()
                return {
                    "progress": progress,
                    "outcome": report.to_json(),
                    "done": report.status == "completed",
                }
            progress.append(asdict(report))
            if time.monotonic() >= due:
                return {"progress": progress, WORKER: ray.get_runtime_context().current_actor}
        # Reached only after an outcome that is not a completion: whatever such a trial left
        # behind (memory, threads, a broken device) must not meet another one. Tune keeps an actor
        # unless it raises, and kills the next trial where reset_config refuses.
        raise RuntimeError("this worker is not used again")

    def close_trial(self) -> None:
        """Closes the trial at a safe point; the process can take up another one."""
        self._reports.close()
        self._watchdog.call_off()

    def cleanup(self) -> None:
        """Closes the trial at a safe point."""
        self.close_trial()
        if self._group:
            self._group.end()
