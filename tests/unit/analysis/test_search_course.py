"""How a search went: the best so far, of which each suggestion is one more."""

from pathlib import Path

import numpy as np
import pytest
from made_searches import LOSS, MadeSearch, write_search
from qdexp_analysis import search_findings
from qdexp_analysis.pareto import hypervolume, is_on_front
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.searched import Searched, load_either

TWO = ((LOSS, "lower"), ("cost.step_seconds", "lower"))


def found(runs: Path) -> SearchFindings:
    write_search(runs, MadeSearch(num=40, objectives=TWO, endings={3: "failed", 9: "pruned"}))
    searched = load_either("search_quantizer", runs)
    assert isinstance(searched, Searched)
    return find_search(searched)


def test_share_is_that_of_all_so_far_and_only_what_beats_something_is_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, sizes = found(tmp_path), []

    def counted(losses: np.ndarray, reference: np.ndarray) -> float:
        sizes.append(len(losses))
        return hypervolume(losses, reference)

    monkeypatch.setattr(search_findings, "hypervolume", counted)
    shares = [each for k, each in enumerate(of.course.best) if of.course.numbers[k] not in (3, 9)]
    box = float(np.prod(of.reference - of.losses.min(axis=0)))
    fronts = [of.losses[: k + 1] for k in range(len(of.complete))]
    fronts = [each[is_on_front(each)] for each in fronts]
    assert shares == pytest.approx([hypervolume(each, of.reference) / box for each in fronts])
    assert len(sizes) == len(set(shares)) < len(shares)
    assert max(sizes) == max(map(len, fronts)) < len(of.complete)
