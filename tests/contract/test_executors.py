"""What every executor does, as one suite that each of them passes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from qdexp.backends.inline import InlineExecutor
from qdexp.config.presets import preset
from qdexp.errors import InterruptedRunError, LedgerError, RequestError
from qdexp.execution.ports import Assignment, Executor, Workspace
from qdexp.experiment.spec import Resources
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress

ENDINGS = (
    "completes",
    "raises",
    "exits",
    "exhausts_memory",
    "diverges",
    "ends_in_nan",
    "forgets_its_outcome",
    "reports_for_another",
    "goes_on_after_its_outcome",
    "is_not_there",
)


def assignment(
    folder: Path, toy: str, *, seed: int = 0, num_threads: int = 1, start_from: Path | None = None
) -> Assignment:
    trial = Trial(
        configuration=preset("tiny").replace({"training.num_threads": num_threads}),
        seed=seed,
        data_fingerprint="none",
        trainable=f"toy_trainables:{toy}",
    )
    workspace = Workspace(
        folder=folder / trial.trial_id, latents=folder / "latents", start_from=start_from
    )
    return Assignment(trial=trial, workspace=workspace)


MINIMAL = {
    "model.num_embeddings": 64,
    "model.embedding_dim": 8,
    "model.hidden_dim": 16,
    "training.max_steps": 6,
    "training.log_every_steps": 2,
    "data.num_train_clips": 8,
    "data.num_eval_clips": 4,
    "data.num_frames": 5,
    "data.height": 32,
    "data.width": 32,
    "evaluation.num_clips": 3,
    "evaluation.num_levels": 4,
    "evaluation.curve_clips": 2,
    "evaluation.codebook_tokens": 300,
}


class Heard:
    """A listener that remembers everything; like a ledger, it cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.events: list[tuple[str, str | Progress | Outcome]] = []

    def on_start(self, trial_id: str) -> None:
        self.events.append((trial_id, "start"))

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        self.events.append((trial_id, progress))

    def on_outcome(self, outcome: Outcome) -> None:
        self.events.append((outcome.trial_id, outcome))

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {trial_id: each for trial_id, each in self.events if isinstance(each, Outcome)}

    def of(self, trial_id: str) -> list[str | Progress | Outcome]:
        return [event for other, event in self.events if other == trial_id]

    def outcome(self, one: Assignment) -> Outcome:
        return self.outcomes[one.trial.trial_id]


class Refusing(Heard):
    """A listener that cannot keep outcomes."""

    def on_outcome(self, outcome: Outcome) -> None:
        raise LedgerError(f"no space for {outcome.status}")


class ExecutorContract:
    """The suite; a subclass names its executor."""

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Executor:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def endings(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assignment]:
        folder = tmp_path_factory.mktemp("endings")
        return {toy: assignment(folder, toy) for toy in ENDINGS}

    @pytest.fixture(scope="class")
    @classmethod
    def heard(cls, executor: Executor, endings: dict[str, Assignment]) -> Heard:
        heard = Heard()
        executor.execute(list(endings.values()), heard)
        return heard

    def test_every_trial_starts_once_and_ends_in_exactly_one_outcome(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        for each in endings.values():
            first, *between, last = heard.of(each.trial.trial_id)
            assert first == "start"
            assert all(isinstance(event, Progress) for event in between)
            assert isinstance(last, Outcome)

    def test_progress_arrives_complete_and_in_order(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        _, *progress, _ = heard.of(endings["completes"].trial.trial_id)
        assert progress == [
            Progress(step=step, num_steps=4, measurements={"train.toy": step / 8})
            for step in range(4)
        ]

    def test_completed_trial_brings_its_measurements_and_where_it_ran(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["completes"])
        assert (outcome.status, outcome.measurements) == ("completed", {"eval.toy": 0.0})
        assert outcome.provenance["host"]
        assert outcome.provenance["pid"] > 0
        assert 0 < outcome.provenance["started_at"] <= outcome.provenance["finished_at"]

    def test_raising_trial_fails_with_its_reason_step_traceback_and_history(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["raises"])
        assert outcome.status == "failed"
        assert outcome.failure is not None
        assert outcome.failure.kind == "exception"
        assert outcome.failure.reason == "ValueError: the toy broke"
        assert outcome.failure.step == outcome.step == 1
        assert "in raises" in outcome.failure.traceback
        assert outcome.history["train.toy"].values == (0.0, 0.125)

    @pytest.mark.parametrize(
        ("toy", "kind", "reason"),
        [
            ("exits", "exception", "SystemExit: 3"),
            ("exhausts_memory", "out_of_memory", "MemoryError"),
            ("forgets_its_outcome", "exception", "expected an outcome as the last report"),
            ("reports_for_another", "exception", "found that of 0000000000000000"),
            ("is_not_there", "exception", "toy_trainables has no function 'is_not_there'"),
        ],
    )
    def test_failure_says_of_what_kind_it_is_and_why(
        self, heard: Heard, endings: dict[str, Assignment], toy: str, kind: str, reason: str
    ) -> None:
        outcome = heard.outcome(endings[toy])
        assert outcome.status == "failed"
        assert outcome.failure is not None
        assert outcome.failure.kind == kind
        assert reason in outcome.failure.reason

    def test_non_finite_loss_is_divergence_at_its_step(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["diverges"])
        assert (outcome.status, outcome.step) == ("diverged", 2)
        assert outcome.failure is not None
        assert outcome.failure.reason.startswith("loss is nan at step 2")

    def test_completion_with_a_non_finite_measurement_is_divergence(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        outcome = heard.outcome(endings["ends_in_nan"])
        assert outcome.status == "diverged"
        assert outcome.failure is not None
        assert outcome.failure.reason == "eval.toy is nan after the last step"
        assert outcome.measurements["eval.fine"] == 1.0

    def test_what_follows_an_outcome_is_not_heard(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        events = heard.of(endings["goes_on_after_its_outcome"].trial.trial_id)
        assert len(events) == 1 + 4 + 1

    def test_signal_closes_running_trials_and_leaves_them_without_outcome(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        stopping = assignment(
            tmp_path, "asks_its_driver_to_stop", start_from=Path(f"/SIGTERM-{os.getpid()}")
        )
        before = signal.getsignal(signal.SIGTERM)
        heard = Heard()
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.execute([stopping], heard)
        assert (stopping.workspace.folder / "was_closed").exists()
        assert heard.outcomes == {}
        assert signal.getsignal(signal.SIGTERM) is before

    def test_cleanup_that_raises_hides_no_interruption(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        class Stopping(Heard):
            def on_start(self, trial_id: str) -> None:
                super().on_start(trial_id)
                signal.raise_signal(signal.SIGTERM)

        heard = Stopping()
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.execute([assignment(tmp_path, "is_slow_and_fails_to_clean_up")], heard)
        assert heard.outcomes == {}

    def test_what_a_listener_raises_ends_the_run_as_it_is(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        with pytest.raises(LedgerError, match="no space for completed"):
            executor.execute([assignment(tmp_path, "completes")], Refusing())

    def test_nothing_to_do_is_done(self, executor: Executor) -> None:
        heard = Heard()
        executor.execute([], heard)
        assert heard.events == []

    def test_numbers_are_those_of_a_plain_loop_bit_for_bit(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        trials = [
            assignment(tmp_path, "computes", seed=seed, num_threads=num_threads)
            for seed, num_threads in [(0, 1), (1, 2)]
        ]
        here, there = Heard(), Heard()
        InlineExecutor().execute(trials, here)
        executor.execute(trials, there)
        for each in trials:
            assert here.outcome(each).measurements == there.outcome(each).measurements
            reports = zip(here.of(each.trial.trial_id), there.of(each.trial.trial_id), strict=True)
            assert all(a == b for a, b in reports if isinstance(a, Progress))


class TestInline(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> Executor:
        return InlineExecutor()

    def test_trials_run_in_the_given_order(
        self, heard: Heard, endings: dict[str, Assignment]
    ) -> None:
        assert list(heard.outcomes) == [each.trial.trial_id for each in endings.values()]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from qdexp.backends.ray_tune import local_cluster

    with local_cluster():
        yield


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
class TestRayTune(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, storage: Path) -> Executor:
        from qdexp.backends.ray_tune import RayTuneExecutor

        return RayTuneExecutor(storage=storage, resources=Resources())

    def test_worker_of_a_trial_that_did_not_complete_is_not_used_again(self, heard: Heard) -> None:
        retired: set[int] = set()
        for outcome in heard.outcomes.values():
            assert outcome.provenance["pid"] not in retired
            if outcome.status != "completed":
                retired.add(outcome.provenance["pid"])

    def test_worker_stays_warm_between_trials_that_complete(
        self, storage: Path, tmp_path: Path
    ) -> None:
        import ray

        from qdexp.backends.ray_tune import RayTuneExecutor

        all_cpus = Resources(cpus=int(ray.cluster_resources()["CPU"]))
        heard = Heard()
        trials = [assignment(tmp_path, "completes", seed=seed) for seed in range(3)]
        RayTuneExecutor(storage=storage, resources=all_cpus).execute(trials, heard)
        assert len({each.provenance["pid"] for each in heard.outcomes.values()}) == 1

    def test_default_trainable_gives_the_numbers_of_the_inline_executor_bit_for_bit(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        from qdexp.data.dataset import LatentDataset

        config = preset("tiny").replace(MINIMAL)
        latents = LatentDataset().prepare(config.data, tmp_path)
        trial = Trial(configuration=config, seed=0, data_fingerprint="none")
        outcomes: list[Outcome] = []
        for name, each in [("inline", InlineExecutor()), ("ray", executor)]:
            heard = Heard()
            workspace = Workspace(folder=tmp_path / name, latents=latents)
            each.execute([Assignment(trial=trial, workspace=workspace)], heard)
            outcomes.append(heard.outcomes[trial.trial_id])
        here, there = outcomes
        assert here.status == "completed"
        assert here.arrays == there.arrays
        assert without_costs(here.history) == without_costs(there.history)
        assert without_costs(here.measurements) == without_costs(there.measurements)

    def test_more_than_the_cluster_has_is_refused_before_anything_starts(
        self, storage: Path, tmp_path: Path
    ) -> None:
        from qdexp.backends.ray_tune import RayTuneExecutor

        heard = Heard()
        greedy = RayTuneExecutor(storage=storage, resources=Resources(cpus=100_000))
        with pytest.raises(RequestError, match="found cpus: 100000"):
            greedy.execute([assignment(tmp_path, "completes")], heard)
        assert heard.events == []

    def test_nothing_of_tune_is_left_behind(self, heard: Heard, storage: Path) -> None:
        assert heard.outcomes
        assert list(storage.iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_signal_to_the_driver_closes_trials_and_leaves_nothing_of_tune(
    tmp_path: Path,
) -> None:
    leftover = tmp_path / "ray" / ("0" * 32)
    leftover.mkdir(parents=True)
    code = (
        "import os, sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from test_executors import Heard, Resources, assignment\n"
        "from qdexp.backends.ray_tune import RayTuneExecutor\n"
        "folder = Path(sys.argv[1])\n"
        "one = assignment(folder, 'asks_its_driver_to_stop', start_from=folder / "
        "f'SIGTERM-{os.getpid()}')\n"
        "executor = RayTuneExecutor(storage=folder / 'ray', resources=Resources())\n"
        "executor.execute([one], Heard())\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), here],
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "InterruptedRunError: stopped by SIGTERM" in done.stderr
    assert list(tmp_path.glob("*/was_closed"))
    assert list((tmp_path / "ray").iterdir()) == []


def without_costs(metrics: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in metrics.items() if not name.startswith("cost.")}
