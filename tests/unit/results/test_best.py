"""The best of a search in words: without values that say nothing, and less where less is known."""

from pathlib import Path
from typing import Any

import pytest
from made_searches import LOSS, MadeSearch, write_search

from qdexp.results.best import best_of_search
from qdexp.results.ledger import Ledger

EMA = {"model.quantizer": "ema", "model.commitment_cost": 0.25}
FSQ = {"model.quantizer": "fsq", "model.commitment_cost": 0.07}


def loss_of(values: Any) -> float:  # noqa: ANN401
    return 0.5 if values["model.quantizer"] == "ema" else 0.4


@pytest.mark.parametrize(
    ("suggestions", "endings", "words"),
    [
        ([EMA, FSQ], {}, f"best {LOSS} 0.4000, baseline 0.5000: suggestion 1, quantizer=fsq"),
        ([EMA], {}, "only the baseline so far: 0.5000"),
        ([EMA, FSQ], {1: "open"}, "only the baseline so far: 0.5000"),
        ([EMA], {0: "open"}, "nothing found yet"),
        ([], {}, "nothing found yet"),
    ],
)
def test_best_is_said(
    tmp_path: Path, suggestions: list[dict[str, Any]], endings: dict[int, str], words: str
) -> None:
    made = MadeSearch(baseline=EMA, suggestions=suggestions, endings=endings, loss=loss_of)
    write_search(tmp_path, made)
    with Ledger(tmp_path) as ledger:
        assert best_of_search(ledger, made.name) == words
