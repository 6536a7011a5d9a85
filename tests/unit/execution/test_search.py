"""A search goes on through whatever its trials end in, and through whatever ends itself."""

from contextlib import suppress
from pathlib import Path

import pytest
from searches import Cut, Shown, attempts, ended, records_of, searched, spec_of, told

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import InterruptedRunError, LedgerInUseError, RequestError
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder

PRUNING = {"kind": "asha", "metric": "error", "steps": [1, 2], "reduction_factor": 2, "least": 1}


def test_baseline_comes_first_then_what_is_asked_for_then_what_is_suggested(tmp_path: Path) -> None:
    mirror = Shown()
    done = searched(spec_of(enqueue=[{"x": 0.1, "y": 0.2}]), tmp_path, mirror=mirror)
    records = records_of(tmp_path)
    origins = ["baseline", "enqueued", *["sampler"] * 4]
    assert [each.suggestion.origin for each in records] == origins
    assert [each.suggestion.number for each in records] == list(range(6))
    assert records[0].suggestion.values == {"x": 0.5, "y": 0.5}
    assert records[1].suggestion.values == {"x": 0.1, "y": 0.2}
    assert ended(records[0]).values == pytest.approx((0.08,))
    assert mirror.records == records
    assert (done.num_run, done.num_incomplete, done.stopped) == (6, 0, "")
    assert done.why_ended == "6 of 6 trials"
    with Ledger(tmp_path) as ledger:
        members = ledger.members("hill")
        assert "search" in ledger.specs("hill")[-1].definition
    assert [member.condition for member in members] == [r.suggestion.values for r in records]
    assert all(member.is_asked_for for member in members)


def test_finished_search_does_nothing_at_a_second_call(tmp_path: Path) -> None:
    searched(spec_of(), tmp_path)
    before = told(tmp_path), attempts(tmp_path)
    done = searched(spec_of(), tmp_path, executor=Cut(after=0))
    assert (done.num_run, done.why_ended) == (0, "6 of 6 trials")
    assert (told(tmp_path), attempts(tmp_path)) == before


def test_more_trials_continue_a_search(tmp_path: Path) -> None:
    searched(spec_of(num_trials=9), tmp_path / "at once")
    searched(spec_of(num_trials=4), tmp_path / "later")
    assert len(told(tmp_path / "later")) == 4
    done = searched(spec_of(num_trials=9), tmp_path / "later")
    assert done.num_run == 5
    assert told(tmp_path / "later") == told(tmp_path / "at once")


@pytest.mark.parametrize("pruning", [False, True])
@pytest.mark.parametrize("seeds", [1, 2])
def test_search_that_is_cut_anywhere_goes_on_as_if_it_had_not_been(
    tmp_path: Path, seeds: int, *, pruning: bool
) -> None:
    changes = {"seeds": seeds, "budget": {"trials": 12}, "pruning": PRUNING if pruning else None}
    spec = spec_of(**changes)
    searched(spec, tmp_path / "whole")
    cuts = 0
    for after in (0, 1, 2, 4, 6, 7, 9):
        with suppress(InterruptedRunError):
            searched(spec, tmp_path / "cut", executor=Cut(after=after))
            break
        cuts += 1
    searched(spec, tmp_path / "cut")
    assert cuts > 4
    assert told(tmp_path / "cut") == told(tmp_path / "whole")
    endings = {ending for _, ending, _ in told(tmp_path / "whole")}
    assert endings == ({"complete", "pruned"} if pruning else {"complete"})


def test_whatever_a_trial_ends_in_is_told_and_counted_and_the_search_goes_on(
    tmp_path: Path,
) -> None:
    choices = ["no", "nan", "raises", "diverges", "hangs"]
    space = {"spoilt": {"choices": choices}, "x": {"low": 0.0, "high": 1.0}}
    enqueue = [{"spoilt": each, "x": 0.25} for each in choices]
    spec = spec_of(space=space, enqueue=enqueue, budget={"trials": 8, "trial": "1 s"})
    done = searched(spec, tmp_path)
    records = records_of(tmp_path)
    assert [ended(each).ending for each in records][:6] == ["complete"] * 2 + ["failed"] * 4
    reasons = [ended(each).reason for each in records[2:6]]
    for reason, words in zip(
        reasons, ["error is nan", "the hill broke", "error is nan at step 1", "1 s"], strict=True
    ):
        assert words in reason
    assert len(records) == 8
    assert all(each.told for each in records)
    assert done.num_incomplete == sum(ended(each).ending == "failed" for each in records)


def test_same_error_of_the_first_trials_stops_it_and_the_next_call_tries_them_again(
    tmp_path: Path,
) -> None:
    spec = spec_of(set={"spoilt": "raises"})
    done = searched(spec, tmp_path)
    assert "the first 3 trials all failed with the same error" in done.stopped
    assert [each.told for each in records_of(tmp_path)] == [None] * 3
    done = searched(spec, tmp_path, keep_going=True)
    assert not done.stopped
    assert [ending for _, ending, _ in told(tmp_path)] == ["failed"] * 6
    assert sorted(attempts(tmp_path).values()) == [1, 1, 1, 2, 2, 2]


def test_fewer_trials_than_say_anything_of_an_error_are_told_at_the_end(tmp_path: Path) -> None:
    searched(spec_of(set={"spoilt": "raises"}, budget={"trials": 2}), tmp_path)
    assert [ending for _, ending, _ in told(tmp_path)] == ["failed"] * 2


def test_objective_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    searched(spec_of(seeds=3, budget={"trials": 8}), tmp_path)
    (record, _) = records_of(tmp_path)
    assert len(record.trial_ids) == 3
    assert ended(record).values == pytest.approx((0.08 + 0.001,))


def test_two_objectives_are_told_in_their_order(tmp_path: Path) -> None:
    searched(spec_of(objectives=["error", "cost"], budget={"trials": 1}), tmp_path)
    assert ended(records_of(tmp_path)[0]).values == pytest.approx((0.08, 0.5))


def test_small_space_is_exhausted_without_trying_anything_twice(tmp_path: Path) -> None:
    space = {"depth": {"choices": [1, 2, 3]}}
    done = searched(spec_of(space=space, budget={"trials": 50}), tmp_path)
    expected = "its space has 2 configurations beside the baseline, and all were tried"
    assert done.why_ended == expected
    assert sorted(values["depth"] for values, _, _ in told(tmp_path)) == [1, 2, 3]


def test_values_that_make_one_trial_are_suggested_once(tmp_path: Path) -> None:
    space = {"x": {"choices": [0.5, 1]}, "depth": {"choices": [1, 2]}}
    searched(spec_of(space=space, budget={"trials": 9}), tmp_path)
    ids = [each.trial_ids for each in records_of(tmp_path)]
    assert len(ids) == len(set(ids)) == 4


def test_space_without_another_configuration_says_so(tmp_path: Path) -> None:
    space = {"depth": {"choices": [1, 2]}}
    done = searched(spec_of(space=space, where="depth == 1", set={"depth": 1}), tmp_path)
    assert done.why_ended == "its space has no configuration that differs from the baseline"


def test_space_that_is_not_listed_says_only_that_nothing_was_found(tmp_path: Path) -> None:
    space = {"x": {"low": 0.0, "high": 1.0, "step": 0.0005}}
    done = searched(spec_of(space=space, where="x == 0.5"), tmp_path)
    assert done.why_ended == "no other configuration of its space was found"


def test_configurations_of_the_ledger_are_told_at_once_and_cost_nothing(tmp_path: Path) -> None:
    searched(spec_of(), tmp_path)
    narrow = {"x": {"low": 0.0, "high": 0.5}, "y": {"low": 0.0, "high": 1.0}}
    former = [values for values, _, _ in told(tmp_path) if values["x"] <= 0.5]
    done = searched(spec_of(name="again", space=narrow, budget={"trials": 3}), tmp_path)
    records = records_of(tmp_path, "again")
    found = [each for each in records if each.suggestion.origin == "ledger"]
    assert [each.suggestion.values for each in found] == former[1:]
    assert done.num_found == len(found)
    assert all(ended(each).ending == "complete" for each in found)
    assert done.num_run == 2  # the baseline is there, too
    assert set(attempts(tmp_path).values()) == {1}


def test_what_was_measured_with_too_few_seeds_or_outside_is_not_found(tmp_path: Path) -> None:
    searched(spec_of(), tmp_path)
    done = searched(spec_of(name="seeds", seeds=2, budget={"trials": 4}), tmp_path)
    assert done.num_found == 0
    done = searched(spec_of(name="other", set={"depth": 2}), tmp_path)
    assert done.num_found == 0


def test_changed_search_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    searched(spec_of(), tmp_path)
    before = (tmp_path / "ledger.sqlite").read_bytes()
    for changes, words in [
        ({"space": {"x": {"low": 0.0, "high": 2.0}}}, "its space changed"),
        ({"objectives": ["error", "cost"]}, "its objectives changed"),
        ({"seeds": 2}, "its seeds were 0 and are 0, 1: give it"),
        ({"set": {"steps": 9}}, "steps was 4 and is 9: give it"),
    ]:
        with pytest.raises(RequestError, match=words):
            searched(spec_of(**changes), tmp_path)
    assert (tmp_path / "ledger.sqlite").read_bytes() == before


def test_second_driver_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path), pytest.raises(LedgerInUseError):
        searched(spec_of(), tmp_path)


def test_what_another_driver_began_before_this_one_had_the_ledger_is_refused_too(
    tmp_path: Path,
) -> None:
    class Slow(InlineExecutor):
        def check(self) -> None:
            searched(spec_of(num_trials=2), tmp_path)

    other = spec_of(space={"x": {"low": 0.0, "high": 9.0}}, num_trials=2)
    with pytest.raises(RequestError, match="found that its space changed"):
        searched(other, tmp_path, executor=Slow())
    with Ledger(tmp_path) as ledger:
        assert len(ledger.specs("hill")) == 1


def test_mirror_that_fails_is_a_note(tmp_path: Path) -> None:
    done = searched(spec_of(), tmp_path, mirror=Shown(problem=("the study is away",)))
    assert done.notes == ("the study is away",)
