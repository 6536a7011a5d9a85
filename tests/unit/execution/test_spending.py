"""A search's budget is what its trials took, over all its calls."""

from dataclasses import replace
from pathlib import Path

import pytest
from searches import Cut, records_of, searched, spec_of

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import InterruptedRunError
from qdexp.execution.spending import Meter, why_spent
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import TimeSpent, time_spent


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_meter_counts_while_something_runs_and_gpus_of_all_that_run() -> None:
    clock = Clock()
    meter = Meter(lambda: 0.5, clock)
    assert meter.take() == TimeSpent()
    meter.start("a")
    assert meter.untaken() == TimeSpent(seconds=1.0, gpu_seconds=0.5)
    meter.start("b")
    meter.end("a")
    meter.end("b")
    assert meter.take() == TimeSpent(seconds=4.0, gpu_seconds=2.5)
    clock.now += 100
    assert meter.take() == TimeSpent()


def test_each_part_of_a_budget_ends_a_search_and_says_so(tmp_path: Path) -> None:
    searched(spec_of(budget={"trials": 2}), tmp_path)
    records = records_of(tmp_path)
    spec = spec_of(budget={"trials": 9, "hours": 2, "gpu_hours": 3})
    assert not why_spent(spec, records, TimeSpent(seconds=7_199, gpu_seconds=10_799))
    assert why_spent(spec, records, TimeSpent(seconds=7_200)) == "2 of 2 hours"
    assert why_spent(spec, records, TimeSpent(gpu_seconds=10_800)) == "3 of 3 GPU-hours"
    found = [replace(records[1], suggestion=replace(records[1].suggestion, origin="ledger"))] * 9
    assert not why_spent(spec, [*records, *found], TimeSpent())
    assert why_spent(spec_of(seeds=2, budget={"trials": 5}), records, TimeSpent()) == (
        "4 of 5 trials (1 is too few for 2 seeds)"
    )
    assert why_spent(spec_of(seeds=2, budget={"trials": 4}), records, TimeSpent()) == (
        "4 of 4 trials"
    )
    fewer = spec_of(budget={"trials": 1})
    assert why_spent(fewer, records, TimeSpent()) == "2 trials (of a budget of 1)"


@pytest.mark.parametrize("trials", [{}, {"trials": 1_000}])
def test_gpu_hours_are_of_the_gpus_that_the_executor_gave_whatever_the_driver_has(
    tmp_path: Path, trials: dict[str, int]
) -> None:
    class Elsewhere(InlineExecutor):
        def gpus_of_trial(self) -> float:
            return 2.0

    budget = {**trials, "gpu_hours": 0.01}  # 18 seconds of this clock
    spec = spec_of(budget=budget, resources={"gpus": 2})
    done = searched(spec, tmp_path, executor=Elsewhere(), clock=Clock())
    assert done.why_ended.endswith("of 0.01 GPU-hours")
    with Ledger(tmp_path) as ledger:
        spent = time_spent(ledger, "hill")
    assert spent.gpu_seconds == 2 * spent.seconds


@pytest.mark.parametrize("trials", [{}, {"trials": 1_000}])
@pytest.mark.parametrize("is_cut", [False, True])
def test_hours_are_counted_over_all_calls_and_what_is_begun_is_finished(
    tmp_path: Path, trials: dict[str, int], *, is_cut: bool
) -> None:
    spec = spec_of(budget={**trials, "hours": 0.01})  # 36 seconds of this clock
    if is_cut:
        for _ in range(2):
            with pytest.raises(InterruptedRunError):
                searched(spec, tmp_path, executor=Cut(after=7), clock=Clock())
        with Ledger(tmp_path) as ledger:
            assert 0 < time_spent(ledger, "hill").seconds < 36
    done = searched(spec, tmp_path, clock=Clock())
    records = records_of(tmp_path)
    assert done.why_ended.endswith("of 0.01 hours")
    assert 2 < len(records) < 20
    assert all(each.told for each in records)
    with Ledger(tmp_path) as ledger:
        assert time_spent(ledger, "hill").seconds >= 36
    assert searched(spec, tmp_path).num_run == 0
