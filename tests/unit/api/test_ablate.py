"""`qdexp ablate` explains a winner, change by change, by ordinary experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis import write_report
from recorded_search import recorded, search
from typer.testing import CliRunner

import qdexp
from qdexp.api.ablating import Ablated
from qdexp.cli.app import app
from qdexp.errors import LedgerInUseError
from qdexp.experiment.ablation_path import Round, path_of
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder

UNIT = {"low": 0.0, "high": 1.0}
SPACE = {name: UNIT for name in ("big", "small", "nothing", "key", "lock", "broken")}
ALL = {"small": 1.0, "big": 1.0, "nothing": 0.5}


def explained(runs: Path, **options: Any) -> Ablated:  # noqa: ANN401
    return qdexp.ablate(
        "planted", runs=runs, executor="inline", report=False, tracking=False, **options
    )


def order(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    return [each.kept.change for each in rounds if each.kept]


def test_planted_effects_are_found_in_their_order(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    done = explained(tmp_path)
    assert done.is_whole
    assert order(done.rounds)[:2] == [("big",), ("small",)]
    assert order(done.rounds)[2:] == [("nothing",)]
    assert done.winner == "suggestion 1, the best of the search planted"
    assert done.num_run == 4 * (1 + 3 + 2 + 1), "the baseline and every candidate, on 4 seeds"
    with Ledger(tmp_path) as ledger:
        definition = ledger.specs("planted_path")[-1].definition
        assert path_of(definition) == done.rounds
        members = [each for each in ledger.members("planted_path") if each.is_asked_for]
        assert len(members) == done.num_run
    again = explained(tmp_path)
    assert (again.num_run, again.rounds) == (0, done.rounds)


def test_the_page_of_the_search_has_the_path_at_once(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    page = write_report("planted", tmp_path).html
    assert 'id="path"' not in page.read_text()
    done = qdexp.ablate("planted", runs=tmp_path, executor="inline", tracking=False, seeds=2)
    assert done.search is not None
    assert done.search.page == page
    assert "The largest gain came with big 0 → 1:" in page.read_text()
    assert done.path is not None
    assert done.path.conducted.reported is not None
    assert done.path.conducted.reported.summary[0].startswith("The largest gain came with big 0")
    asked = ["ablate", "planted", "--seeds", "2", "--executor", "inline", "--no-tracking"]
    again = CliRunner().invoke(app, [*asked, "--runs", str(tmp_path)])
    assert again.exit_code == 0
    assert again.stdout.splitlines()[-1] == f"report: {page}"


def test_without_a_report_the_page_of_the_search_is_left_alone(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    assert explained(tmp_path, seeds=2).search is None
    assert not (tmp_path / "reports").exists()


def test_changes_that_help_only_together_show_as_a_loss_and_then_a_gain(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [{"big": 1.0, "key": 1.0, "lock": 1.0}])
    done = explained(tmp_path)
    assert order(done.rounds)[0] == ("big",)
    assert set(order(done.rounds)[1:]) == {("key",), ("lock",)}
    baseline, *kept = means(tmp_path, done.rounds)
    gains = [before - after for before, after in zip([baseline, *kept], kept, strict=False)]
    assert gains == pytest.approx([2.0, -0.3, 1.8], abs=0.2)
    assert "planted_path" in str(done.path)
    assert done.steps[1].startswith(f"2. {order(done.rounds)[1][0]} 0.0 to 1.0: error ")


def means(runs: Path, rounds: Sequence[Round]) -> list[float]:
    """Returns the mean error at the baseline and after each round."""
    with Ledger(runs) as ledger:
        members = [each for each in ledger.members("planted_path") if each.is_asked_for]
    found: list[float] = []
    for condition in [rounds[0].before, *(each.kept.condition for each in rounds if each.kept)]:
        own = [
            m.outcome.measurements["error"]
            for m in members
            if m.condition == condition and m.outcome
        ]
        assert len(own) == 4
        found.append(sum(own) / len(own))
    return found


def test_racing_finds_the_same_path_with_fewer_trials(tmp_path: Path) -> None:
    winner = {"big": 1.0, "small": 1.0, "key": 1.0, "lock": 1.0}
    found: dict[bool, Ablated] = {}
    for racing in (False, True):
        recorded(tmp_path / str(racing), search(SPACE), [winner])
        found[racing] = explained(tmp_path / str(racing), racing=racing, seeds=8)
    assert order(found[True].rounds) == order(found[False].rounds)
    assert found[False].num_run == 8 * (1 + 4 + 3 + 2 + 1)
    assert found[True].num_run < 0.75 * found[False].num_run
    first = found[True].rounds[0]
    assert [each.change for each in first.candidates if each.is_listed] == [("big",)]
    with Ledger(tmp_path / "True") as ledger:
        members = ledger.members("planted_path")
        assert len(members) == found[True].num_run, "what was dropped is kept in the ledger"
        listed = {str(each.condition) for each in members if each.is_asked_for}
        assert all(
            str(each.condition) in listed
            for one in found[True].rounds
            for each in one.candidates
            if each.is_listed
        )
    again = explained(tmp_path / "True", racing=True, seeds=8)
    assert (again.num_run, again.rounds) == (0, found[True].rounds)


@pytest.mark.parametrize("racing", [False, True])
def test_a_path_that_was_stopped_goes_on_in_the_same_round(tmp_path: Path, *, racing: bool) -> None:
    space = {**SPACE, "stops": UNIT}
    winner = {"big": 1.0, "small": 1.0, "stops": 0.5}
    for name in ("whole", "stopped"):
        recorded(
            tmp_path / name, search(space), [{**winner, "stops": 0.25 if name == "whole" else 0.5}]
        )
    with pytest.raises(qdexp.InterruptedRunError):
        explained(tmp_path / "stopped", racing=racing)
    with Ledger(tmp_path / "stopped") as ledger:
        num_before = sum(each.is_settled for each in ledger.members("planted_path"))
    stops, done = 1, None
    while done is None:
        try:
            done = explained(tmp_path / "stopped", racing=racing)
        except qdexp.InterruptedRunError:
            stops += 1
    assert num_before > 0
    assert stops > 1, "it stopped in a later round, too"
    with Ledger(tmp_path / "stopped") as ledger:
        members = ledger.members("planted_path")
        assert all(each.num_starts <= 2 for each in members)
        assert sum(each.num_starts == 2 for each in members) == stops
    whole = explained(tmp_path / "whole", racing=racing)
    assert order(done.rounds) == order(whole.rounds)


def test_what_a_class_refuses_alone_goes_together(tmp_path: Path) -> None:
    space = {**SPACE, "low": {"low": 0, "high": 9}, "high": {"low": 1, "high": 10}}
    where = "low < high"
    recorded(tmp_path, search(space, where=where), [{"big": 1.0, "low": 5, "high": 9}])
    done = explained(tmp_path)
    assert [each.change for each in done.rounds[0].candidates] == [
        ("big",), ("low", "high"), ("high",)
    ]  # fmt: skip
    assert done.is_whole


def test_what_does_not_act_yet_waits(tmp_path: Path) -> None:
    space = {
        "kind": {"choices": ["plain", "deep"]},
        "depth": {"low": 0, "high": 9, "when": "kind == 'deep'"},
        "big": UNIT,
    }
    recorded(tmp_path, search(space), [{"kind": "deep", "depth": 9, "big": 0.01}])
    done = explained(tmp_path)
    assert [each.change for each in done.rounds[0].candidates] == [("big",), ("kind",)]
    assert order(done.rounds)[-2:] == [("kind",), ("depth",)]


@pytest.mark.parametrize("broken", [1.0, 2.0], ids=["failed", "diverged"])
def test_what_fails_or_diverges_is_never_kept(tmp_path: Path, broken: float) -> None:
    space = {**SPACE, "broken": {"low": 0.0, "high": 2.0}}
    recorded(tmp_path, search(space), [{"big": 1.0, "broken": broken, "small": 1.0}])
    done = explained(tmp_path, keep_going=True)
    assert order(done.rounds) == [("big",), ("small",)]
    assert not done.is_whole
    assert [each.change for each in done.rounds[-1].candidates] == [("broken",)]
    assert done.rounds[-1].kept is None
    assert done.steps[-1] == (
        f"3. No candidate completed on all seeds (broken 0.0 to {broken}): the path ends here."
    )
    again = explained(tmp_path, keep_going=True)
    assert again.num_run == (4 if broken == 1.0 else 0), "only what failed last is tried again"


def test_leave_one_out_sets_back_what_can_be_set_back(tmp_path: Path) -> None:
    space = {**SPACE, "low": {"low": 0, "high": 9}, "high": {"low": 1, "high": 10}}
    recorded(tmp_path, search(space, where="low < high"), [{"big": 1.0, "low": 5, "high": 9}])
    done = explained(tmp_path, leave_one_out=True)
    assert done.left_out is not None
    assert done.left_out.name == "planted_left_out"
    with Ledger(tmp_path) as ledger:
        definition = ledger.specs("planted_left_out")[-1].definition
        members = ledger.members("planted_left_out")
    assert (definition["design"], definition["zip"]) == ("leave_one_out", [["low", "high"]])
    assert len(members) == 4 * 4
    assert all(each.is_settled for each in members)


def test_other_seeds_decide_anew_and_run_only_what_is_missing(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    first = explained(tmp_path, seeds=2)
    more = explained(tmp_path)
    assert (first.num_run, more.num_run) == (2 * 7, 2 * 7)
    assert order(more.rounds)[:2] == [("big",), ("small",)]


def test_another_suggestion_is_explained_by_what_is_known(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL, {"small": 1.0, "big": 0.5}])
    best = explained(tmp_path, seeds=2)
    other = explained(tmp_path, seeds=2, suggestion=2)
    assert other.winner == "suggestion 2 of the search planted"
    assert order(other.rounds) == [("big",), ("small",)]
    assert (best.num_run, other.num_run) == (2 * 7, 2 * 2), "the baseline and small are known"
    page = write_report("planted", tmp_path).html.read_text()
    assert "From the baseline to number 2, one change after another" in page


def test_what_another_driver_prevents_leaves_the_path_as_it_was(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [ALL])
    explained(tmp_path)
    file = tmp_path / "searches" / "planted_path.yaml"
    before = file.read_text()
    with Recorder(tmp_path), pytest.raises(LedgerInUseError):
        explained(tmp_path, seeds=6)
    assert file.read_text() == before
    assert explained(tmp_path, seeds=6).num_run
    assert file.read_text() != before
