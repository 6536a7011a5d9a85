"""What a test of a tracker mirrors, and what somebody who looks into MLflow then finds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.backends.mlflow_tracker import Location, MlflowTracker
from qdexp.config.presets import preset
from qdexp.execution.ports import Begun, Entry
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Failure, Outcome, Series, Status

if TYPE_CHECKING:
    from mlflow.entities import Run

CONDITION = {"model.num_embeddings": 4096}
STARTED_AT = 1_750_000_000.0
QUESTION = "Does a larger codebook help?"

Opened = Callable[..., MlflowTracker]


def trial(seed: int = 0) -> Trial:
    return Trial(configuration=preset("tiny"), seed=seed, data_fingerprint="f" * 64)


def begun(
    of: Trial,
    started_at: float = STARTED_AT,
    condition: Condition = CONDITION,
    tags: Mapping[str, str] = {},
) -> Begun:
    return Begun(trial=of, condition=condition, tags=tags, started_at=started_at)


def entry(name: str = "codebook_size", metrics: Sequence[str] = ()) -> Entry:
    return Entry(name=name, question=QUESTION, spec=f"name: {name}\n", metrics=tuple(metrics))


def outcome(of: Trial, status: Status = "completed") -> Outcome:
    failure = None if status == "completed" else Failure(reason=f"it was {status}")
    return Outcome(
        trial_id=of.trial_id,
        status=status,
        step=20,
        measurements={"eval.toy": 0.5, "train.toy": 2.0, "eval.broken": float("nan")},
        history={
            "train.toy": Series(steps=(0, 10, 20), values=(4.0, 3.0, 2.0)),
            "eval.toy": Series(steps=(0, 20), values=(0.9, 0.7)),
        },
        failure=failure,
        provenance={"finished_at": STARTED_AT + 60},
    )


class Reader:
    """What somebody who looks into MLflow finds."""

    def __init__(self, location: Location) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=location.address)

    def runs(self, role: str) -> "list[Run]":
        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return list(
            run
            for run in self.client.search_runs(everywhere, f"tags.`qdexp.role` = '{role}'")
            if run.info.run_name != "unused"
        )

    def deleted(self) -> "list[Run]":
        from mlflow.entities import ViewType

        everywhere = [each.experiment_id for each in self.client.search_experiments()]
        return list(self.client.search_runs(everywhere, run_view_type=ViewType.DELETED_ONLY))

    def history(self, run: "Run", name: str) -> list[tuple[int, float]]:
        metrics = self.client.get_metric_history(run.info.run_id, name)
        return sorted((metric.step, metric.value) for metric in metrics)

    def files(self, run: "Run") -> set[str]:
        return {each.path for each in self.client.list_artifacts(run.info.run_id)}

    def text(self, run: "Run", name: str) -> str:
        return Path(self.client.download_artifacts(run.info.run_id, name)).read_text()
