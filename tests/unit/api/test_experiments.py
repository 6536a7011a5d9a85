"""From Python, an experiment goes as it does from the command line, and comes back as data."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import qdexp
from qdexp.api.experiments import RunResult
from qdexp.cli.app import app
from qdexp.errors import SpecError
from qdexp.results.folders import own_checkpoint_name
from qdexp.results.ledger import Ledger

# MLflow's own, with SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def spec(**changes: object) -> dict[str, Any]:
    return {
        "name": "odd",
        "question": "Do more steps help?",
        "trainable": "tests.contract.own_trainables:odd",
        "factors": {"steps": {"levels": (2, 4), "baseline": 2}},
        "seeds": 2,
        "metrics": {"primary": "error", "smallest_effect": "5%"},
        **changes,
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "runs"


@pytest.fixture(scope="module")
def done(runs: Path) -> RunResult:
    return qdexp.run(spec(), executor="inline", runs=runs)


def test_run_returns_what_it_did_and_prints_nothing(
    runs: Path, done: RunResult, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (done.experiment, done.num_run, done.num_incomplete, done.notes) == ("odd", 4, 0, ())
    assert done.report is not None
    assert done.report.page.is_file()
    shown = done._repr_html_()
    assert "odd: 4 outcomes recorded, 0 trials not completed." in shown
    assert done.report.page.absolute().as_uri() in shown
    again = qdexp.run(spec(), executor="inline", runs=str(runs), report=False)
    assert again._repr_html_() == "<p>odd: 0 outcomes recorded, 0 trials not completed.</p>"
    assert (again.num_run, again.report) == (0, None)
    assert capfd.readouterr() == ("", "")


def test_plan_is_what_the_command_prints(runs: Path, done: RunResult, tmp_path: Path) -> None:
    assert done.num_run == 4
    plan = qdexp.plan(spec(), seeds=3, runs=runs)
    assert plan.counts() == {"cached": 4, "new": 2}
    path = tmp_path / "odd.yaml"
    path.write_text(Ledger(runs).specs("odd")[-1].text)
    words = ["plan", str(path), "--seeds", "3", "--json", "--runs", str(runs)]
    printed = json.loads(CliRunner().invoke(app, words).stdout)
    assert [each["trial_id"] for each in printed["trials"]] == [
        each.trial.trial_id for each in plan.trials
    ]
    assert qdexp.plan(str(path), runs=runs).counts() == {"cached": 4}
    assert qdexp.plan(path, set={"rate": 0.75}, runs=runs).counts() == {"stale": 4}


def test_status_show_and_report_return_data(runs: Path, done: RunResult, tmp_path: Path) -> None:
    assert done.num_run == 4
    (found,) = qdexp.status("odd", runs=runs)
    assert [(each.state, each.step) for each in found.trials] == [
        ("completed", 2), ("completed", 4), ("completed", 2), ("completed", 4)
    ]  # fmt: skip
    assert found in qdexp.status(runs=runs)
    record = found.trials[1].record
    shown = qdexp.show(record.trial_id[:6], runs=runs)
    assert (shown.state, shown.experiments) == ("completed", ("odd",))
    assert shown.history["error"].steps == (1, 2, 3, 4)
    assert (shown.folder / own_checkpoint_name(4)).is_file()
    files = qdexp.report("odd", runs=runs, out_folder=tmp_path / "elsewhere")
    assert files.html == tmp_path / "elsewhere" / "report.html"


def test_report_says_what_was_declared_and_ranks_nothing_else(done: RunResult) -> None:
    assert done.report is not None
    text = done.report.page.with_suffix(".md").read_text()
    assert "Mean error. Lower is better, in mm. Not comparable across größe." in text
    assert "steps 4 is worse than 2" in text or "undecided" in text.lower()
    table = text.partition("## Other measurements")[2].partition("\n## ")[0]
    (extra,) = [line for line in table.splitlines() if line.startswith("| extra")]
    assert extra.count("(") == 0, "what nobody declared is compared with nothing"
    (pace,) = [line for line in table.splitlines() if line.startswith("| pace")]
    assert "1/s" in pace
    assert "extra is not declared, so what it means is not known." in text
    assert "clips" not in text.replace("spec", "")
    assert "over noise levels" not in text
    html = done.report.page.read_text()
    assert "<h2>Sample clips</h2>" not in html
    assert "Error while training" in html


def test_number_of_what_ran_is_in_mlflow_too(runs: Path, done: RunResult) -> None:
    from mlflow import MlflowClient

    assert done.num_run == 4
    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("odd")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`qdexp.role` = 'trial'")
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted(run.data.params["steps"] for run in found) == ["2", "2", "4", "4"]
    assert all(run.data.metrics["error"] > 0 for run in found)


def test_diverged_trial_says_what_the_user_said_without_qdexps_advice(runs: Path) -> None:
    asked = spec(name="diverging", set={"rate": 9}, seeds=1)
    assert qdexp.run(asked, executor="inline", runs=runs, report=False).num_incomplete == 2
    (found,) = qdexp.status("diverging", runs=runs)
    reasons = {each.record.outcome.failure.reason for each in found.trials}  # pyright: ignore
    assert reasons == {"total is too large at step 1"}


def test_interrupted_run_goes_on_from_the_checkpoint(runs: Path) -> None:
    factors = {"steps": {"levels": [4, 5], "baseline": 4}}
    asked = spec(name="stopped", set={"rate": 8}, seeds=1, factors=factors)
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(qdexp.InterruptedRunError, match="goes on from there"):
        qdexp.run(asked, executor="inline", runs=runs)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former
    first, _ = qdexp.plan(asked, runs=runs).trials
    assert (first.state, first.reason) == ("resumable", "from step 3")
    assert qdexp.status("stopped", runs=runs)[0].trials[0].state == "interrupted"
    (runs / "trials" / first.trial.trial_id / own_checkpoint_name(3)).write_bytes(b"damaged")
    with pytest.raises(qdexp.InterruptedRunError):  # the other trial stops it once, too
        qdexp.run(asked, executor="inline", runs=runs)
    assert qdexp.run(asked, executor="inline", runs=runs, report=False).num_incomplete == 0
    outcomes = [each.record.outcome for each in qdexp.status("stopped", runs=runs)[0].trials]
    assert [each.measurements["began"] for each in outcomes if each] == [2, 3]
    assert [each.measurements["error"] for each in outcomes if each] == pytest.approx(
        [4 * 8 * (1 + 7**0.5 / 100), 5 * 8 * (1 + 7**0.5 / 100)], abs=0
    )


def test_run_works_in_a_thread_that_hears_no_signals(runs: Path) -> None:
    results: list[RunResult] = []
    options: dict[str, Any] = {"executor": "inline", "runs": runs, "report": False}
    asked = spec(name="beside", set={"rate": 0.1}, seeds=1)
    thread = threading.Thread(target=lambda: results.append(qdexp.run(asked, **options)))
    thread.start()
    thread.join()
    assert [each.num_run for each in results] == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": 3}, "<dict>:['sedes']: expected one of name, "),
        (
            {"factors": {"steps": {"levels": [2, "4"], "baseline": 2}}},
            "<dict>:['factors']['steps']['levels'][1]: steps: expected a valid integer, found '4'",
        ),
        ({"where": "steps < größe and x == 1"}, "<dict>:['where']: where: expected a field of"),
        ({"set": {"rate": {1, 2}}}, "<dict>:['set']['rate']: expected a text, a number"),
        ({3: 4}, "<dict>:: expected a text as a key, found 3"),
    ],
)
def test_wrong_dict_is_refused_by_the_keys_that_lead_to_it(
    tmp_path: Path, changes: dict[Any, Any], message: str
) -> None:
    with pytest.raises(SpecError) as error:
        qdexp.plan({**spec(), **changes}, runs=tmp_path)
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_package_offers_only_what_is_there() -> None:
    assert {"run", "plan", "status", "show", "report", "trainable"} <= set(dir(qdexp))
    for name in qdexp.__all__:
        assert getattr(qdexp, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'ruin'"):
        qdexp.ruin  # noqa: B018  # pyright: ignore
