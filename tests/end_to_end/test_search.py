"""`qdexp search` as people use it: plan, search, look, lose the study, mend it, go on, confirm."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qdexp
from qdexp.api.request import Request
from qdexp.cli.app import app
from qdexp.cli.plan_command import show_plan
from qdexp.errors import RequestError, SpecError

SPEC = """\
name: hill
question: Where is it lowest?
trainable: own_trainables:hill
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0, step: 0.05}
metrics: {primary: error}
sampler: {name: tpe, n_startup_trials: 4}
budget: {trials: 8}
confirm: {top: 2, seeds: [11, 12, 13]}
"""
OPTIONS = ["--executor", "inline", "--no-tracking", "--no-report"]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hill.yaml"
    path.write_text(SPEC)
    return path


def told(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def test_search_is_planned_run_looked_at_continued_and_confirmed(spec: Path) -> None:
    before = told("plan", str(spec))
    assert "a search of 2 fields by tpe, 8 trials" in before
    assert "0 trials that are open, and up to 8 more" in before
    assert "no estimate of the time: no trial of its baseline's shape has completed" in before
    assert not Path("runs").exists()
    first = told("search", str(spec), *OPTIONS)
    assert "8 trials: 8 completed (8 of them now" in first
    assert "ended: 8 of 8 trials" in first
    assert "baseline 0.08" in first
    assert "confirmed by hill_confirm (9 trials run)" in first
    plan = told("plan", str(spec))
    assert "8 configurations so far: 8 complete" in plan
    assert "nothing to run: 8 of 8 trials are spent" in plan
    assert "time:" not in plan
    spec.write_text(SPEC.replace("trials: 8", "trials: 10"))
    plan = told("plan", str(spec))
    assert "to run: 0 trials that are open, and up to 2 more" in plan
    assert "then the best 2 on fresh seeds: at most 9 trials" in plan
    assert "to check the best" in plan[plan.index("time: about ") :]
    assert " past trials of the shapes that it tried, the range from the fastest to" in plan
    estimate = json.loads(told("plan", str(spec), "--json"))["estimate"]
    assert estimate["search_seconds"]["expected"] > 0
    assert estimate["confirm_seconds"]["high"] >= estimate["trial_seconds"]["high"]
    spec.write_text(SPEC.replace("trials: 8", "trials: 3"))
    assert "nothing to run: 8 trials (of a budget of 3) are spent" in told("plan", str(spec))
    spec.write_text(SPEC)
    assert "hill: 8 trials: 8 completed; best error" in told("status")
    facts = json.loads(told("plan", str(spec), "--json"))
    assert [each["number"] for each in facts["suggestions"]] == list(range(8))
    assert "12 trials: 12 completed (4 of them now" in told(
        "search", str(spec), *OPTIONS, "--trials", "12"
    )
    assert "qdexp search hill.yaml --trials 12`" in told("report", "hill", "--format", "md")
    again = qdexp.search(
        spec, trials=12, executor="inline", runs="runs", tracking=False, report=False
    )
    assert (again.num_run, len(again.suggestions)) == (0, 12)
    assert again.confirmed is not None
    assert len(again.confirmed.numbers) == 2


def test_exhausted_space_promises_nothing_and_says_why(spec: Path) -> None:
    space, rest = "space: {depth: {choices: [1, 2, 3]}}\n", SPEC[SPEC.index("metrics:") :]
    spec.write_text(
        f"{SPEC[: SPEC.index('space:')]}{space}{rest}sampler: grid\n".replace(
            "sampler: {name: tpe, n_startup_trials: 4}\n", ""
        )
    )
    assert "and up to 3 more" in told("plan", str(spec))
    assert "only the baseline so far: " in told("search", str(spec), *OPTIONS, "--trials", "1")
    assert "and up to 2 more" in told("plan", str(spec))
    why = "its space has 2 configurations beside the baseline, and all were tried"
    assert f"ended: {why}" in told("search", str(spec), *OPTIONS)
    assert f"nothing to run: {why}" in told("plan", str(spec))
    facts = json.loads(told("plan", str(spec), "--json"))
    assert (facts["num_ahead"], facts["why_spent"], facts["why_exhausted"]) == (0, "", why)


def test_field_without_effect_is_refused_or_told_of(spec: Path) -> None:
    cost = "model.commitment_cost: {choices: [0.1, 0.2]}"
    head, rest = "name: a\nquestion: b?\npreset: tiny\n", "budget: {trials: 3}\n"
    spec.write_text(f"{head}space: {{model.quantizer: {{choices: [ema, fsq]}}, {cost}}}\n{rest}")
    assert "note: model.commitment_cost has no effect where model" in told("plan", str(spec))
    (note,) = json.loads(told("plan", str(spec), "--json"))["notes"]
    assert "`when: model.quantizer != 'fsq'`" in note
    spec.write_text(f"{head}set: {{model.quantizer: none}}\nspace: {{{cost}}}\n{rest}")
    for command in ("plan", "search"):
        said = CliRunner().invoke(app, [command, str(spec)]).exception
        assert isinstance(said, SpecError)
        assert ":5:9: model.commitment_cost has no effect where model.quantizer is" in str(said)


def test_what_did_not_complete_is_told_with_what_comes_of_it(spec: Path) -> None:
    spec.write_text(SPEC.replace("space:", "set: {spoilt: raises}\nspace:"))
    said = told("search", str(spec), *OPTIONS, code=1)
    assert "the first 3 trials all failed with the same error" in said
    assert "the same command" in said
    assert "does not run it again" not in said
    said = told("search", str(spec), *OPTIONS, "--keep-going", code=1)
    assert "the search was told, and does not run it again" in said
    assert "nothing found yet" in said


def test_study_that_was_lost_is_written_again_by_the_doctor(spec: Path, tmp_path: Path) -> None:
    told("search", str(spec), *OPTIONS)
    study = tmp_path / "runs" / "optuna.sqlite"
    before = shown(study)
    assert len(before) == 8
    study.unlink()
    told("doctor", "--tracking-uri", "none")
    assert shown(study) == before
    elsewhere = tmp_path / "elsewhere.sqlite"
    told("doctor", "--tracking-uri", "none", "--study-storage", f"sqlite:///{elsewhere}")
    assert shown(elsewhere) == before
    study.write_text("no database")
    said = told("doctor", "--tracking-uri", "none", code=1)
    assert "not mended: the study hill could not be written" in said


def test_what_is_no_search_or_no_url_is_refused_and_nothing_written(spec: Path) -> None:
    told("run", str(spec), code=1)
    with pytest.raises(RequestError, match="qdexp search"):
        qdexp.run(spec)
    with pytest.raises(RequestError, match="--study-storage: expected a URL"):
        qdexp.search(spec, executor="inline", study_storage="optuna.sqlite")
    with pytest.raises(RequestError, match="found 'sqllite:///x'"):
        qdexp.search(spec, executor="inline", study_storage="sqllite:///x")
    with pytest.raises(RequestError, match="--probe"):
        show_plan(Request(spec=spec), as_json=False, with_probe=True)
    assert not Path("runs").exists()


def test_ablation_of_a_searchs_name_is_refused(spec: Path) -> None:
    told("search", str(spec), *OPTIONS)
    ablation = {
        "name": "hill",
        "question": "?",
        "trainable": "own_trainables:hill",
        "factors": {"x": {"levels": [0.1, 0.5], "baseline": 0.5}},
        "metrics": {"primary": "error"},
    }
    with pytest.raises(RequestError, match="expected a name that no search has"):
        qdexp.run(ablation, executor="inline", tracking=False, report=False)
    search = {**ablation, "name": "hill_confirm", "space": {"x": {"low": 0.0, "high": 1.0}}}
    del search["factors"]
    with pytest.raises(RequestError, match="expected a name that no ablation has"):
        qdexp.search({**search, "budget": {"trials": 2}}, executor="inline", tracking=False)


def shown(study: Path) -> list[tuple[int, dict[str, float], list[float]]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{study}")
    try:
        trials = optuna.load_study(study_name="hill", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return [(each.number, each.params, each.values) for each in trials]
