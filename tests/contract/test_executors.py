"""Both executors pass the suite, and do what is theirs alone."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from executor_contract import ExecutorContract
from toy_assignments import Heard, assignment

from qdexp.backends.inline import InlineExecutor
from qdexp.config.presets import preset
from qdexp.errors import RequestError
from qdexp.execution.ports import Assignment, Executor, Workspace
from qdexp.experiment.spec import Resources
from qdexp.experiment.trial import Trial

if TYPE_CHECKING:
    from qdexp.results.outcome import Outcome


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
        "from toy_assignments import Heard, assignment\n"
        "from qdexp.backends.ray_tune import RayTuneExecutor\n"
        "from qdexp.experiment.spec import Resources\n"
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
