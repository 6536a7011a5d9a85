"""What a report says of factors: the primary family, dose responses, sizes, pooled metrics."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import load
from qdexp_analysis.aggregates import Task, pool
from qdexp_analysis.design_words import effect_sentences, effects_note, family_sentence
from qdexp_analysis.document import document
from qdexp_analysis.factor_findings import across
from qdexp_analysis.factor_maps import factor_maps
from qdexp_analysis.factor_words import dose_sentences
from qdexp_analysis.findings import find
from qdexp_analysis.quantities import NONE
from qdexp_analysis.report import render
from qdexp_analysis.words import answer

from tests.unit.analysis.factorials import RATE, SIZE, noisy, scores_of

Ledger = Callable[[Any], Path]


def two_factors(made: type[Any], changes: Mapping[str, Any] = MappingProxyType({})) -> object:
    """Returns a size and a rate, of which the one helps with a low rate only."""
    factors = {SIZE: (4096, 8192, 16384), RATE: (0.001, 0.002)}
    effects = {(8192, 0.001): -0.01, (16384, 0.001): -0.02, (4096, 0.002): 0.03,
               (8192, 0.002): 0.03, (16384, 0.002): 0.03}  # fmt: skip
    return made(
        **{"factors": factors, "baseline": (4096, 0.001), "effects": effects, "seeds": (0, 1, 2, 3)}
        | dict(changes)
    )


def test_pooled_gains_are_covered_although_metrics_of_a_seed_go_together() -> None:
    """The bootstrap that rliable has covers 76 % here (decision 20)."""
    draw = np.random.default_rng(14)
    number, gains, chances = 400, [], []
    truth = 0.5
    for _ in range(number):
        seed = draw.normal(0, 1, (2, 5, 1)) * math.sqrt(0.6)
        values = 100 + seed + draw.normal(0, 1, (2, 5, 3)) * math.sqrt(0.4)
        (pooled,) = pool(
            [Task(name=str(t), scores=scores_of(values[:, :, t]), baseline=0) for t in range(3)]
        )
        for found, aggregate, true in (
            (gains, pooled.gain, 0.0),
            (chances, pooled.improvement, truth),
        ):
            assert aggregate.interval is not None
            found.append(aggregate.interval[0] <= true <= aggregate.interval[1])
    assert 0.91 <= np.mean(gains) <= 0.98
    assert 0.91 <= np.mean(chances) <= 0.985


def test_pooled_tasks_go_the_way_that_each_is_better() -> None:
    lower = noisy([1.0, 0.8])
    higher = replace(noisy([10.0, 12.0]), direction="higher")
    both = [Task(name="a", scores=lower, baseline=0), Task(name="b", scores=higher, baseline=0)]
    (pooled,) = pool(both)
    assert pooled.gain.value == pytest.approx(0.2, abs=0.03)
    assert pooled.num_tasks == 2
    assert pool(both[:1]) == ()
    lower.diverged[1, 0] = True
    assert pool(both) == ()


def test_experiments_on_several_data_sets_are_pooled_where_they_compare_the_same(
    make_ledger: Ledger, made: type[Any]
) -> None:
    runs = make_ledger(made(name="digits"))
    make_ledger(made(name="others", effects={(4096,): 0.02, (16384,): -0.03}, noise=0.002))
    make_ledger(made(name="fewer", seeds=(0, 1)))
    digits, others, fewer = (load(name, runs) for name in ("digits", "others", "fewer"))
    small, large = across([digits, others], "eval.denoising_loss")
    assert small.gain.value < 0 < large.gain.value
    assert (large.num_tasks, large.seeds) == (2, (0, 1, 2))
    assert across([digits, fewer], "eval.denoising_loss") == ()
    assert across([digits, others], "eval.unknown") == ()


def test_the_design_decides_which_family_is_primary_and_the_report_says_so(
    make_ledger: Ledger, made: type[Any]
) -> None:
    findings = find(load("codebook_size", make_ledger(two_factors(made))))
    assert findings.factors.family == "effects"
    assert family_sentence(findings).startswith(
        "With several factors the primary family is these 3 effects"
    )
    first = answer(findings)[0]
    assert "over all levels of the others" in first
    assert first.endswith("How much depends on learning_rate.") or "add up" in first
    assert effects_note(findings).startswith(family_sentence(findings))
    assert len(effect_sentences(findings)) == 3


def test_one_factor_has_its_contrasts_and_a_dose_response_beside_them(
    make_ledger: Ledger, made: type[Any]
) -> None:
    findings = find(load("codebook_size", make_ledger(made())))
    assert findings.factors.family == "contrasts"
    assert family_sentence(findings) == ""
    (said,) = dose_sentences(findings)
    assert said.startswith("num_embeddings 4096 to 16384: denoising loss falls along a line: ")
    assert "with each doubling (95 % interval " in said


def test_a_diverged_trial_leaves_the_family_and_takes_the_estimates(
    make_ledger: Ledger, made: type[Any]
) -> None:
    statuses = {((16384, 0.002), 1): "diverged"}
    findings = find(load("codebook_size", make_ledger(two_factors(made, {"statuses": statuses}))))
    assert (findings.factors.family, findings.effects) == ("effects", ())
    content = document(findings)["factors"]
    assert content["family"].startswith("With several factors the primary family is the effects")
    assert content["doses"][0].startswith("No dose response for num_embeddings: ")
    assert findings.factors.pooled == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": (0,)},
        {"seeds": (0, 1)},
        {"noise": 0.0, "num_clips": 0},
        {"statuses": {((k, r), s): "diverged" for k in (4096, 8192, 16384) for r in (0.001, 0.002)
                      for s in range(4)}},
        {"statuses": {((16384, 0.002), s): "missing" for s in range(4)}},
        {"statuses": {((4096, 0.001), s): "failed" for s in range(4)}},
        {"factors": {SIZE: (4096,), RATE: (0.001,)}, "effects": {}},
    ],
    ids=["one seed", "two seeds", "no variance", "all diverged", "a cell is missing",
         "no baseline completed", "one level"],
)  # fmt: skip
def test_nothing_that_is_not_a_number_is_in_any_rendering(
    make_ledger: Ledger, made: type[Any], changes: dict[str, Any]
) -> None:
    runs = make_ledger(two_factors(made, changes))
    for form in ("html", "md"):
        text = render("codebook_size", runs, form)
        text = re.sub(r"<style.*?</style>|<svg.*?>", "", text, flags=re.DOTALL)
        assert (
            re.findall(r"(?<![\w/])(?:nan|inf)(?! at step)(?!\w)", text, flags=re.IGNORECASE) == []
        )


def test_the_map_has_the_numbers_of_the_table_and_of_the_sentence(
    make_ledger: Ledger, made: type[Any]
) -> None:
    runs = make_ledger(two_factors(made))
    findings = find(load("codebook_size", runs))
    (drawn,) = factor_maps(findings)
    (table,) = findings.factors.cells
    by_condition = {c.condition: c for c in findings.contrasts}
    for row, a in enumerate(table.levels[0]):
        for column, b in enumerate(table.levels[1]):
            position = findings.experiment.conditions.index({**a, **b})
            if position == findings.experiment.baseline:
                assert table.shares[row, column] == 0
                continue
            contrast = by_condition[position]
            assert contrast.estimate is not None
            share = contrast.estimate.mean / contrast.baseline_mean
            assert table.shares[row, column] == pytest.approx(share)
    said = effect_sentences(findings)[2].partition(" by ")[2].partition(": ")[0]
    assert said in drawn.caption
    assert "The interaction holds" in drawn.caption
    inline = drawn.inline()
    assert inline.count("<text") + inline.count("<g id") >= 12
    assert "var(--condition-0" in inline, "colours follow the page's theme"
    assert drawn.title in render("codebook_size", runs, "html")


def test_sizes_stand_beside_the_intervals(make_ledger: Ledger, made: type[Any]) -> None:
    runs = make_ledger(made())
    findings = find(load("codebook_size", runs))
    sizes = document(findings)["factors"]["sizes"]
    assert len(sizes) == 2
    assert NONE not in sizes
    for form in ("html", "md"):
        text = render("codebook_size", runs, form).replace("\N{NO-BREAK SPACE}", " ")
        assert sizes[0] in text
        assert "effect size" in text
        assert "3 metrics pooled: denoising loss, pixel error, perplexity." in text
