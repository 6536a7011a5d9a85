"""The schema of specs knows what the reader knows, and refuses nothing that the reader takes."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.errors import RequestError
from qdexp.experiment import reader
from qdexp.experiment.document import read_document
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec_schema import DIALECT, spec_schema

ROOT = Path(__file__).parents[3]
SPECS = sorted((*(ROOT / "experiments").glob("*.yaml"), ROOT / "examples" / "forest.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(spec_schema())

SMALL = {
    "name": "small",
    "question": "What does the codebook do?",
    "preset": "tiny",
    "set": {"training.max_steps": 20, "model.patch_size": [1, 1, 1]},
    "factors": {
        "model.num_embeddings": {"levels": [64, 128], "baseline": 64},
        "model.commitment_cost": {
            "levels": [0.25, 0.5],
            "baseline": 0.25,
            "when": "model.num_embeddings > 64",
        },
        "model.quantizer": {"levels": ["ema", "gradient"], "baseline": "ema"},
    },
    "zip": [["model.num_embeddings", "model.quantizer"]],
    "where": "model.num_embeddings < 200",
    "conditions": [{"model.num_embeddings": 128, "model.quantizer": "ema"}],
    "seeds": {"until_decided": True, "min": 3, "max": 8},
    "controls": ["twin"],
    "metrics": {
        "primary": "eval.denoising_loss",
        "smallest_effect": "0.5%",
        "secondary": ["eval.perplexity"],
    },
    "resources": {"cpus": 1, "gpus": "auto", "processes": 1, "retries": 0},
    "budget": {"trial": "30 min"},
}

ODD = [
    None, True, False, 0, 1, 2, -1, 0.5, 1.0, 1e9, float("nan"), float("inf"), "", " ", "x", "tiny",
    "0.5%", "0.5 ", "2 h", "0 s", "auto", "full_factorial", "fractional_factorial", "leave_one_out",
    "eval.fvd", "eval.frechet.pixels", "cost.parameters", "qdexp.training.run_trial:run_trial",
    [], [1], ["x"], [0, 1], [[]], {}, {"x": 1}, {"levels": [1], "baseline": 1},
    {"until_decided": True}, {"until_decided": False},
]  # fmt: skip
KEYS = [*reader.KEYS, "x", "levels", "model.dropout", "full", "min", "space", "training.num_epochs"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Returns the path of every part of a document but the whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        found
        for key, part in inner
        for found in (
            (*path, key),
            *(places(part, (*path, key)) if isinstance(part, dict | list) else ()),
        )
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_that_is_shipped_is_of_the_schema(path: Path) -> None:
    VALIDATOR.validate(read_document(path).content)


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0
    found = json.loads(printed.stdout)
    assert found == spec_schema()
    assert found["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(found)


def test_every_field_has_its_meaning() -> None:
    assert all(schema["description"] for schema in spec_schema()["$defs"].values())


def test_the_spec_that_is_changed_below_is_right_as_it_is() -> None:
    VALIDATOR.validate(SMALL)
    assert len(read_spec(SMALL).grid.conditions) > 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "not a name"),
        (("question",), " "),
        (("preset",), "tinny"),
        (("factors",), {}),
        (("factors", "model.num_embedings"), {"levels": [1, 2], "baseline": 1}),
        (("factors", "data.path"), {"levels": ["a", "b"], "baseline": "a"}),
        (("factors", "model.num_embeddings"), {"levels": [64, 128]}),
        (("factors", "model.num_embeddings", "levels"), ["64", 128]),
        (("factors", "model.commitment_cost", "levels"), [0.25, -1]),
        (("factors", "model.quantizer", "baseline"), "emma"),
        (("set", "training.max_stps"), 3),
        (("design",), "factorial"),
        (("resolution",), 4),
        (("seeds",), 0),
        (("seeds",), True),
        (("seeds",), [0, 0]),
        (("seeds",), {"until_decided": True, "most": 8}),
        (("controls",), ["twins"]),
        (("metrics", "primary"), "eval.denoising"),
        (("metrics", "primary"), "cost.parameters"),
        (("metrics", "smallest_effect"), -0.1),
        (("resources", "gpus"), "all"),
        (("budget", "trial"), 30),
        (("pruner",), "asha"),
    ],
)
def test_wrong_structure_is_refused_by_both(path: tuple[str, ...], value: object) -> None:
    content = changed(path, value)
    assert not VALIDATOR.is_valid(content)
    with pytest.raises(RequestError):
        read_spec(content)


def changed(path: tuple[Any, ...], value: object) -> dict[str, Any]:
    content = copy.deepcopy(SMALL)
    at: Any = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return content


@settings(max_examples=400, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_the_schema_refuses_the_reader_refuses_too(data: st.DataObject) -> None:
    content: dict[str, Any] = copy.deepcopy(SMALL)
    for key in data.draw(st.sets(st.sampled_from(["zip", "where", "conditions", "seeds", "set"]))):
        del content[key]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(content)))
        at: Any = content
        for key in path[:-1]:
            at = at[key]
        way = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if way == "remove":
            del at[path[-1]]
        elif way == "add" and isinstance(at, dict):
            at[data.draw(st.sampled_from(KEYS))] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        else:
            at[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    if not VALIDATOR.is_valid(content):
        with pytest.raises(RequestError):
            read_spec(content)
