"""Two experiments beside each other, and what may not be subtracted; mixed machines."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis import compare, find, load, render

from qdexp.cli.compare_command import compare as print_comparison
from qdexp.errors import NotFoundError

Make = Callable[[Any], Path]
TOKENS = "evaluation.codebook_tokens"


def test_two_conditions_of_one_give_the_contrast_of_the_report(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made())
    found = compare("codebook_size:num_embeddings=8192", "codebook_size:num_embeddings=16384", runs)
    row = next(row for row in found.rows if row.metric == "eval.denoising_loss")
    contrasts = find(load("codebook_size", runs)).contrasts
    expected = next(c for c in contrasts if c.condition == 2)
    assert row.contrast.estimate == expected.estimate
    assert found.fields == (("model.num_embeddings", "8192", "16384"),)
    assert found.num_shared_trials == 0


def test_experiments_that_share_trials_differ_by_nothing(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made())
    make_ledger(made(name="again"))
    found = compare("codebook_size", "again", runs)
    assert found.num_shared_trials == 9
    assert found.fields == ()
    losses = [row for row in found.rows if row.metric == "eval.denoising_loss"]
    assert [row.contrast.estimate.mean for row in losses if row.contrast.estimate] == [0, 0, 0]


def test_other_token_budgets_are_never_subtracted(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(factors={TOKENS: (100, 200)}, baseline=(100,)))
    found = compare("codebook_size:codebook_tokens=100", "codebook_size:codebook_tokens=200", runs)
    refused = dict(found.not_comparable)
    assert refused["eval.codebook_usage"] == f"its meaning differs ({TOKENS}: 100 and 200)"
    assert "eval.perplexity" in refused
    assert {row.metric for row in found.rows}.isdisjoint(refused)
    assert "eval.denoising_loss" in {row.metric for row in found.rows}
    page = render("codebook_size", runs, "html")
    assert "Codebook usage and perplexity against their bound" not in page


def test_unknown_condition_is_answered_with_those_there_are(
    make_ledger: Make, made: type[Any]
) -> None:
    with pytest.raises(NotFoundError, match="found 0 for 'num_embeddings=1'; it has: num_embed"):
        compare("codebook_size:num_embeddings=1", "codebook_size", make_ledger(made()))


def test_machines_that_conditions_share_unequally_are_flagged_beside_the_costs(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made(ran={(16384,): {"host": "other", "commit": "ffff"}}))
    (machine, code) = find(load("codebook_size", runs)).mixtures[::-1]
    assert (machine.key, machine.is_balanced) == ("host", False)
    assert code.values == ("b5d9bd8f00", "ffff")
    for format_ in ("html", "md", "latex"):
        text = render("codebook_size", runs, format_)
        place = text.index("Other measurements")
        assert text.index("Mixed machines (host: builder, other)") > place
        assert "conditions are not alike in it" in text


def test_same_machine_for_all_is_not_flagged(make_ledger: Make, made: type[Any]) -> None:
    assert find(load("codebook_size", make_ledger(made()))).mixtures == ()


def test_sides_that_ran_on_other_machines_or_code_are_flagged(
    make_ledger: Make, made: type[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_ledger(made(ran={(16384,): {"host": "other", "commit": "ffff"}}))
    sides = ("codebook_size:num_embeddings=8192", "codebook_size:num_embeddings=16384")
    print_comparison(*sides, runs=runs, as_json=False)
    shown = capsys.readouterr().out
    assert "Mixed machines (host: builder, other); sides are not alike in it" in shown
    assert "Mixed code (commit: b5d9bd8f00, ffff)" in shown
    alike = ("codebook_size:num_embeddings=8192", "codebook_size:num_embeddings=4096")
    assert compare(*alike, runs).mixtures == ()


def test_what_is_compared_is_said_once(
    make_ledger: Make, made: type[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_ledger(made())
    make_ledger(made(name="again"))
    sides = ("codebook_size:num_embeddings=8192", "codebook_size:num_embeddings=16384")
    print_comparison(*sides, runs=runs, as_json=False)
    assert capsys.readouterr().out.count("num_embeddings 8192 and num_embeddings 16384") == 1
    print_comparison("codebook_size", "again", runs=runs, as_json=False)
    assert re.search(r"eval.denoising_loss +num_embeddings 4096 ", capsys.readouterr().out)


def test_two_data_sets_are_pooled_where_all_else_is_the_same(
    make_ledger: Make, made: type[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_ledger(made(name="digits"))
    effects = {(4096,): 0.02, (16384,): -0.03}
    make_ledger(made(name="others", data="other videos", effects=effects))
    make_ledger(made(name="same"))

    small, large = compare("digits", "others", runs).pooled
    assert small.gain.value < 0 < large.gain.value
    assert (large.num_tasks, large.seeds) == (2, (0, 1, 2))
    assert compare("digits", "same", runs).pooled == ()
    assert compare("digits:num_embeddings=4096", "others", runs).pooled == ()

    print_comparison("digits", "others", runs=runs, as_json=False)
    shown = capsys.readouterr().out
    assert "Both data sets pooled, eval.denoising_loss against each one's baseline" in shown
    print_comparison("digits", "others", runs=runs, as_json=True)
    rows = json.loads(capsys.readouterr().out)["pooled"]
    assert [row["condition"] for row in rows] == ["num_embeddings 4096", "num_embeddings 16384"]
    assert rows[1]["gain"] == large.gain.value
