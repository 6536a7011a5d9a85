"""A configuration's file is read whole, or refused at the place of its first mistake."""

import json
from pathlib import Path

import pytest

from qdexp.config.configuration import Configuration
from qdexp.config.presets import PRESETS, preset
from qdexp.errors import RequestError
from qdexp.experiment.configuration_file import read_configuration


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_what_presets_writes_is_read_back_unchanged(name: str, tmp_path: Path) -> None:
    text = json.dumps(preset(name).model_dump(mode="json"), indent=2)
    assert read_configuration(written(tmp_path, text, "preset.json")) == preset(name)


def test_missing_fields_have_their_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "training: {learning_rate: 1e-3}\n")
    assert read_configuration(path) == Configuration().replace({"training.learning_rate": 1e-3})


def test_settings_are_set_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "training: {learning_rate: 1e-3, warmup_steps: 7}\n")
    found = read_configuration(path, ["training.warmup_steps=9", "model.patch_size=[1, 1, 1]"])
    assert found.training.learning_rate == 1e-3
    assert found.training.warmup_steps == 9
    assert found.model.patch_size == (1, 1, 1)


WRONG = {
    "model:\n  num_embedings: 64\n": (
        "mine.yaml:2:3: expected a configuration field, found 'model.num_embedings'; did you mean "
        "'model.num_embeddings'?"
    ),
    '{\n  "training": {"num_embeddings": 64}\n}\n': (
        "mine.yaml:2:16: expected a configuration field, found 'training.num_embeddings'; did you "
        "mean 'model.num_embeddings'?"
    ),
    "modell:\n  hidden_dim: 64\n": "found 'modell'; did you mean 'model'?",
    "model:\n  hidden_dim: wide\n": "mine.yaml:2:15: model.hidden_dim: expected",
    "model:\n  dropout: 1.5\n": "mine.yaml:2:12: model.dropout: expected less than 1, found 1.5",
    "model: small\n": "mine.yaml:1:8: model: expected fields as `name: value`, found 'small'",
    "model:\n": "mine.yaml:1:1: model: expected fields as `name: value`, found None",
    "model:\n  hidden_dim: 64\n  num_heads: 5\n": "mine.yaml:3:14: model.num_heads: expected a",
    "factors:\n  model.hidden_dim: {levels: [1]}\n": "give it to `qdexp run`",
    "{": "mine.yaml:1:2: expected YAML 1.2",
    "": "mine.yaml:1:1: expected `key: value` lines, found nothing",
    "model: {dropout: 0.1, dropout: 0.2}\n": "mine.yaml:1:23: expected YAML 1.2",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_mistake_is_refused_at_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refusal:
        read_configuration(written(tmp_path, text))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.hiden_dim=3", "did you mean 'model.hidden_dim'?"),
        ("model.hidden_dim", "--set: expected FIELD=VALUE"),
        ("model.num_heads=5", "--set model.num_heads: expected a divisor of model.hidden_dim"),
        ("model.hidden_dim=40", "--set model.hidden_dim: model.num_heads: expected a divisor"),
    ],
)
def test_wrong_setting_is_refused_as_one(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refusal:
        read_configuration(written(tmp_path, "{model: {num_heads: 16}}"), [setting])
    assert message in str(refusal.value)
    assert "mine.yaml" not in str(refusal.value)


def test_missing_file_is_answered_with_a_near_one_or_with_presets(tmp_path: Path) -> None:
    written(tmp_path, "{}", "config_small.json")
    with pytest.raises(RequestError, match=r"did you mean .*/config_small\.json\?"):
        read_configuration(tmp_path / "small.json")
    with pytest.raises(RequestError, match="found nothing there; `qdexp presets` writes some"):
        read_configuration(tmp_path / "other.json")
    with pytest.raises(RequestError, match="found a folder"):
        read_configuration(tmp_path)
