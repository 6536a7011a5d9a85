"""A spec for a training of the user's own: the same errors at the same places."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qdexp.config.own_configuration import OwnConfiguration
from qdexp.errors import ConfigurationError, SpecError
from qdexp.experiment.plan import difference
from qdexp.experiment.reader import parse_overrides, read_spec
from qdexp.experiment.trial import Trial

GOOD = """\
name: odd
question: Do more steps help?
trainable: tests.contract.own_trainables:odd
set:
  rate: 0.25
factors:
  steps: {levels: [2, 4], baseline: 2}
  tree.depth: {levels: [1, null], baseline: 1}
where: steps < 100 and größe == 1
seeds: 2
metrics:
  primary: error
  secondary: [pace]
"""

# ruff: noqa: E501
WRONG = {
    "unknown factor": ("steps: {", "stepz: {", "7:3", "expected a field of OddConfig, found 'stepz'; did you mean 'steps'?"),
    "unknown field in set": ("  rate:", "  rat:", "5:3", "found 'rat'; did you mean 'rate'?"),
    "field of qdexp's": ("  rate: 0.25", "  training.max_steps: 3", "5:3", "expected a field of OddConfig"),
    "wrong type in set": ("rate: 0.25", "rate: fast", "5:9", "rate: expected a valid number, found 'fast'"),
    "not a number": ("rate: 0.25", "rate: .nan", "5:9", "rate: expected a finite number, found nan"),
    "level out of range": ("[2, 4]", "[2, 400]", "7:23", "expected less than or equal to 100, found 400"),
    "field that changes nothing": ("steps: {", "workers: {", "7:3", "changes no result"),
    "preset": ("set:", "preset: tiny\nset:", "4:1", "preset: expected no preset for a field of OddConfig, found 'tiny': remove it"),
    "where of an unknown field": ("größe == 1", "size == 1", "9:24", "expected a field of OddConfig, found 'size'"),
    "where of another kind": ("größe == 1", "größe == 'a'", "9:30", "found a number and a text"),
    "where of no choice": ("größe == 1", "order == 'left'", "9:33", "expected one of up, down for order, found 'left'"),
    "where of no order": ("größe == 1", "features < 2", "9:33", "expected == or != beside a value of several kinds, found '<'"),
    "metric of qdexp's": ("primary: error", "primary: eval.denoising_loss", "12:12", "expected a metric that the trainable declares (error, pace, size), found 'eval.denoising_loss'"),
    "misspelt metric": ("primary: error", "primary: eror", "12:12", "found 'eror'; did you mean 'error'?"),
    "metric without direction": ("primary: error", "primary: size", "12:12", "expected a metric with a better direction, found 'size'"),
    "factor in the definition": ("tree.depth: {levels: [1, null], baseline: 1}", "größe: {levels: [1, 2], baseline: 1}", "12:12", "'error', whose definition contains größe"),
    "no metric named": ("  primary: error\n", "", "12:3", "expected `primary`, a metric that the trainable declares (error, pace, size), found none"),
    "class refuses a condition": ("rate: 0.25", "is_deep: true", "6:1", "condition steps=2, depth=1: tree.depth: expected at least 2 where is_deep, found 1; exclude it by `where`"),
    "no such module": ("own_trainables:odd", "own_trainable:odd", "3:12", "trainable: expected a module that can be imported from"),
    "no such function": ("own_trainables:odd", "own_trainables:even", "3:12", "has no function 'even'"),
    "the notebook itself": ("tests.contract.own_trainables:odd", "__main__:odd", "3:12", "put the function into a file of its own"),
}  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def trials(folder: Path, text: str = GOOD, data: str = "d") -> list[Trial]:
    spec = read_spec(written(folder, text))
    return [trial for trial, _ in spec.trials([data] * len(spec.grid.conditions))]


@pytest.mark.parametrize(("old", "new", "place", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_spec_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, place: str, problem: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as error:
        read_spec(path)
    assert str(error.value).startswith(f"{path}:{place}: ")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise OSError('no GPU')", "OSError: no GPU"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError"),
        ("import qdexp\nqdexp.trainable(configuration=3, metrics=[], revision=1)",
         "configuration: expected a pydantic class, found 3"),
    ],
)  # fmt: skip
def test_module_that_cannot_be_imported_is_a_wrong_request(
    tmp_path: Path, code: str, problem: str
) -> None:
    name = f"broken_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code)
    text = GOOD.replace("tests.contract.own_trainables:odd", f"{name}:f")
    with pytest.raises(SpecError) as error:
        read_spec(written(tmp_path, text))
    assert ":3:12: trainable: " in str(error.value)
    assert problem in str(error.value)


def test_command_line_sets_fields_of_the_users_class(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    spec = read_spec(path, parse_overrides(["kernel=linear"], None, {"shape": (3, 4)}))
    assert spec.grid.set == {"rate": 0.25, "kernel": "linear", "shape": [3, 4]}
    assert {c.fields()["kernel"] for _, c in spec.grid.conditions} == {"linear"}
    with pytest.raises(ConfigurationError, match="did you mean 'kernel'"):
        read_spec(path, parse_overrides(["kernl=linear"], None))


def test_required_field_is_a_factor_or_set(tmp_path: Path) -> None:
    text = (
        "name: needy\nquestion: How many?\ntrainable: tests.contract.own_trainables:needy\n"
        "set: {name: a}\nfactors:\n  count: {levels: [1, 2], baseline: 1}\n"
        "metrics: {primary: error}\n"
    )
    spec = read_spec(written(tmp_path, text))
    assert [c.fields()["count"] for _, c in spec.grid.conditions] == [1, 2]
    with pytest.raises(SpecError, match="expected a value for 'name', which has no default"):
        read_spec(written(tmp_path, text.replace("set: {name: a}\n", "")))


def test_definition_holds_what_reports_need(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, GOOD))
    own = json.loads(json.dumps(spec.definition()))["own"]
    assert (own["configuration"], own["revision"]) == ("OddConfig", 1)
    assert [each["name"] for each in own["metrics"]] == ["error", "pace", "size"]
    assert own["metrics"][0]["unit"] == "mm"
    assert own["metrics"][0]["defined_by"] == ["größe"]


def test_identity_is_fields_seed_data_trainable_and_the_declared_revision(tmp_path: Path) -> None:
    first, *others = trials(tmp_path)
    own = first.configuration
    assert isinstance(own, OwnConfiguration)
    different = [
        *others,
        replace(first, data_fingerprint="e"),
        replace(first, trainable="m:f"),
        replace(first, configuration=replace(own, revision=2)),
        replace(first, configuration=own.replace({"rate": 0.5})),
    ]
    assert len({first.trial_id, *(each.trial_id for each in different)}) == 1 + len(different)
    same = (
        replace(first, configuration=own.replace({"workers": 9})),
        replace(first, configuration=replace(own, num_steps=99)),
        Trial.from_json(first.to_json()),
    )
    assert {each.trial_id for each in same} == {first.trial_id}


def test_identity_does_not_follow_qdexps_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trials(tmp_path)[0].trial_id
    monkeypatch.setattr("qdexp.experiment.identity.RESULTS_REVISION", 1000)
    assert trials(tmp_path)[0].trial_id == before


def test_a_trial_says_why_it_is_stale(tmp_path: Path) -> None:
    old, *_ = trials(tmp_path)
    own: Any = old.configuration
    raised = replace(old, configuration=replace(own, revision=2))
    expected = "revision of tests.contract.own_trainables:odd changed from 1 to 2"
    assert difference(old, raised) == expected
    faster = replace(old, configuration=own.replace({"rate": 0.5}))
    assert difference(old, faster) == "rate changed from 0.25 to 0.5"


def test_trial_reads_without_the_users_module(tmp_path: Path) -> None:
    trial = trials(tmp_path)[0]
    code = (
        "import sys; from qdexp.experiment.trial import Trial\n"
        "trial = Trial.from_json(sys.stdin.read())\n"
        "assert not any('own_trainables' in name for name in sys.modules)\n"
        "print(trial.trial_id, trial.configuration.fields()['steps'], trial.teacher)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=trial.to_json(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split() == [trial.trial_id, "2", "None"]
