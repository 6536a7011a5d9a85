"""How MLflow calls things: its columns are narrow, so that what tells apart comes first."""

from dataclasses import replace
from pathlib import Path

from mirrored_trials import begun, entry, trial
from searches import searched, spec_of

from qdexp.backends.mlflow_tracker.entries import experiment_tags, run_name
from qdexp.execution.mirroring import entry_of
from qdexp.results.ledger import Ledger


def test_trial_of_a_search_is_called_by_its_number_first() -> None:
    plain = begun(trial(3))
    assert run_name(plain).endswith(", seed 3")
    assert run_name(replace(plain, number=12)) == f"12: {run_name(plain)}"
    long = replace(plain, number=12, condition={"model.name": "x" * 400})
    assert run_name(long).startswith("12: name=xxx")
    assert run_name(long).endswith("x…, seed 3")
    assert len(run_name(long)) == 250


def test_source_is_the_command_that_runs_it(tmp_path: Path) -> None:
    assert experiment_tags(entry())["mlflow.source.name"] == f"qdexp run {entry().name}"
    searched(spec_of(budget={"trials": 2}), tmp_path)
    with Ledger(tmp_path) as ledger:
        of_search = entry_of(ledger.specs("hill")[-1])
    assert experiment_tags(of_search)["mlflow.source.name"] == "qdexp search hill"
