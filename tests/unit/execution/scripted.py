"""An executor whose trials end and report as a test says, and outcomes for it to end in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qdexp.execution.ports import Assignment, Listener
from qdexp.execution.search_ports import Feed
from qdexp.results.folders import FINAL_CHECKPOINT
from qdexp.results.outcome import Failure, FailureKind, Outcome, Progress
from qdexp.results.sealed import seal

End = Callable[[Assignment, int], Outcome]
Report = Callable[[Assignment, int], Progress]


@dataclass
class Scripted:
    """An executor in which a trial ends as a function says, `at_once` of them side by side."""

    end: End
    at_once: int = 1
    report: Report = lambda _assignment, _attempt: Progress(step=1, num_steps=2)
    given: list[str] = field(default_factory=list)

    def check(self) -> None:
        pass

    def execute(
        self, assignments: Sequence[Assignment], listener: Listener, deadline: float | None = None
    ) -> None:
        raise AssertionError(assignments, listener, deadline)

    def follow(
        self,
        feed: Feed,
        listener: Listener,
        deadline: float | None = None,
        workers: int | None = None,
    ) -> None:
        assert deadline is workers is None
        running: list[Assignment] = []
        while True:
            while len(running) < self.at_once and (assignment := feed.take()):
                running.append(assignment)
                self.given.append(assignment.trial.trial_id)
                listener.on_start(assignment.trial.trial_id)
            if not running:
                return
            assignment = running.pop(0)
            trial_id = assignment.trial.trial_id
            attempt = self.given.count(trial_id)
            listener.on_progress(trial_id, self.report(assignment, attempt))
            listener.on_outcome(self.end(assignment, attempt))

    def gpus_of_trial(self) -> float:
        return 0.0


def completed(assignment: Assignment, _attempt: int = 1) -> Outcome:
    (assignment.workspace.folder / FINAL_CHECKPOINT).write_bytes(b"weights" + seal(b"weights"))
    measured = {"error": 0.5, "eval.denoising_loss": 0.5}
    return Outcome(
        trial_id=assignment.trial.trial_id, status="completed", step=2, measurements=measured
    )


def failed(assignment: Assignment, kind: FailureKind) -> Outcome:
    failure = Failure(reason=f"its {kind}", kind=kind)
    return Outcome(trial_id=assignment.trial.trial_id, status="failed", step=1, failure=failure)
