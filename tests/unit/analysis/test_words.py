"""Numbers and verdicts as people read them."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from qdexp_analysis import load
from qdexp_analysis.comparability import scores
from qdexp_analysis.declared import OURS
from qdexp_analysis.document import sentences
from qdexp_analysis.findings import Prospect, find
from qdexp_analysis.quantities import NONE, measured, number, p_text, signed
from qdexp_analysis.verdict_words import prospect_text
from qdexp_analysis.words import answer
from scipy import stats

Make = Callable[[Any], Path]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.99951, "1.00"),
        (1234.5, "1,230"),
        (-0.01234, "\N{MINUS SIGN}0.0123"),
        (0.0000123, "1.23e\N{MINUS SIGN}05"),
        (float("nan"), NONE),
        (float("inf"), NONE),
        (None, NONE),
    ],
)
def test_number_has_three_significant_digits_and_no_negative_zero(
    value: float | None, text: str
) -> None:
    assert number(value) == text


def test_signs_units_and_p_values() -> None:
    assert signed(0.012) == "+0.012"
    assert measured(0.0981, OURS.metric("cost.step_seconds")) == "98.1 ms"
    assert measured(4.12e8, OURS.metric("cost.peak_memory_bytes")) == "412 MB"
    assert measured(0.5, OURS.metric("eval.codebook_usage")) == "50.0 %"
    assert [p_text(p) for p in (0.0004, 0.0123, 0.999, None)] == ["< 0.001", "0.012", "1", NONE]


def test_verdicts_and_answer_state_difference_interval_and_cost(
    make_ledger: Make, made: type[Any]
) -> None:
    findings = find(load("codebook_size", make_ledger(made())))
    worse, better = sentences(findings)
    assert worse.startswith("num_embeddings = 4096 against 8192: denoising loss higher by 1.")
    assert better.endswith("after Holm): better.")
    assert "95 % interval 0." in better
    assert answer(findings)[0].startswith("num_embeddings 16384 is better than 8192")
    assert "1.5 times as long with 16384 (95 % interval 1." in answer(findings)[-1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": (0,)}, "one seed: no uncertainty can be stated"),
        (
            {"statuses": {((4096,), seed): "diverged" for seed in range(3)}},
            "every one of its trials diverged",
        ),
        (
            {"statuses": {((8192,), seed): "missing" for seed in range(3)}},
            "no seed has both it and the baseline completed",
        ),
        ({"noise": 0.03}, "noise between seeds and clips could explain it"),
        ({"noise": 0.03}, "is found four times in five"),
    ],
)
def test_what_cannot_be_decided_is_said_in_words(
    make_ledger: Make, made: type[Any], changes: dict[str, Any], words: str
) -> None:
    findings = find(load("codebook_size", make_ledger(made(**changes))))
    assert words in " ".join(sentences(findings))


def test_answer_has_one_line_for_each_reason_of_what_is_undecided(
    make_ledger: Make, made: type[Any]
) -> None:
    factors = {"model.num_embeddings": (64, 128, 256, 8192)}
    diverged = {((codes,), seed): "diverged" for codes in (64, 256) for seed in range(3)}
    missing = {((128,), seed): "missing" for seed in range(3)}
    runs = make_ledger(made(factors=factors, statuses=diverged | missing))
    doubts = [line for line in answer(find(load("codebook_size", runs))) if "Undecided" in line]
    assert doubts == [
        "Undecided for 64; 256 (each: every one of its trials diverged).",
        "Undecided for 128 (no seed has both it and the baseline completed).",
    ]


def test_answer_refuses_to_rank_on_a_metric_that_a_factor_defines(
    make_ledger: Make, made: type[Any]
) -> None:
    weights = {"training.quantization_weight": (0.05, 0.1)}
    runs = make_ledger(made(factors=weights, baseline=(0.1,), primary="train.loss"))
    findings = find(load("codebook_size", runs))
    assert findings.contrasts == ()
    assert answer(findings)[0].startswith(
        "No condition is ranked: train.loss contains training.quantization_weight"
    )


def test_answer_says_how_much_of_the_codebook_is_used_and_what_it_costs(
    make_ledger: Make, made: type[Any]
) -> None:
    text = " ".join(answer(find(load("codebook_size", make_ledger(made())))))
    used = text[text.index("Codes used") : text.index("Cost: ")]
    assert used.count(" % with ") == 3
    assert "times as long with 16384" in text


WEIGHTS = {"training.quantization_weight": (0.05, 0.1)}


def _cost(runs: Path) -> str:
    return answer(find(load("codebook_size", runs)))[-1]


def test_cost_that_load_could_explain_is_not_claimed(make_ledger: Make, made: type[Any]) -> None:
    load_of_machine = {((0.05,), 0): 1.6, ((0.05,), 1): 0.9, ((0.05,), 2): 1.3}
    runs = make_ledger(made(factors=WEIGHTS, baseline=(0.1,), step_factors=load_of_machine))
    assert re.fullmatch(
        r"Cost: no clear difference in the time of a training step \(about 1\d\d ms\)\.",
        _cost(runs),
    )


def test_cost_is_not_claimed_from_one_seed(make_ledger: Make, made: type[Any]) -> None:
    cost = _cost(make_ledger(made(seeds=(0,))))
    assert cost.startswith("Cost: no clear difference in the time of a training step from one seed")


@pytest.mark.parametrize(
    "ran",
    [
        {"started_at": 1.0e9 + 3600, "finished_at": 1.0e9 + 3660},
        {"session": "2026-11-23 09:32:11 UTC, process 7"},
    ],
    ids=["an hour later", "another session"],
)
def test_cost_of_trials_measured_at_another_time_is_not_compared(
    make_ledger: Make, made: type[Any], ran: dict[str, Any]
) -> None:
    slow = {((16384,), seed): 2.0 for seed in range(3)}
    cost = _cost(make_ledger(made(step_factors=slow, ran={(16384,): ran})))
    assert "times as long with 16384" not in cost
    assert "not compared with 16384, measured at another time" in cost


def test_conditions_that_a_list_could_mix_up_are_in_quotes(
    make_ledger: Make, made: type[Any]
) -> None:
    later = {"started_at": 1.0e9 + 3600, "finished_at": 1.0e9 + 3660}
    slow = {((16384,), seed): 2.0 for seed in range(3)}
    levels = (4096, 8192, 16384, 32768)
    runs = make_ledger(
        made(
            factors={"model.num_embeddings": levels},
            step_factors=slow,
            ran={(4096,): later, (32768,): later},
        )
    )
    names = {0: "size 4096", 1: "the baseline", 2: "size 4096, kind fsq", 3: "kind fsq"}
    cost = answer(find(replace(load("codebook_size", runs), names=names)))[-1]
    assert "times as long with “size 4096, kind fsq” (95 % interval" in cost
    assert "not compared with “size 4096”, “kind fsq”, measured at another time" in cost


def test_cost_interval_is_the_t_interval_of_log_ratios(make_ledger: Make, made: type[Any]) -> None:
    findings = find(load("codebook_size", make_ledger(made())))
    assert findings.step_times is not None
    seconds = scores(findings.experiment, "cost.step_seconds").means
    expected = stats.ttest_1samp(np.log(seconds[2] / seconds[1]), 0).confidence_interval(0.95)
    ratio = findings.step_times.ratios[1]
    assert ratio.interval == pytest.approx(np.exp([expected.low, expected.high]))
    assert ratio.is_clear


@pytest.mark.parametrize(
    ("obstacle", "advice"),
    [
        ("seeds", "0.2 % of the baseline would take more than 100 seeds"),
        (
            "clips",
            "for 0.2 % of the baseline no number of seeds is enough with these 16 clips: "
            "raise evaluation.num_clips",
        ),
    ],
)
def test_few_seeds_are_advised_more_seeds_first_and_then_what_stands_in_the_way(
    make_ledger: Make, made: type[Any], obstacle: Literal["seeds", "clips"], advice: str
) -> None:
    findings = find(load("codebook_size", make_ledger(made(noise=0.03))))
    contrast = findings.contrasts[0]
    text = prospect_text(findings, contrast, Prospect(minimum_detectable=0.1, obstacle=obstacle))
    assert text.startswith("More seeds come first: 3 say little of the spread between seeds.")
    assert advice in text
