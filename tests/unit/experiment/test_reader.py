"""A spec is read completely, with what the command line sets over it."""

import re
from pathlib import Path

import pytest

from qdexp.errors import ConfigurationError
from qdexp.experiment.reader import Overrides, parse_overrides, read_spec
from qdexp.experiment.spec import Resources, SmallestEffect, Spec
from tests.unit.experiment.written_spec import GOOD, written


def good(folder: Path) -> Spec:
    return read_spec(written(folder, GOOD))


def test_spec_is_read_completely(tmp_path: Path) -> None:
    spec = good(tmp_path)
    assert spec.name == "sizes"
    assert spec.seeds == (0, 1)
    assert spec.metrics.smallest_effect == SmallestEffect(value=0.005, is_relative=True)
    assert spec.resources == Resources(cpus=1, gpus=None)
    assert spec.baseline == {"model.num_embeddings": 64, "diffusion.min_step": 20}
    labels = [tuple(condition.values()) for condition, _ in spec.grid.conditions]
    assert labels == [(64, 20), (64, 50), (128, 20), (128, 50)]
    configuration = spec.grid.conditions[3][1]
    fields = configuration.fields()
    assert (fields["model.num_embeddings"], fields["training.max_steps"]) == (128, 50)


def test_where_leaves_conditions_out(tmp_path: Path) -> None:
    text = GOOD.replace(
        "where: diffusion.min_step < diffusion.max_step",
        'where: "not (model.num_embeddings == 128 and diffusion.min_step >= 50)"',
    )
    spec = read_spec(written(tmp_path, text))
    assert len(spec.grid.conditions) == 3


@pytest.mark.parametrize(
    "change",
    ["<<: {training.max_steps: 50}", "<<: {training.max_steps: 9}\n  training.max_steps: 50"],
)
def test_merged_mapping_is_read_as_if_it_stood_there(tmp_path: Path, change: str) -> None:
    path = written(tmp_path, GOOD.replace("training.max_steps: 50", change))
    assert read_spec(path).grid.set == {"training.max_steps": 50}


def test_ordered_mapping_is_read_as_a_mapping(tmp_path: Path) -> None:
    text = GOOD.replace("set:\n  training", "set: !!omap\n  - training")
    assert read_spec(written(tmp_path, text)).grid.set == {"training.max_steps": 50}


def test_merge_key_in_an_override_is_data(tmp_path: Path) -> None:
    overrides = parse_overrides(["training.max_steps={<<: {a: 1}}"], None)
    with pytest.raises(ConfigurationError, match="expected a valid integer"):
        read_spec(written(tmp_path, GOOD), overrides)


def test_trainable_without_a_declaration_runs_qdexps_configuration(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, GOOD + "trainable: tests.contract.toy_trainables:raises\n"))
    assert spec.trainable == "tests.contract.toy_trainables:raises"
    assert (spec.own, spec.grid.preset) == (None, "tiny")


def test_numbers_are_of_yaml_1_2(tmp_path: Path) -> None:
    text = GOOD.replace("training.max_steps: 50", "training.learning_rate: 1e-4")
    spec = read_spec(written(tmp_path, text))
    assert spec.grid.set == {"training.learning_rate": 1e-4}


def test_trials_are_ordered_by_seed(tmp_path: Path) -> None:
    trials = good(tmp_path).trials(["data"] * 4)
    assert [trial.seed for trial, _ in trials] == [0] * 4 + [1] * 4
    assert len({trial.trial_id for trial, _ in trials}) == 8


def test_command_line_overrides_the_spec(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    spec = read_spec(path, parse_overrides(["training.max_steps=7"], 5))
    assert spec.grid.set == {"training.max_steps": 7}
    assert spec.seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("assignments", "seeds", "message"),
    [
        (["training.max_steps"], None, "expected FIELD=VALUE"),
        (["training.max_step=3"], None, "did you mean 'training.max_steps'?"),
        (["training.max_steps=many"], None, "found 'many'"),
        ([], 0, "expected a number from 1 to 1000, found 0"),
        ([], 3_000_000_000, "expected a number from 1 to 1000, found 3000000000"),
    ],
)
def test_wrong_override_is_refused(
    tmp_path: Path, assignments: list[str], seeds: int | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        read_spec(written(tmp_path, GOOD), parse_overrides(assignments, seeds))


def test_override_of_a_factor_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(ConfigurationError, match=r"is no factor, found 'model\.num_embeddings'"):
        read_spec(path, Overrides(fields={"model.num_embeddings": 3}))


def test_definition_is_json_with_all_that_the_analysis_needs(tmp_path: Path) -> None:
    definition = good(tmp_path).definition()
    assert definition["factors"][0] == {
        "field": "model.num_embeddings",
        "levels": [64, 128],
        "baseline": 64,
    }
    assert definition["metrics"] == {
        "primary": "eval.denoising_loss",
        "secondary": ["eval.perplexity"],
        "smallest_effect": {"value": 0.005, "is_relative": True},
    }


ALL = sorted(Path("experiments").glob("*.yaml"))
ABLATIONS = [path for path in ALL if not path.stem.startswith("search_")]


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_every_experiment_of_ours_is_valid(path: Path) -> None:
    spec = read_spec(path)
    assert spec.name == path.stem
    assert len(spec.grid.conditions) >= 2
