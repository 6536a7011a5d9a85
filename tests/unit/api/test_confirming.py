"""A search's best is checked on fresh seeds by an ordinary experiment with an ordinary report."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from planted_trainables import noise_of
from qdexp_analysis import load
from qdexp_analysis.findings import find
from recorded_search import recorded, search
from typer.testing import CliRunner

import qdexp
from qdexp.api.composition import NO_TRACKING, RunOptions
from qdexp.api.confirming import Confirmed, confirm
from qdexp.backends.place import Place
from qdexp.cli.app import app
from qdexp.config.presets import preset
from qdexp.experiment.search_spec import SearchSpec
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder

SPACE = {name: {"low": 0.0, "high": 1.0} for name in ("big", "small", "nothing")}


def checked(of: SearchSpec, runs: Path) -> Confirmed | None:
    options = RunOptions(place=Place(executor="inline"), tracking_uri=NO_TRACKING)
    return confirm(of, runs, options, with_report=False)


def test_the_best_are_run_on_fresh_seeds_beside_the_baseline(tmp_path: Path) -> None:
    of = search(SPACE)
    recorded(
        tmp_path,
        of,
        [{"big": 0.1}, {"big": 1.0}, {"small": 1.0}, {"big": 0.9}],
        endings={1: "pruned"},
    )
    done = checked(of, tmp_path)
    assert done is not None
    assert (done.experiment, done.numbers) == ("planted_confirm", (2, 4))
    assert done.conducted.num_run == 3 * 4
    with Ledger(tmp_path) as ledger:
        record = ledger.specs("planted_confirm")[-1]
        members = ledger.members("planted_confirm")
    assert {each.trial.seed for each in members} == {11, 12, 13, 14}
    assert record.definition["confirms"] == {"search": "planted", "suggestions": [2, 4]}
    assert done.file == tmp_path / "searches" / "planted_confirm.yaml"
    assert done.file.read_text() == record.text
    again = qdexp.run(done.file, executor="inline", runs=tmp_path, report=False, tracking=False)
    assert (again.num_run, again.num_incomplete) == (0, 0)
    verdicts = {c.verdict for c in find(load("planted_confirm", tmp_path)).contrasts}
    assert verdicts == {"better"}


def test_a_search_that_asks_for_no_check_or_completed_nothing_has_none(tmp_path: Path) -> None:
    of = search(SPACE)
    recorded(tmp_path, of, [{"big": 1.0}], endings={1: "failed"})
    assert checked(of, tmp_path) is None
    assert not (tmp_path / "searches").exists()


def noise(fields: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Returns what a trial measures where nothing but chance decides."""
    text = json.dumps(dict(fields)).encode()
    return {"error": 10 + noise_of(zlib.crc32(text), seed), "cost": 0.0}


def test_on_pure_noise_the_best_looks_better_and_is_not_called_so(tmp_path: Path) -> None:
    of = search(SPACE, confirm={"top": 3, "seeds": 5})
    recorded(tmp_path, of, [{"nothing": n / 40} for n in range(1, 31)], noise)
    with Ledger(tmp_path) as ledger:
        of_search = [
            each.outcome.measurements["error"] for each in ledger.members("planted") if each.outcome
        ]
    assert min(of_search) < of_search[0] - 1, (
        "the search's best looks much better than its baseline"
    )
    assert checked(of, tmp_path) is not None
    verdicts = {c.verdict for c in find(load("planted_confirm", tmp_path)).contrasts}
    assert verdicts <= {"undecided", "equivalent"}


def test_what_is_explained_is_the_best_on_fresh_seeds(tmp_path: Path) -> None:
    of = search(SPACE)
    best_by_luck = {"nothing": 0.5, "small": 0.1}

    def lucky(fields: dict[str, Any], seed: int) -> dict[str, float]:
        from planted_trainables import measurements

        luck = 9.0 if fields["nothing"] == 0.5 else 0.0
        found = measurements(fields, seed)
        return {**found, "error": found["error"] - luck}

    recorded(tmp_path, of, [{"big": 0.5}, best_by_luck], lucky)
    assert checked(of, tmp_path) is not None
    words = [
        "ablate",
        "planted",
        "--executor",
        "inline",
        "--no-report",
        "--no-tracking",
        "--runs",
        str(tmp_path),
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(
        "from the baseline to suggestion 1, the best on fresh seeds of the search planted:\n"
        "1. big 0.0 to 0.5: error "
    )
    assert "planted_path: 8 trials: 8 completed" in result.stdout.replace("\n", " ")
    with Ledger(tmp_path) as ledger:
        seeds = {each.trial.seed for each in ledger.members("planted_path")}
        assert all(each.num_starts == 1 for each in ledger.members("planted_path"))
    assert seeds == {11, 12, 13, 14}, "those of the confirmation, which are there already"


def test_the_best_of_a_check_that_is_not_over_is_not_known(tmp_path: Path) -> None:
    of = search(SPACE)
    recorded(tmp_path, of, [{"big": 1.0}, {"big": 0.5}])
    assert checked(of, tmp_path) is not None
    with Ledger(tmp_path) as ledger:
        members = ledger.members("planted_confirm")
    with Recorder(tmp_path) as recorder:
        recorder.record_invalidation(members[-1].trial_id, "as if it had not run yet")
    with pytest.raises(qdexp.RequestError, match="the check of the best of planted to be over"):
        qdexp.ablate("planted", runs=tmp_path, executor="inline", report=False, tracking=False)


# What is asked for, and what the answer begins with.
WRONG = {
    "no search": (["nothing"], "expected an experiment in "),
    "no search but an ablation": (["planted_path"], "expected a search, or a configuration's "),
    "a baseline of one's own": (["planted", "--baseline", "tiny"], "--baseline: expected none "),
    "a file alone": (["there.json"], "--baseline: expected a preset (tiny, small, medium, large, "),
    "no file": (["there.json", "--baseline", "tiny"], "there.json: expected a configuration as "),
    "a field that is none": (
        ["planted", "--set", "bigg=1"],
        "--set: expected a field of its configuration, found 'bigg'; did you mean 'big'?",
    ),
    "a value that is none": (["planted", "--set", "small=x"], "--set small: "),
    "no preset": (
        ["config.json", "--baseline", "tny"],
        "--baseline: expected a preset (tiny, small, medium, large, dmd_optimized) or a "
        "configuration's file, found 'tny', which is neither; did you mean 'tiny'?",
    ),
    "no JSON": (["broken.json", "--baseline", "tiny"], "broken.json:1:12: expected YAML 1.2, "),
    "an unknown field": (
        ["typo.json", "--baseline", "tiny"],
        "typo.json:1:12: expected a configuration field, found 'model.num_layer'; did you mean ",
    ),
    "the baseline itself": (["config.json", "--baseline", "tiny"], "expected what differs from "),
    "no metric at all": (
        ["config.json", "--baseline", "small", "--metric", "nothing"],
        "--metric: expected a metric, found 'nothing' (without it changes are judged on "
        "eval.denoising_loss)",
    ),
    "a value that fits nothing else": (
        ["config.json", "--baseline", "small", "--set", "model.hidden_dim=33"],
        "--set model.hidden_dim: model.num_heads: expected a divisor of model.hidden_dim, found ",
    ),
    "what was changed": (["planted", "--set", "big=0.25"], "expected what differs from its "),
    "one change": (["planted", "--leave-one-out"], "--leave-one-out: expected two changes or more"),
    "no such metric": (
        ["planted", "--metric", "cots"],
        "--metric: expected a metric that the trainable declares (error, cost), found 'cots'; did "
        "you mean 'cost'? (the search planted has error)",
    ),
    "no seeds": (["planted", "--seeds", "0"], "--seeds: expected a number from 1 "),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("confirming")
    recorded(runs, search(SPACE), [{"big": 1.0}])
    qdexp.ablate("planted", runs=runs, executor="inline", report=False, tracking=False)
    files = {
        "config": preset("tiny").plain(),
        "typo": {"model": {"num_layer": 3}},
    }
    for name, content in files.items():
        (runs / f"{name}.json").write_text(json.dumps(content))
    (runs / "broken.json").write_text('{"model": {')
    return runs


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_explained_and_writes_nothing(
    runs: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, begins = WRONG[case]
    before = sorted((path, path.stat().st_mtime_ns) for path in runs.rglob("*"))
    monkeypatch.chdir(runs)
    result = CliRunner().invoke(
        app, ["ablate", *words, "--executor", "inline", "--runs", str(runs)]
    )
    assert str(result.exception).startswith(begins), result.exception
    assert isinstance(result.exception, qdexp.RequestError)
    assert sorted((path, path.stat().st_mtime_ns) for path in runs.rglob("*")) == before
