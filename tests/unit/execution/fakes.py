"""The outside of a run, faked: what the tests of `conduct` put around a runs folder."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qdexp.config.data_config import DataConfig
from qdexp.errors import InterruptedRunError, RequestError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted, conduct
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.planning import plan_of
from qdexp.execution.ports import Assignment, Begun, Entry, Listener, Reported
from qdexp.execution.silence import SilentDisplay
from qdexp.experiment.plan import Plan
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Array, Outcome, Progress
from qdexp.results.sealed import seal

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set: {training.max_steps: 200}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
"""

Ending = Callable[[Assignment], Outcome | None]
"""How an assignment ends; None interrupts the run."""

PROVENANCE: Mapping[str, Any] = {"commit": "abc"}


class FakeDataset:
    """Clips whose fingerprint is their seed, and latents that nobody wrote."""

    def fingerprint(self, config: DataConfig) -> str:
        return f"digits {config.seed}"

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        return cache / f"latents {config.seed}"


def completed(assignment: Assignment) -> Outcome:
    """Returns the outcome of a trial that went well."""
    trial = assignment.trial
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=trial.configuration.num_steps,
        measurements={"eval.denoising_loss": 0.5},
        arrays={"eval.code_counts": Array(shape=(2,), values=(1.0, 2.0))},
        provenance={"host": "worker"},
    )


def saved(assignment: Assignment) -> Outcome:
    """Returns the outcome of a trial that went well and left its final checkpoint."""
    (assignment.workspace.folder / FINAL_CHECKPOINT).write_bytes(b"weights" + seal(b"weights"))
    return completed(assignment)


class FakeExecutor:
    """Ends every assignment as it is told to, and remembers what it got, round by round."""

    def __init__(self, end: Ending = completed) -> None:
        self.end = end
        self.refusal = ""
        self.assignments: list[Assignment] = []
        self.rounds: list[list[str]] = []
        self.deadlines: list[float | None] = []

    def check(self) -> None:
        if self.refusal:
            raise RequestError(self.refusal)

    def execute(
        self,
        assignments: Sequence[Assignment],
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.deadlines.append(deadline)
        self.rounds.append([])
        for each in assignments:
            self.assignments.append(each)
            self.rounds[-1].append(each.trial.trial_id)
            listener.on_start(each.trial.trial_id)
            listener.on_progress(each.trial.trial_id, Progress(step=1, num_steps=2))
            outcome = self.end(each)
            if outcome is None:
                raise InterruptedRunError("stopped")
            listener.on_outcome(outcome)


@dataclass
class FakeTracker:
    """Remembers what it hears; has nothing of the trials that it is unable to mirror."""

    unable: Collection[str] = ()
    notes: Sequence[str] = ()
    place: str | None = "here"
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    mirrored: list[str] = field(default_factory=list[str])

    def open_experiment(self, entry: Entry) -> None:
        assert entry.name
        assert entry.question
        self.calls.append(("experiment", entry))

    def start_trial(self, begun: Begun) -> None:
        assert begun.started_at > 0
        assert begun.tags["commit"] == PROVENANCE["commit"]
        assert begun.condition or begun.trial.ours.model.quantizer == "none", "is it a teacher?"
        self.calls.append(("start", begun.trial.trial_id))

    def log(self, trial_id: str, progress: Progress) -> None:
        assert progress.step > 0
        self.calls.append(("log", trial_id))

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        assert ("start", outcome.trial_id) in self.calls
        assert [file.name for file in files] == (["codes.png"] if outcome.arrays else [])
        self.calls.append(("end", outcome.trial_id))
        if outcome.trial_id not in self.unable:
            self.mirrored.append(outcome.trial_id)

    def end_experiment(self, reported: Reported) -> None:
        self.calls.append(("report", reported))

    def newly_mirrored(self) -> Sequence[str]:
        mirrored, self.mirrored = self.mirrored, []
        return mirrored

    def close(self) -> Sequence[str]:
        return self.notes

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.calls]

    def ended(self) -> set[str]:
        return {what for kind, what in self.calls if kind == "end"}


class FakeDisplay(SilentDisplay):
    """Remembers what it is to say."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_preparation(self, what: str) -> None:
        self.said.append(what)


@dataclass
class Clock:
    """Time that passes only while one waits."""

    now: float = 100.0
    waits: list[float] = field(default_factory=list[float])
    interrupted: bool = False

    def read(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if self.interrupted:
            raise KeyboardInterrupt


def draw(outcome: Outcome, folder: Path) -> Sequence[Path]:
    """Names the picture of an outcome that has arrays, and draws none."""
    return [folder / "codes.png"] if outcome.arrays else []


class Bench:
    """A runs folder with everything around it faked, and the spec that it runs if told no other."""

    def __init__(self, folder: Path, text: str = SPEC) -> None:
        self.folder = folder
        self.text = text
        self.runs = folder / "runs"
        self.clock = Clock()
        self.tracker = FakeTracker()
        self.display = FakeDisplay()

    def spec(self, text: str | None = None) -> Spec:
        path = self.folder / "spec.yaml"
        path.write_text(text or self.text)
        return read_spec(path)

    def plan(self, text: str | None = None) -> Plan:
        with Ledger(self.runs) as ledger:
            return plan_of(self.spec(text), ledger, FakeDataset())

    def conduct(
        self,
        executor: FakeExecutor,
        text: str | None = None,
        *,
        is_tracked: bool = True,
        keep_going: bool = False,
    ) -> Conducted:
        outside = Collaborators(
            dataset=FakeDataset(),
            executor=executor,
            tracker=self.tracker if is_tracked else NoTracker(),
            display=self.display,
            draw=draw,
            provenance=PROVENANCE,
            clock=self.clock.read,
            pause=self.clock.pause,
        )
        return conduct(self.spec(text), self.runs, outside, keep_going=keep_going)

    def outcomes(self) -> list[Outcome | None]:
        with Ledger(self.runs) as ledger:
            return [member.outcome for member in ledger.members("sizes")]

    def statuses(self) -> list[str | None]:
        return [each.status if each else None for each in self.outcomes()]
