"""An experiment that ran on one machine goes on at another, with all that is known of it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TRAINING = """
from qdexp.results.outcome import Outcome, Progress
def train(trial, workspace):
    yield Progress(step=3, num_steps=6, measurements={"train.loss": 1.0})
    (workspace.folder / "final_checkpoint.pt").write_bytes(b"weights")
    codes = trial.configuration.model.num_embeddings
    loss = 1.0 / codes + 0.001 * trial.seed
    yield Outcome(trial_id=trial.trial_id, status="completed", step=6,
                  measurements={"eval.denoising_loss": loss})
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, qdexp, tiny_spec: str) -> Path:  # noqa: ANN001
    """A folder with a spec, its training, and a runs folder in which it ran."""
    place = tmp_path_factory.mktemp("travel")
    (place / "my_training.py").write_text(TRAINING)
    (place / "sizes.yaml").write_text(tiny_spec + "trainable: my_training:train\n")
    result = qdexp("run", "sizes.yaml", "--runs", "there", "--executor", "inline", cwd=place)
    assert result.returncode == 0, result.stderr
    return place


def test_every_trial_says_where_it_comes_from(qdexp, place: Path) -> None:  # noqa: ANN001
    (first, second, *_) = mirrored(place / "there")
    shown = json.loads(qdexp("show", first, "--json", "--runs", "there", cwd=place).stdout)
    provenance = shown["provenance"]
    assert provenance["command"] == "qdexp run sizes.yaml --runs there --executor inline"
    assert provenance["experiment"] == "sizes"
    assert shown["spec"]["text"] == (place / "sizes.yaml").read_text()
    assert provenance["versions"]["torch"]
    assert provenance["hardware"]["cpus"] >= 1
    assert provenance["seconds"] >= 0
    assert ("diff" in provenance) == provenance.get("dirty", False)
    assert (shown["changes"] is not None) == ("diff" in provenance)
    difference = qdexp("show", "--diff", first, second, "--runs", "there", cwd=place).stdout
    assert {"model.num_embeddings", "seed"} & set(difference.split())
    assert "hardware" not in difference


def test_bundled_experiment_goes_on_elsewhere_without_running_anything_twice(
    qdexp,  # noqa: ANN001
    place: Path,
) -> None:
    bundle = qdexp("bundle", "sizes", "--runs", "there", "--with-checkpoints", cwd=place)
    assert bundle.returncode == 0, bundle.stderr
    assert qdexp("import", bundle.stdout.strip(), "--runs", "here", cwd=place).returncode == 0
    run = ("run", "sizes.yaml", "--runs", "here", "--executor", "inline", "--no-report")
    again = qdexp(*run, cwd=place)
    assert again.returncode == 0, again.stderr
    assert "4 trials: 4 cached" in again.stderr
    assert " started" not in again.stderr
    assert mirrored(place / "here") == mirrored(place / "there")

    (first, *_) = mirrored(place / "here")
    assert qdexp("invalidate", first, "--because", "wrong disk", "--runs", "here", cwd=place)
    plan = json.loads(qdexp("plan", "sizes.yaml", "--runs", "here", "--json", cwd=place).stdout)
    (planned,) = (each for each in plan["trials"] if each["state"] != "cached")
    assert planned["trial_id"] == first
    assert "wrong disk" in planned["reason"]
    status = qdexp("status", "sizes", "--runs", "here", cwd=place).stdout
    assert "3 completed" in status
    assert "1 invalidated" in status
    report = qdexp("report", "sizes", "--runs", "here", "--format", "md", cwd=place).stdout
    assert f"| `{first}` | num\\_embeddings" in report
    assert "invalidated: wrong disk" in report
    assert "1/2 (invalidated 1)" in report

    third = qdexp(*run, cwd=place)
    assert third.returncode == 0, third.stderr
    assert third.stderr.count(" started") == 1
    aside = place / "here" / "trials" / f"{first}.invalidated-1" / "final_checkpoint.pt"
    assert aside.read_bytes() == b"weights"
    assert mirrored(place / "here") == mirrored(place / "there")
    back = qdexp("import", "here", "--runs", "there", cwd=place)
    assert back.returncode == 0, back.stdout


def mirrored(runs: Path) -> list[str]:
    """Returns the trials of which MLflow has exactly one finished run."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection:
        query = (
            "SELECT t.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
            " WHERE t.key = 'qdexp.trial_id' AND r.status = 'FINISHED' ORDER BY t.value"
        )
        return [trial_id for (trial_id,) in connection.execute(query)]
