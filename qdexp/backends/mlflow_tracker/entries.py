# pyright: basic
"""What MLflow's pages say of experiments and trials beside their numbers."""

import getpass
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from qdexp.backends.mlflow_tracker.points import name_in_mlflow
from qdexp.execution.ports import Begun, Entry
from qdexp.experiment.trial import Trial, condition_label
from qdexp.results.outcome import Outcome, Status

TRIAL_ID = "qdexp.trial_id"
EXPERIMENTS = "qdexp.experiments"
ROLE = "qdexp.role"
REPLACED = "qdexp.set_aside_because"

MLFLOW_STATUS: dict[Status, str] = {
    "completed": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "pruned": "KILLED",
    "cancelled": "KILLED",
}

_TAG_CHARACTERS = 5000  # MLflow cuts a tag at 8000
_RUN_NAME_CHARACTERS = 250  # a database other than SQLite refuses a longer name
_DIGEST_CHARACTERS = 36  # MLflow refuses a longer digest
_PARAMETER_CHARACTERS = 6000  # MLflow cuts a longer value


def experiment_tags(entry: Entry, summary: Sequence[str] = ()) -> dict[str, str]:
    """Returns the tags of an experiment and of its parent run."""
    note = "\n\n".join([entry.question, *summary])
    return {
        ROLE: "experiment",
        MLFLOW_RUN_NOTE: note[:_TAG_CHARACTERS],
        MLFLOW_USER: _user(),
        MLFLOW_SOURCE_NAME: f"qdexp {'search' if entry.is_search else 'run'} {entry.name}",
        MLFLOW_SOURCE_TYPE: "LOCAL",
    }


def trial_tags(begun: Begun) -> dict[str, str]:
    """Returns the tags that a trial's run has from its start."""
    names = {"commit": MLFLOW_GIT_COMMIT}
    known = {name: value for name, value in begun.tags.items() if value}
    return {names.get(name, f"qdexp.{name}"): value for name, value in known.items()} | {
        TRIAL_ID: begun.trial.trial_id,
        ROLE: "trial",
        MLFLOW_USER: _user(),
        MLFLOW_SOURCE_NAME: begun.trial.trainable,
        MLFLOW_SOURCE_TYPE: "LOCAL",
    }


def outcome_tags(outcome: Outcome) -> dict[str, str]:
    """Returns the tags that say how a trial ended."""
    tags = {
        "qdexp.outcome": outcome.status,
        "qdexp.warnings": "; ".join(outcome.warnings),
        "qdexp.reason": outcome.failure.reason if outcome.failure else "",
        "qdexp.failure_kind": (outcome.failure.kind or "") if outcome.failure else "",
        MLFLOW_RUN_NOTE: _note(outcome),
    }
    return {name: value[:_TAG_CHARACTERS] for name, value in tags.items()}


def run_name(begun: Begun) -> str:
    """Returns how the table of runs calls a trial."""
    ending = f", seed {begun.trial.seed}"
    label = condition_label(begun.condition)
    if len(label) + len(ending) > _RUN_NAME_CHARACTERS:
        label = label[: _RUN_NAME_CHARACTERS - len(ending) - 1] + "…"
    return label + ending


def parameters(begun: Begun) -> list[Param]:
    """Returns the factors and the seed: they are the table's columns."""
    values = {**begun.condition, "seed": begun.trial.seed}
    return [
        Param(name_in_mlflow(field), str(value)[:_PARAMETER_CHARACTERS])
        for field, value in values.items()
    ]


def as_tags(tags: Mapping[str, str]) -> list[RunTag]:
    """Returns tags as MLflow wants them."""
    return [RunTag(name, value[:_TAG_CHARACTERS]) for name, value in tags.items()]


def configuration_text(trial: Trial) -> str:
    """Returns a trial's whole configuration as JSON."""
    return json.dumps(json.loads(trial.to_json())["configuration"], indent=2)


def dataset_input(trial: Trial) -> DatasetInput | None:
    """Returns the data that a trial learns from, or None where its configuration names none."""
    configuration = json.loads(trial.to_json())["configuration"]
    data: Any = configuration.get("data") if isinstance(configuration, dict) else None
    if not isinstance(data, dict) or "kind" not in data:
        return None
    dataset = Dataset(
        name=str(data["kind"]),
        digest=trial.data_fingerprint[:_DIGEST_CHARACTERS] or "none",
        source_type="qdexp",
        source=json.dumps(data),
    )
    return DatasetInput(dataset, tags=[InputTag(MLFLOW_DATASET_CONTEXT, "training")])


def experiments_of(tags: Mapping[str, str]) -> list[str]:
    """Returns the experiments that a trial's run belongs to."""
    names = tags.get(EXPERIMENTS, "")
    return names.split(", ") if names else []


def _note(outcome: Outcome) -> str:
    reason = f": {outcome.failure.reason}" if outcome.failure else ""
    return "\n\n".join([f"{outcome.status} after step {outcome.step}{reason}", *outcome.warnings])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
