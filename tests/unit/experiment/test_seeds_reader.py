"""Seeds are a number, a list, or as many as it takes; controls stand beside what is compared."""

from pathlib import Path

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.looks import looks_between, planned_schedule
from qdexp.experiment.reader import Overrides, read_spec
from qdexp.experiment.spec import Spec

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128, 256], baseline: 64}
seeds: {until_decided: true, min: 3, max: 12}
controls: [twin, none]
"""

# ruff: noqa: E501
WRONG = {
    "not until decided": ("until_decided: true", "until_decided: false", "6:24", "expected true, found False"),
    "no word of until decided": ("until_decided: true, ", "", "6:8", "until_decided: expected true, found none"),
    "another key": ("min: 3", "least: 3", "6:30", "found 'least'"),
    "too few": ("min: 3", "min: 1", "6:35", "min: expected a number of seeds from 2 to 1000, found 1"),
    "no more than at first": ("max: 12", "max: 3", "6:43", "max: expected a number of seeds from 4 to 1000, found 3"),
    "too many": ("max: 12", "max: 2000", "6:43", "found 2000"),
    "words": ("{until_decided: true, min: 3, max: 12}", "many", "6:8", "{until_decided: true, min: 3, max: 12}, found 'many'"),
    "unknown control": ("[twin, none]", "[twin, nnone]", "7:18", "found 'nnone'; did you mean 'none'?"),
    "a control twice": ("[twin, none]", "[twin, twin]", "7:18", "found twin twice"),
    "no list": ("[twin, none]", "twin", "7:11", "expected a list of twin or none, found 'twin'"),
    "a control that is compared": (
        "model.num_embeddings: {levels: [64, 128, 256], baseline: 64}",
        "model.quantizer: {levels: [ema, none], baseline: ema}",
        "7:18", "which is the condition quantizer=none"),
}  # fmt: skip


def read(tmp_path: Path, text: str = SPEC, overrides: Overrides | None = None) -> Spec:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return read_spec(path, overrides) if overrides else read_spec(path)


@pytest.mark.parametrize(("old", "new", "place", "message"), WRONG.values(), ids=WRONG)
def test_wrong_seeds_and_controls_are_refused_at_their_place(
    tmp_path: Path, old: str, new: str, place: str, message: str
) -> None:
    assert old in SPEC
    with pytest.raises(SpecError) as refused:
        read(tmp_path, SPEC.replace(old, new))
    assert f"spec.yaml:{place}: " in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("least", "most", "schedule"),
    [
        (3, 12, (3, 5, 8, 12)),
        (3, 27, (3, 5, 8, 12, 18, 27)),
        (2, 5, (2, 3, 5)),
        (4, 13, (4, 6, 9, 13)),
        (3, 13, (3, 5, 8, 12, 13)),
    ],
)
def test_looks_grow_by_half_until_the_most(
    least: int, most: int, schedule: tuple[int, ...]
) -> None:
    assert looks_between(least, most).schedule == schedule


def test_first_look_has_all_conditions_and_the_controls(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert spec.looks is not None
    trials = spec.trials(["data"] * 3, (3, 3, 3))

    assert len(trials) == 3 * (3 + 2)
    assert len(spec.trials(["data"] * 3)) == 3 * 12 + 2 * 3
    assert "3 conditions x 3 to 12 seeds + 2 controls x 3 seeds = 15 to 42 trials" in (
        spec.size_in_words
    )
    assert planned_schedule(spec.definition()) == (3, 5, 8, 12)
    assert spec.definition()["controls"] == ["twin", "none"]


def test_what_is_decided_gets_no_more_seeds(tmp_path: Path) -> None:
    trials = read(tmp_path).trials(["data"] * 3, (8, 3, 8))
    of_second = [t.seed for t, c in trials if c.get("model.num_embeddings") == 128]
    of_baseline = [t.seed for t, c in trials if c.get("model.num_embeddings") == 64]
    assert of_second == [0, 1, 2]
    assert of_baseline == list(range(8))


def test_twin_differs_from_the_baseline_in_its_data_order_and_nothing_else(
    tmp_path: Path,
) -> None:
    spec = read(tmp_path)
    (baseline,) = (c for condition, c in spec.grid.conditions if condition == spec.baseline)
    twin, none = (control.configuration for control in spec.controls)
    before = baseline.fields()

    changed = {field: value for field, value in twin.fields().items() if before[field] != value}
    assert changed == {"training.data_order": 1}
    assert none.fields()["model.quantizer"] == "none"


def test_fixed_seeds_leave_the_definition_as_it_always_was(tmp_path: Path) -> None:
    text = SPEC.replace("{until_decided: true, min: 3, max: 12}", "3").replace(
        "controls: [twin, none]\n", ""
    )
    spec = read(tmp_path, text)
    assert spec.looks is None
    assert not {"looks", "controls"} & set(spec.definition())


def test_a_number_on_the_command_line_is_fixed(tmp_path: Path) -> None:
    spec = read(tmp_path, overrides=Overrides(fields={}, num_seeds=4))
    assert spec.looks is None
    assert spec.seeds == (0, 1, 2, 3)


def test_controls_are_refused_for_a_training_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_of_looks.py").write_text(
        "import pydantic, qdexp\n"
        "class C(pydantic.BaseModel):\n    size: int = 1\n"
        "@qdexp.trainable(configuration=C, revision=1,\n"
        "    metrics=[qdexp.Metric(name='loss', direction='lower')])\n"
        "def train(trial, workspace):\n    yield trial.completed(step=1, measurements={})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        "name: own\nquestion: What?\ntrainable: own_of_looks:train\n"
        "factors:\n  size: {levels: [1, 2], baseline: 1}\n"
        "controls: [twin]\nmetrics: {primary: loss}\n"
    )
    with pytest.raises(SpecError, match=r"6:12: .*none with a training of one's own, found twin"):
        read(tmp_path, text)
