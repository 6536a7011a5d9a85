"""What factors do: the primary family, interactions, dose responses, sizes, pooled metrics."""

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
from qdexp_analysis.contrasts import Margin, Scores
from qdexp_analysis.design import Design, read_design
from qdexp_analysis.design_words import effect_sentences, effects_note, family_sentence
from qdexp_analysis.document import document
from qdexp_analysis.effect_sizes import effect_size
from qdexp_analysis.effects import factorial_effects, judge_changes
from qdexp_analysis.factor import read_factors
from qdexp_analysis.factor_findings import across
from qdexp_analysis.factor_maps import factor_maps
from qdexp_analysis.factor_words import dose_sentences
from qdexp_analysis.findings import find
from qdexp_analysis.interactions import cells, simple_effects
from qdexp_analysis.quantities import NONE
from qdexp_analysis.report import render
from qdexp_analysis.slopes import dose_responses
from qdexp_analysis.words import answer

SIZE, RATE = "model.num_embeddings", "training.learning_rate"
Ledger = Callable[[Any], Path]


def grid(**levels: tuple[Any, ...]) -> tuple[list[dict[str, Any]], Design]:
    """Returns the conditions and the design of a full factorial of a size and a quantizer."""
    fields = {"size": SIZE, "kind": "model.quantizer", "rate": RATE}
    factors = [
        {"field": fields[name], "levels": list(of), "baseline": of[0]}
        for name, of in levels.items()
    ]
    definition = {"design": "full_factorial", "factors": factors}
    conditions: list[dict[str, Any]] = [{}]
    for factor in factors:
        conditions = [c | {factor["field"]: x} for c in conditions for x in factor["levels"]]
    return conditions, read_design(definition, read_factors(definition), conditions)


def scores_of(values: np.ndarray) -> Scores:
    return Scores(
        values=values if values.ndim == 3 else values[:, :, None],
        diverged=np.zeros(values.shape[:2], dtype=bool),
        direction="lower",
    )


def noisy(means: list[float], *, seeds: int = 5, noise: float = 0.002) -> Scores:
    draw = np.random.default_rng(3)
    shared = draw.normal(0, 0.1, (1, seeds))
    return scores_of(np.array(means)[:, None] + shared + draw.normal(0, noise, (len(means), seeds)))


def two_factors(made: type[Any], changes: Mapping[str, Any] = MappingProxyType({})) -> object:
    """Returns a size and a rate, of which the one helps with a low rate only."""
    factors = {SIZE: (4096, 8192, 16384), RATE: (0.001, 0.002)}
    effects = {(8192, 0.001): -0.01, (16384, 0.001): -0.02, (4096, 0.002): 0.03,
               (8192, 0.002): 0.03, (16384, 0.002): 0.03}  # fmt: skip
    return made(
        **{"factors": factors, "baseline": (4096, 0.001), "effects": effects, "seeds": (0, 1, 2, 3)}
        | dict(changes)
    )


def test_factors_without_order_have_effects_and_interactions_too() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine", "fsq"))
    means = [1.0, 1.1, 1.2, 1.0, 1.1, 1.4]
    effects = factorial_effects(noisy(means), conditions, design)
    named = [" x ".join(str(ends[1]) for ends in effect.ends) for effect in effects]
    size = f"{{'{SIZE}': 256}}"
    cosine, fsq = (f"{{'model.quantizer': '{kind}'}}" for kind in ("cosine", "fsq"))
    assert named == [size, cosine, fsq, f"{size} x {cosine}", f"{size} x {fsq}"]
    found = [effect.estimate.mean for effect in effects]
    assert found == pytest.approx([0.2 / 3, 0.1, 0.3, 0.0, 0.2], abs=0.006)
    assert [e.contrast.verdict for e in effects] == [
        "worse", "worse", "worse", "undecided", "worse",
    ]  # fmt: skip


def test_an_effect_within_the_margin_is_equivalent_to_none() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"))
    margin = Margin(value=0.02, is_relative=True)
    effects = factorial_effects(noisy([1.0, 1.1, 1.0, 1.1]), conditions, design, margin)
    assert [e.contrast.verdict for e in effects] == ["equivalent", "worse", "equivalent"]


def test_simple_effects_are_listed_where_an_interaction_holds_and_only_there() -> None:
    conditions, design = grid(size=(64, 256, 1024), kind=("ema", "cosine"))
    scores = noisy([1.0, 1.1, 0.9, 1.1, 0.8, 1.1])
    effects = factorial_effects(scores, conditions, design)
    simple = simple_effects(scores, conditions, design, None, effects)
    assert [(s.axis.name, *s.at.values()) for s in simple] == [
        ("num_embeddings", "ema"), ("num_embeddings", "cosine"),
        ("quantizer", 64), ("quantizer", 256), ("quantizer", 1024),
    ]  # fmt: skip
    means = [s.contrast.estimate.mean for s in simple if s.contrast.estimate]
    assert means == pytest.approx([-0.2, 0, 0.1, 0.2, 0.3], abs=0.006)
    assert [s.contrast.verdict for s in simple] == [
        "better", "undecided", "worse", "worse", "worse",
    ]  # fmt: skip
    additive = noisy([1.0, 1.1, 0.9, 1.0, 0.8, 0.9])
    effects = factorial_effects(additive, conditions, design)
    assert simple_effects(additive, conditions, design, None, effects) == ()


def test_cells_are_the_contrasts_and_what_both_effects_do_not_add_up_to() -> None:
    conditions, design = grid(size=(256, 64), kind=("ema", "cosine"))
    exact = scores_of(np.array([[1.0, 2], [1.1, 2.2], [0.9, 1.8], [1.2, 2.4]]))
    (table,) = cells(exact, conditions, design, ())
    assert [row[SIZE] for row in table.levels[0]] == [64, 256], "numbers ascend"
    assert table.shares == pytest.approx(np.array([[-0.1, 0.2], [0.0, 0.1]]))
    assert table.beyond == pytest.approx(np.array([[-0.05, 0.05], [0.05, -0.05]]))


def test_cells_of_two_factors_are_means_over_the_third_and_shown_where_they_interact() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"), rate=(0.1, 0.2))
    means = [1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.3, 1.4]
    scores = noisy(means)
    (table,) = cells(scores, conditions, design, factorial_effects(scores, conditions, design))
    assert [axis.name for axis in table.axes] == ["num_embeddings", "quantizer"]
    assert table.shares == pytest.approx(np.array([[0, 0], [0, 0.3]]), abs=0.01)


def test_a_cell_without_a_pair_is_empty_and_then_nothing_is_said_to_be_left() -> None:
    conditions, design = grid(size=(64, 256), kind=("ema", "cosine"))
    scores = noisy([1.0, 1.1, 1.0, 1.2])
    scores.values[3] = np.nan
    (table,) = cells(scores, conditions, design, ())
    assert math.isnan(table.shares[1, 1])
    assert table.beyond is None


def test_a_dose_response_of_one_factor_rises_bends_and_turns() -> None:
    conditions, design = grid(size=(64, 256, 1024))
    (falls,) = dose_responses(noisy([1.0, 0.9, 0.8]), conditions, design, None, ())
    assert falls.slope.estimate is not None
    assert falls.slope.estimate.mean == pytest.approx(-0.2, abs=0.005)
    assert falls.slope.p is not None
    assert falls.slope.p < 0.001
    assert not falls.is_bent
    (turns,) = dose_responses(noisy([1.0, 0.8, 1.0]), conditions, design, None, ())
    assert (turns.is_bent, turns.turns) == (True, True)
    assert turns.bend.estimate is not None
    assert turns.bend.estimate.mean == pytest.approx(-0.2, abs=0.005)
    (levels_off,) = dose_responses(noisy([1.0, 0.85, 0.75]), conditions, design, None, ())
    assert (levels_off.is_bent, levels_off.turns) == (True, False)


def test_two_levels_or_unordered_ones_have_no_dose_response() -> None:
    for levels in ({"size": (64, 256)}, {"kind": ("ema", "cosine", "fsq")}):
        conditions, design = grid(**levels)
        scores = noisy([1.0] * len(conditions))
        assert dose_responses(scores, conditions, design, None, ()) == ()


def test_no_dose_response_where_a_trial_diverged() -> None:
    conditions, design = grid(size=(64, 256, 1024))
    scores = noisy([1.0, 0.9, 0.8])
    scores.values[2, 0], scores.diverged[2, 0] = np.nan, True
    assert dose_responses(scores, conditions, design, None, ()) == ()


ANY = scores_of(np.ones((1, 1)))
"""Scores whose direction is all that counts."""


def test_an_effect_size_needs_two_seeds_and_variance() -> None:
    def size(values: list[float]) -> object:
        changes = np.array(values)[None, :, None]
        (contrast,) = judge_changes(changes, np.ones(changes.shape[1:]), ANY, None, [0, 1, 2])
        return effect_size(contrast)

    assert size([1.0]) is None
    assert size([1.0, 1.0, 1.0]) is None
    assert size([1.0, 2.0, 3.0]) is not None


def test_a_true_effect_size_is_covered_and_not_biased() -> None:
    draw = np.random.default_rng(8)
    covered, sizes = [], []
    for changes in draw.normal(0.8, 1.0, (1000, 1, 5, 1)):
        (contrast,) = judge_changes(changes, np.full((5, 1), 100.0), ANY, None, range(5))
        size = effect_size(contrast)
        assert size is not None
        assert size.g_z is not None
        covered.append(size.interval[0] <= 0.8 <= size.interval[1])
        sizes.append(size.g_z)
    assert 0.933 <= np.mean(covered) <= 0.967
    assert np.mean(sizes) == pytest.approx(0.8, abs=float(2.5 * np.std(sizes) / math.sqrt(1000)))


def test_experiments_without_any_effect_rarely_state_one_in_the_primary_family() -> None:
    """Seeds have slopes of their own: an error pooled over them would state one in 40 %."""
    conditions, design = grid(size=(64, 256, 1024), rate=(0.1, 0.2))
    draw = np.random.default_rng(12)
    x = np.array([-1, -1, 0, 0, 1, 1])[:, None]
    number, wrong = 600, 0
    for _ in range(number):
        own = draw.normal(0, 0.03, (6, 4)) + x * draw.normal(0, 0.05, 4) + draw.normal(0, 0.2, 4)
        effects = factorial_effects(scores_of(1 + own), conditions, design)
        wrong += any(effect.contrast.verdict != "undecided" for effect in effects)
    assert 1 <= wrong <= 0.05 * number + 2 * math.sqrt(0.05 * 0.95 * number)


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
