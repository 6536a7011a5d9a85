"""What MLflow's pages say of an experiment names the command that runs it."""

from pathlib import Path

from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME
from searches import searched, spec_of

from qdexp.backends.mlflow_tracker.entries import experiment_tags
from qdexp.execution.mirroring import entry_of
from qdexp.execution.ports import Entry
from qdexp.results.ledger import Ledger


def test_a_search_is_searched_and_an_ablation_is_run(tmp_path: Path) -> None:
    searched(spec_of(budget={"trials": 2}), tmp_path)
    with Ledger(tmp_path) as ledger:
        entry = entry_of(ledger.specs("hill")[-1])
    assert experiment_tags(entry)[MLFLOW_SOURCE_NAME] == "qdexp search hill"
    ablation = Entry(name="sizes", question="Does size matter?", spec="")
    assert experiment_tags(ablation)[MLFLOW_SOURCE_NAME] == "qdexp run sizes"
