"""`qdexp ablate` explains a winner, change by change, by ordinary experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recorded_search import recorded, search

import qdexp
from qdexp.api.ablating import Ablated
from qdexp.experiment.ablation_path import Round, path_of
from qdexp.results.ledger import Ledger

UNIT = {"low": 0.0, "high": 1.0}
SPACE = {name: UNIT for name in ("big", "small", "nothing", "key", "lock", "broken")}
ALL = {"small": 1.0, "big": 1.0, "nothing": 0.5}


def explained(runs: Path, **options: Any) -> Ablated:  # noqa: ANN401
    return qdexp.ablate(
        "planted", runs=runs, executor="inline", report=False, tracking=False, **options
    )


def order(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    return [each.kept.change for each in rounds if each.kept]


def test_planted_effects_are_found_in_their_order(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    done = explained(tmp_path)
    assert done.is_whole
    assert order(done.rounds)[:2] == [("big",), ("small",)]
    assert order(done.rounds)[2:] == [("nothing",)]
    assert done.winner == "suggestion 1, the best of the search planted"
    assert done.num_run == 4 * (1 + 3 + 2 + 1), "the baseline and every candidate, on 4 seeds"
    with Ledger(tmp_path) as ledger:
        definition = ledger.specs("planted_path")[-1].definition
        assert path_of(definition) == done.rounds
        members = [each for each in ledger.members("planted_path") if each.is_asked_for]
        assert len(members) == done.num_run
    again = explained(tmp_path)
    assert (again.num_run, again.rounds) == (0, done.rounds)
