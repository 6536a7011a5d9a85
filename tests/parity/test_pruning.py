"""Pruning decides as Optuna's pruners do, where both mean the same."""

import random
from typing import Any

import optuna
import pytest

from qdexp.execution.pruning import reason_to_prune, rung_of
from qdexp.experiment.search_spec import Pruning

optuna.logging.set_verbosity(optuna.logging.ERROR)


def pruning(kind: Any, direction: Any, least: int = 1, factor: int = 3) -> Pruning:  # noqa: ANN401
    return Pruning(
        kind=kind,
        metric="eval.toy",
        direction=direction,
        steps=(2, 2 * factor),
        reduction_factor=factor,
        least=least,
    )


def study_of(direction: str, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    name = "minimize" if direction == "lower" else "maximize"
    return optuna.create_study(direction=name, pruner=pruner)


@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_asha_is_successive_halving_of_trials_that_come_one_after_another(
    direction: str, factor: int
) -> None:
    chance = random.Random(f"{direction} {factor}")
    rule = pruning("asha", direction, factor=factor)
    theirs = study_of(
        direction,
        optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=factor),
    )
    reached: dict[int, list[float]] = {step: [] for step in rule.steps}
    num_pruned = 0
    for _ in range(60):
        trial, value = theirs.ask(), 0.0
        for step in rule.steps:
            value = chance.choice([chance.random(), 0.5])  # ties too
            trial.report(value, step)
            is_pruned = bool(reason_to_prune(rule, value, reached[step], step))
            if not reached[step]:
                assert not is_pruned  # with nobody to compare with
            reached[step].append(value)
            assert is_pruned == trial.should_prune()
            if is_pruned:
                num_pruned += 1
                theirs.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            theirs.tell(trial, value)
    assert 10 < num_pruned < 60


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_median_is_optunas_where_all_others_are_complete(direction: str) -> None:
    chance = random.Random(direction)
    rule = pruning("median", direction, least=4)
    theirs = study_of(direction, optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0))
    reached: list[float] = []
    decisions: list[bool] = []
    for _ in range(40):
        trial = theirs.ask()
        value = chance.choice([chance.random(), 0.5])
        trial.report(value, 2)
        is_pruned = bool(reason_to_prune(rule, value, reached, 2))
        assert is_pruned == trial.should_prune()
        decisions.append(is_pruned)
        reached.append(value)
        theirs.tell(trial, value)
    assert any(decisions)
    assert decisions[:4] == [False] * 4


@pytest.mark.parametrize("kind", ["asha", "median"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_ends_however_few_others_there_are(kind: str, value: float) -> None:
    assert f"eval.toy {value}" in reason_to_prune(pruning(kind, "lower"), value, [], 2)


def test_few_others_end_nobody_and_the_reason_is_in_words() -> None:
    rule = pruning("asha", "lower", least=3)
    assert not reason_to_prune(rule, 9.0, [1.0, 2.0], 2)
    assert reason_to_prune(rule, 9.0, [1.0, 2.0, 3.0], 2) == (
        "eval.toy 9 at step 2 is number 4 of 4, and the best 1 go on"
    )
    rule = pruning("median", "lower", least=3)
    assert reason_to_prune(rule, 9.0, [1.0, 2.0, 3.0], 2) == (
        "eval.toy 9 at step 2 is worse than the median of 3 others, 2"
    )


def test_report_is_compared_at_the_last_step_that_it_passed() -> None:
    rule = pruning("asha", "lower")
    assert [rung_of(rule, step) for step in (0, 1, 2, 5, 6, 99)] == [None, None, 2, 2, 6, 6]
