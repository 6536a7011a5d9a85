"""The study that other tools open shows what the ledger knows, each thing once."""

import sqlite3
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from simulated_search import SimulatedSearch, space_of

from qdexp.backends.optuna_suggester import OptunaStudyMirror
from qdexp.results.suggestions import SuggestionRecord, Told

pytestmark = pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SADeprecationWarning"  # Optuna's models, on SQLAlchemy 2.1
)

BASELINE = {"kind": "z", "shape": [1], "x": 7.0, "n": 2}
SPACE = {
    "kind": {"choices": ["a", "b"]},
    "shape": {"choices": [[1], [1, 2]]},
    "x": {"low": 0.01, "high": 1.0, "log": True},
    "n": {"low": 1, "high": 9, "step": 2, "when": "kind == 'b'"},
}
ENDINGS = [
    Told(ending="complete", values=(2.0,)),
    Told(ending="failed", reason="loss is nan at step 3"),
    Told(ending="pruned", reason="stopped at step 50"),
    None,
]


def definition(name: str = "quantizers", number: int = 1) -> dict[str, Any]:
    space = space_of(SPACE, BASELINE)
    objectives = [{"metric": f"error{place}", "direction": "lower"} for place in range(number)]
    pruning = {"metric": "error0", "steps": [50, 70]}
    return {
        "name": name,
        "question": "Which quantizer?",
        "seeds": [0, 1],
        "baseline": {field: BASELINE[field] for field in ("kind", "shape", "x")},
        "search": {
            "space": {**space.definition(), "where": "x > n"},
            "objectives": objectives,
            "pruning": pruning,
        },
    }


@pytest.fixture
def history() -> list[SuggestionRecord]:
    """A baseline outside of the space, and two of each ending after it."""
    search = SimulatedSearch(
        space=space_of(SPACE, BASELINE),
        baseline=BASELINE,
        values=lambda values: (values["x"],),
        sampler="random",
        told=lambda number, _: ENDINGS[number % 4],
    ).run(9)
    rungs = {"trial1": {50: 0.5}}
    search.history[1] = replace(search.history[1], rungs=rungs)
    return search.history


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.sqlite"


def trials(url: str, name: str = "quantizers") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=url).trials


def contents(url: str) -> list[str]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        return list(database.iterdump())


def test_all_states_are_shown_with_what_the_ledger_knows(
    url: str, history: list[SuggestionRecord]
) -> None:
    checked = OptunaStudyMirror(url, definition()).show(history)
    assert checked.unmended == ()
    found = trials(url)
    assert [trial.number for trial in found] == list(range(9))
    states = [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING]
    assert [trial.state for trial in found] == [states[number % 4] for number in range(9)]
    assert found[0].params == {"kind": "z", "shape": "[1]", "x": 7.0}
    assert found[0].values == [2.0]
    assert found[0].user_attrs == {"qdexp.origin": "baseline", "qdexp.trial_ids": ["trial0"]}
    assert found[1].user_attrs["qdexp.reason"] == "loss is nan at step 3"
    assert found[1].intermediate_values == {50: 0.5}
    assert found[4].params["x"] == history[4].suggestion.values["x"]
    study = optuna.load_study(study_name="quantizers", storage=url)
    assert study.metric_names == ["error0"]
    assert study.user_attrs == {
        "qdexp.question": "Which quantizer?",
        "qdexp.value": "mean over seeds 0, 1",
        "qdexp.where": "x > n",
        "qdexp.intermediate_values": "error0 at step 50, 70",
    }


def test_parameters_are_shown_as_they_were_searched(
    url: str, history: list[SuggestionRecord]
) -> None:
    """A baseline inside of the space leaves it as it is: its steps, its scale and its ends."""
    inside = {**BASELINE, "kind": "b", "x": 0.5, "n": 3}
    space = space_of(SPACE, inside).definition()
    about = {**definition(), "baseline": inside}
    about["search"] = {**about["search"], "space": space}
    OptunaStudyMirror(url, about).show(
        [replace(history[0], suggestion=replace(history[0].suggestion, values=inside))]
    )
    (trial,) = trials(url)
    assert trial.distributions == {
        "kind": CategoricalDistribution(["a", "b"]),
        "shape": CategoricalDistribution(["[1]", "[1,2]"]),
        "x": FloatDistribution(0.01, 1.0, log=True),
        "n": IntDistribution(1, 9, step=2),
    }


def test_trials_began_and_ended_when_they_did_though_they_are_written_later(
    url: str, history: list[SuggestionRecord]
) -> None:
    ended = [replace(each, told_at=each.suggested_at + 30) for each in history]
    OptunaStudyMirror(url, definition()).show(ended)
    found = [each for each in trials(url) if each.state.is_finished()]
    assert {each.duration and each.duration.total_seconds() for each in found} == {30.0}


@pytest.mark.parametrize(("metric", "value"), [("error0", 0.5), ("another", None)])
def test_pruned_trial_has_its_last_value_if_that_is_the_objective(
    url: str, history: list[SuggestionRecord], metric: str, value: float | None
) -> None:
    """So Optuna tells it itself; of another metric, it would be taken for the objective's."""
    about = definition()
    about["search"]["pruning"]["metric"] = metric
    pruned = replace(history[2], rungs={"trial2": {20: 0.7, 50: 0.5}})
    for known in (replace(pruned, told=None), pruned):
        shown = OptunaStudyMirror(url, about).show([*history[:2], known])
        assert shown.unmended == ()
    found = trials(url)[2]
    assert (found.state, found.value) == (TrialState.PRUNED, value)
    assert found.intermediate_values == {20: 0.7, 50: 0.5}


def test_a_second_call_changes_nothing(url: str, history: list[SuggestionRecord]) -> None:
    mirror = OptunaStudyMirror(url, definition())
    mirror.show(history)
    before = contents(url)
    assert mirror.show(history).unmended == ()
    assert contents(url) == before


@pytest.mark.parametrize("cut", range(10))
def test_what_a_killed_call_left_out_is_completed(
    url: str, history: list[SuggestionRecord], cut: int
) -> None:
    """Trial by trial, each is written in one transaction; what is told comes later."""
    mirror = OptunaStudyMirror(url, definition())
    running = [replace(record, told=None) for record in history[:cut]]
    mirror.show(running)
    assert mirror.show(history).unmended == ()
    found = trials(url)
    assert [each.state for each in found] == [
        {None: TrialState.RUNNING, "complete": TrialState.COMPLETE, "failed": TrialState.FAIL,
         "pruned": TrialState.PRUNED}[record.told.ending if record.told else None]
        for record in history
    ]  # fmt: skip
    reasons = [record.told.reason if record.told else "" for record in history]
    assert [each.user_attrs.get("qdexp.reason", "") for each in found] == reasons


def test_several_objectives_are_shown(url: str, history: list[SuggestionRecord]) -> None:
    told = Told(ending="complete", values=(1.0, 2.0))
    mirror = OptunaStudyMirror(url, definition(number=2))
    mirror.show([replace(history[0], told=None)])
    assert mirror.show([replace(history[0], told=told)]).unmended == ()
    assert trials(url)[0].values == [1.0, 2.0]


def test_searches_share_a_database(url: str, history: list[SuggestionRecord]) -> None:
    for name in ("one", "other"):
        assert OptunaStudyMirror(url, definition(name)).show(history).unmended == ()
    assert len(trials(url, "one")) == len(trials(url, "other")) == 9


def test_study_that_somebody_changed_is_named(url: str, history: list[SuggestionRecord]) -> None:
    mirror = OptunaStudyMirror(url, definition())
    mirror.show(history)
    optuna.load_study(study_name="quantizers", storage=url).tell(3, 1.0)
    (sentence,) = mirror.show(history).unmended
    assert (
        "its trial 3 ended otherwise. Another's search? Then mirror this one elsewhere" in sentence
    )
    assert "Else delete it and call qdexp doctor, which writes it anew" in sentence
    (sentence,) = mirror.show(history[:5]).unmended
    assert "it has 4 trials that the ledger does not know" in sentence
    (sentence,) = OptunaStudyMirror(url, definition(number=2)).show(history).unmended
    assert "its objectives are others (minimize)" in sentence


@pytest.mark.parametrize("difference", ["trials", "parameters", "direction"])
def test_anothers_study_of_the_same_name_is_left_as_it_is(
    url: str, history: list[SuggestionRecord], difference: str
) -> None:
    """Two people's searches of one name, in one database: the second one writes nothing."""
    theirs = history[:3]
    if difference == "trials":
        theirs = [replace(each, trial_ids=("another",)) for each in theirs]
    if difference == "parameters":
        theirs[0] = replace(
            theirs[0], suggestion=replace(theirs[0].suggestion, values={"kind": "a", "x": 7.0})
        )
    OptunaStudyMirror(url, definition()).show(theirs)
    if difference == "direction":
        optuna.delete_study(study_name="quantizers", storage=url)
        optuna.create_study(study_name="quantizers", storage=url, direction="maximize")
    before = contents(url)
    (sentence,) = OptunaStudyMirror(url, definition()).show(history).unmended
    assert "is not the ledger's: " in sentence
    assert contents(url) == before


@pytest.mark.parametrize(
    "url",
    ["sqlite:////nowhere/at/all.sqlite", "nosuchdatabase://x", "no url", "nodriver+sqlite:///a"],
)
def test_database_that_cannot_be_written_is_a_sentence(
    url: str, history: list[SuggestionRecord]
) -> None:
    (sentence,) = OptunaStudyMirror(url, definition()).show(history).unmended
    assert sentence.startswith(f"the study quantizers could not be written to {url}: ")


def test_file_that_is_no_database_is_a_sentence(
    tmp_path: Path, url: str, history: list[SuggestionRecord]
) -> None:
    (tmp_path / "optuna.sqlite").write_text("not a database, but long enough to be read as one")
    (sentence,) = OptunaStudyMirror(url, definition()).show(history).unmended
    assert "file is not a database" in sentence


def test_reader_beside_it_sees_a_whole_study(url: str, history: list[SuggestionRecord]) -> None:
    mirror = OptunaStudyMirror(url, definition())
    mirror.show(history[:3])
    with sqlite3.connect(url.removeprefix("sqlite:///")) as reader:
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM trials"
        assert reader.execute(count).fetchone() == (3,)
        reader.rollback()
        assert mirror.show(history).unmended == ()
        assert reader.execute(count).fetchone() == (9,)


def test_verbosity_and_warnings_of_others_stay_as_they_were(
    url: str, history: list[SuggestionRecord]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    filters = list(warnings.filters)
    OptunaStudyMirror(url, definition()).show(history)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert list(warnings.filters) == filters


def test_baseline_without_a_number_is_shown_beside_the_parameters(url: str) -> None:
    baseline = {"x": None, "kind": None}
    parameters = {"x": {"low": 0.01, "high": 1.0}, "kind": {"choices": ["a", "b"]}}
    space = space_of(parameters, {"x": 0.5, "kind": "a"})
    search = SimulatedSearch(
        space=space,
        baseline=baseline,
        values=lambda values: (values["x"] or 0.5,),
        sampler="tpe",
    ).run(14)
    content = {**definition(), "baseline": baseline}
    content["search"]["space"] = space.definition()
    for _ in range(2):
        assert OptunaStudyMirror(url, content).show(search.history).unmended == ()
    first, *others = trials(url)
    assert (first.params, first.user_attrs["qdexp.x"]) == ({"kind": None}, None)
    assert all(set(each.params) == {"x", "kind"} for each in others)
