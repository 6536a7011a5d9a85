"""A search of a training of the user's own: the same words, and no torch for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from searches import spec_of

from qdexp.errors import SpecError
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import Objective

GOOD = """\
name: odd
question: Which values are best?
trainable: tests.contract.own_trainables:odd
set: {tree.depth: 2}
space:
  steps: {low: 2, high: 20}
  rate: {low: 0.001, high: 1, log: true}
  kernel: {choices: [linear, round]}
  shape: {choices: [[1, 2], [2, 1]], when: kernel == 'round'}
  tree.depth: {choices: [null, 1, 2]}
where: steps < 15
sampler: tpe
objectives: [error, pace]
budget: {trials: 8}
"""

# ruff: noqa: E501
WRONG = {
    "unknown field": ("  rate:", "  rat:", "7:3", "expected a field of OddConfig, found 'rat'"),
    "field that changes nothing": ("  rate: {low: 0.001, high: 1, log: true}", "  workers: {low: 1, high: 2}", "7:3", "changes no result"),
    "low that the field excludes": ("low: 0.001", "low: 0", "7:15", "rate: expected greater than 0, found 0"),
    "high beyond the field's range": ("high: 20", "high: 200", "6:25", "expected less than or equal to 100, found 200"),
    "part of a whole number": ("low: 2,", "low: 2.5,", "6:16", "found 2.5"),
    "choice of another type": ("[linear, round]", "[linear, square]", "8:30", "found 'square'"),
    "objective of qdexp's": ("[error, pace]", "[eval.denoising_loss]", "13:14", "expected a metric that the trainable declares (error, pace, size)"),
    "objective without direction": ("[error, pace]", "[error, size]", "13:21", "expected a metric with a better direction, found 'size'"),
    "objective that the space redefines": ("  rate: {low: 0.001, high: 1, log: true}", "  größe: {low: 0, high: 1}", "13:14", "found 'error', whose definition contains größe"),
    "no objective": ("objectives: [error, pace]\n", "", "1:1", "expected `primary`, a metric that the trainable declares"),
    "preset": ("set:", "preset: tiny\nset:", "4:1", "expected no preset for a field of OddConfig"),
}  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new", "place", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_search_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, place: str, problem: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as error:
        read_search(path)
    assert str(error.value).startswith(f"{path}:{place}: ")
    assert problem in str(error.value)


def test_kinds_follow_from_fields_and_bounds(tmp_path: Path) -> None:
    search = read_search(written(tmp_path, GOOD))
    kinds = {each.field: each.kind for each in search.space.parameters}
    assert kinds == {
        "steps": "int",
        "rate": "float",
        "kernel": "categorical",
        "shape": "categorical",
        "tree.depth": "categorical",
    }
    assert search.objectives == (
        Objective(metric="error", direction="lower"),
        Objective(metric="pace", direction="higher"),
    )
    assert search.spec.baseline["tree.depth"] == 2


def test_configurations_of_suggestions_are_the_users_own(tmp_path: Path) -> None:
    search = read_search(written(tmp_path, GOOD))
    values = {**search.spec.baseline, "rate": 0.123, "kernel": "linear", "tree.depth": None}
    assert search.configuration(values).fields()["rate"] == 0.123


def test_toy_search_is_read_and_suggested_for_without_torch(tmp_path: Path) -> None:
    program = f"""
import json, sys
from pathlib import Path
from qdexp.experiment.search_reader import read_search
search = read_search(Path({str(written(tmp_path, GOOD))!r}))
assert "optuna" not in sys.modules
from qdexp.backends.optuna_suggester import suggester_for
baseline = search.baseline.fields()
found = suggester_for(search).suggest([], lambda values: search.space.holds(baseline | values))
assert search.space.contains(found.values, baseline)
print(json.dumps([name for name in ("torch", "ray", "mlflow", "pandas") if name in sys.modules]))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_a_search_s_size_reads_like_one() -> None:
    spec = spec_of(seeds=2, budget={"trials": 5})
    words = "a search of 2 fields by tpe, 2 configurations x 2 seeds = 4 trials"
    assert spec.definition()["size"] == {"in_words": words}
    assert spec_of(budget={"trials": 1}).size_in_words == "a search of 2 fields by tpe, 1 trial"
