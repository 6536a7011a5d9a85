"""`qdexp search` as people use it: plan, search, look, go on, confirm."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from searched_hill import OPTIONS, SPEC, told
from typer.testing import CliRunner

import qdexp
from qdexp.api.request import Request
from qdexp.cli.app import app
from qdexp.cli.plan_command import show_plan
from qdexp.errors import RequestError, SpecError
from qdexp.execution.doctor import Instruments, examine
from qdexp.execution.mirroring import NoTracker
from qdexp.execution.ports import Begun, Checked, Entry, Reported


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hill.yaml"
    path.write_text(SPEC)
    return path


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
    assert "confirming the best 2 on seeds 11, 12, 13: 9 trials" in first
    assert ", the confirmation included" in first
    assert "confirmed by hill_confirm (9 trials run)" in first
    plan = told("plan", str(spec))
    assert "8 configurations so far: 8 complete" in plan
    assert "nothing to run: 8 of 8 trials are spent" in plan
    assert "hill.yaml --trials 12`, or a larger budget in the file, continues it" in plan
    assert "time:" not in plan
    assert "fresh seeds" not in plan
    plan = told("plan", str(spec), "--trials", "3")
    assert "nothing to run: --trials 3: 8 were tried already" in plan
    assert "up to 2 more" in told("plan", str(spec), "--trials", "10")
    assert "ended: --trials 3: 8 were tried already" in told(
        "search", str(spec), *OPTIONS, "--trials", "3"
    )
    spec.write_text(SPEC.replace("trials: 8", "trials: 10"))
    plan = told("plan", str(spec))
    assert "to run: 0 trials that are open, and up to 2 more" in plan
    assert "then the best 2 on fresh seeds: at most 6 trials" in plan
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
    assert "hill.yaml --trials 12`" in told("report", "hill", "--format", "md")
    again = qdexp.search(
        spec, trials=12, executor="inline", runs="runs", tracking=False, report=False
    )
    assert (again.num_run, len(again.suggestions)) == (0, 12)
    outlook = qdexp.plan_search(spec, trials=20, runs="runs")
    assert (len(outlook.records), outlook.num_ahead, outlook.is_over) == (12, 8, False)
    rows = CliRunner().invoke(app, ["report", "hill", "--format", "suggestions"]).output
    assert len(rows.strip().splitlines()) == 1 + 12
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


def test_budget_of_hours_alone_is_planned_spent_and_continued(spec: Path) -> None:
    spec.write_text(SPEC.replace("trials: 8", "hours: 0.0001"))
    assert "to run: 0 trials that are open, and as many more as its hours allow" in told(
        "plan", str(spec)
    )
    assert json.loads(told("plan", str(spec), "--json"))["num_ahead"] is None
    said = told("search", str(spec), *OPTIONS)
    assert " of 0.0001 hours" in said
    plan = told("plan", str(spec))
    assert " of 0.0001 hours are spent; a larger budget in the file continues it" in plan
    page = told("report", "hill", "--format", "md")
    assert "of 0.0001 hours in which trials ran" in page
    assert "hill.yaml`" in page


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


def test_what_the_confirmation_said_is_in_the_searchs_mirror(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, tuple[str, ...]]] = []
    numbers: list[int | None] = []

    class Remembering(NoTracker):
        def open_experiment(self, entry: Entry) -> None:
            self.entry = entry

        def start_trial(self, begun: Begun) -> None:
            numbers.append(begun.number)

        def end_experiment(self, reported: Reported) -> None:
            shown.append((f"{self.entry.command} {self.entry.name}", reported.summary))

    for module in ("composition", "searching"):
        monkeypatch.setattr(f"qdexp.api.{module}.tracker_of", lambda *_: Remembering())
    first = qdexp.search(spec, executor="inline", runs="runs")
    names = [name for name, _ in shown]
    assert names == ["search hill", "run hill_confirm", "search hill"]
    assert numbers == [*range(8), *[None] * 9]
    assert any("Not confirmed yet" in line for line in shown[0][1])
    assert not any("Not confirmed yet" in line for line in shown[2][1])
    assert first.report
    assert shown[2][1] == first.report.summary
    qdexp.search(spec, executor="inline", runs="runs")
    assert [name for name, _ in shown[3:]] == ["search hill"]
    assert shown[3][1] == first.report.summary
    mirror = Looking()
    report = lambda name: Reported(summary=(), page=Path(name))  # noqa: E731
    examine(Path("runs"), Instruments(mirror=mirror, draw=lambda *_: (), report=report))
    assert mirror.numbers == {"search hill": [*range(8)], "run hill_confirm": [None] * 9}


class Looking:
    """A mirror that remembers which number each trial of an experiment has."""

    place = "elsewhere"

    def __init__(self) -> None:
        self.numbers: dict[str, list[int | None]] = {}
        self._last = ""

    def silence(self) -> str:
        return ""

    def check_experiment(self, entry: Entry, report: object) -> Checked:
        assert report is None or callable(report)
        self._last = f"{entry.command} {entry.name}"
        return Checked()

    def check_trial(
        self, begun: Begun, outcome: object, files: object, pictures: Sequence[str]
    ) -> Checked:
        assert outcome
        assert callable(files)
        assert not pictures
        self.numbers.setdefault(self._last, []).append(begun.number)
        return Checked()


def test_what_is_no_search_or_no_url_is_refused_and_nothing_written(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("run", str(spec), code=1)
    with pytest.raises(RequestError, match="qdexp search"):
        qdexp.run(spec)
    with pytest.raises(RequestError, match="--study-storage: expected a URL"):
        qdexp.search(spec, executor="inline", study_storage="optuna.sqlite")
    with pytest.raises(RequestError, match="found 'sqllite:///x'"):
        qdexp.search(spec, executor="inline", study_storage="sqllite:///x")
    url = "postgres://me:secret@host/name"
    for command in (["search", str(spec), *OPTIONS], ["doctor"]):
        error = CliRunner().invoke(app, [*command, "--study-storage", url]).exception
        assert isinstance(error, RequestError)  # exit code 2
        assert str(error).endswith("found 'postgres://me@host/name'")
    monkeypatch.setattr("qdexp.backends.databases.find_spec", lambda _: None)
    url = url.replace("postgres", "postgresql")
    with pytest.raises(RequestError, match=r"pip install 'qdexp\[postgres\]'"):
        qdexp.search(spec, executor="inline", study_storage=url)
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
