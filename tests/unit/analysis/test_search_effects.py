"""The report of a search does not show values that a training does not read."""

import json
from pathlib import Path

from made_searches import MadeSearch, write_search
from qdexp_analysis.search_findings import find_search
from qdexp_analysis.search_report import SearchReport
from qdexp_analysis.searched import Searched, load_either


def test_value_that_a_training_does_not_read_is_a_dash(tmp_path: Path) -> None:
    cost = {"field": "model.commitment_cost", "kind": "float", "low": 0.05, "high": 1.0}
    kinds = {"field": "model.quantizer", "kind": "categorical", "choices": ["ema", "fsq"]}
    values = [
        {kinds["field"]: "ema", cost["field"]: 0.25},
        {kinds["field"]: "fsq", cost["field"]: 0.07},
    ]
    made = MadeSearch(
        name="search_quantizer",
        parameters=[kinds, cost],
        baseline=values[0],
        suggestions=values,
        loss=lambda of: 0.5 if of["model.quantizer"] == "ema" else 0.4,
    )
    found = load_either(made.name, write_search(tmp_path, made))
    assert isinstance(found, Searched)
    whole = SearchReport(found=find_search(found, lambda *_: {}), is_whole=True)
    assert "is number 1: quantizer fsq." in " ".join(whole.summary())
    (row,) = [each for each in whole.text("md", ()).splitlines() if "0.05 to 1" in each]
    assert "| where the training reads it | 0.25 | \N{EN DASH} |" in row
    content = json.loads(whole.text("json", ()))
    assert content["search"]["suggestions"][1]["values"] == {"model.quantizer": "fsq"}
