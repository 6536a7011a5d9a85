"""Reports of experiments that lost trials: said in words, by condition, never as nan."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis import load, render
from qdexp_analysis.document import sentences
from qdexp_analysis.exploratory import q_values
from qdexp_analysis.findings import find
from qdexp_analysis.words import answer
from statsmodels.stats.multitest import multipletests

Make = Callable[[Any], Path]
TWO = {"model.num_embeddings": (4096, 8192)}
SEEDS = (0, 1, 2, 3, 4, 5)


def _ended(status: str, codes: int, seeds: tuple[int, ...]) -> dict[Any, str]:
    return {((codes,), seed): status for seed in seeds}


UNPAIRED = _ended("missing", 4096, (0, 1, 2)) | _ended("missing", 8192, (3, 4, 5))
CASES = {
    "unpaired": UNPAIRED,
    "baseline diverged": _ended("diverged", 8192, SEEDS),
    "diverged but one": _ended("diverged", 4096, SEEDS[1:]),
    "all failed": _ended("failed", 4096, SEEDS) | _ended("failed", 8192, SEEDS),
}


def _runs(make_ledger: Make, made: type[Any], statuses: dict[Any, str]) -> Path:
    return make_ledger(made(factors=TWO, seeds=SEEDS, statuses=statuses))


@pytest.mark.parametrize("name", CASES)
def test_no_number_is_nan_or_infinite(make_ledger: Make, made: type[Any], name: str) -> None:
    runs = _runs(make_ledger, made, CASES[name])
    for format_ in ("html", "md", "csv"):
        text = render("codebook_size", runs, format_).replace("loss is nan at step 31", "")
        assert not re.search(r"\b(nan|inf|None)\b", text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unpaired", "compared without pairs (Welch's test)"),
        ("unpaired", "95 % interval \N{MINUS SIGN}"),
        ("baseline diverged", "undecided: every trial of the baseline diverged"),
        ("baseline diverged", "What is missing depends on the condition (0 of 6 trials ended"),
        ("diverged but one", "one seed: no uncertainty can be stated"),
        ("diverged but one", "5 of 6 trials ended without a result, 0 of 6 of the baseline's"),
    ],
)
def test_what_was_lost_is_said(make_ledger: Make, made: type[Any], name: str, words: str) -> None:
    findings = find(load("codebook_size", _runs(make_ledger, made, CASES[name])))
    assert words in " ".join((*sentences(findings), *answer(findings)))


def test_rates_of_divergence_stand_beside_the_failures(make_ledger: Make, made: type[Any]) -> None:
    text = render("codebook_size", _runs(make_ledger, made, CASES["diverged but one"]), "md")
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "- 4096: 5 of 6 ended trials diverged (83.3 %, exact 95 % interval 35.9 to 99.6 %)." in text
    )
    assert "- 8192: 0 of 6 ended trials diverged (0 %, exact 95 % interval 0 to 45.9 %)." in text


def test_exploratory_metrics_have_q_values_where_seeds_differ(
    make_ledger: Make, made: type[Any]
) -> None:
    findings = find(load("codebook_size", make_ledger(made())))
    by_name = {metric.name: metric for metric in findings.secondary}
    known = [q for metric in findings.secondary for q in metric.q if q is not None]
    assert known
    assert all(0 <= q <= 1 for q in known)
    assert by_name["eval.pixel_error"].q[1] is None  # the baseline
    assert set(by_name["cost.parameters"].q) == {None}  # the same in every seed


def test_q_values_agree_with_statsmodels_and_missing_ones_count_not() -> None:
    p = [0.001, 0.04, 0.03, 0.9]
    expected = multipletests(p, method="fdr_bh")[1]
    assert expected is not None
    assert q_values([p[0], None, *p[1:]]) == [
        pytest.approx(expected[0]),
        None,
        *(pytest.approx(q) for q in expected[1:]),
    ]
    assert q_values([None]) == [None]
