"""A search of many suggestions: its report has each of them, and takes no longer than it must."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_searches import LOSS, MadeSearch, write_search
from qdexp_analysis import search_findings
from qdexp_analysis.pareto import hypervolume, is_on_front
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.search_importance_words import importance_section
from qdexp_analysis.searched import Searched, load_either

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord

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


def test_forest_is_fitted_to_so_many_at_most_from_first_to_last_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_findings, "MOST", 12)
    write_search(tmp_path, MadeSearch(num=40))
    searched = load_either("search_quantizer", tmp_path)
    assert isinstance(searched, Searched)
    fitted: list[int] = []

    def importance(
        parameters: Sequence[Parameter], complete: Sequence[SuggestionRecord], _objective: int
    ) -> dict[str, float]:
        fitted.extend(each.suggestion.number for each in complete)
        return {each.field: 0.1 for each in parameters}

    section = importance_section(find_search(searched, importance))
    assert len(fitted) == len(set(fitted)) == 12
    assert (fitted[0], fitted[-1]) == (0, 39)
    assert "a random forest is fitted to 12 complete configurations" in section.sentences[0]
    assert any("Of 40 complete configurations it has 12" in each for each in section.sentences)
