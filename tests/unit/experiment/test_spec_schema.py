"""The schema of specs knows what the readers know, and refuses nothing that they take."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.errors import RequestError
from qdexp.experiment import reader, search_reader
from qdexp.experiment.document import read_document
from qdexp.experiment.reader import read_spec
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.spec_schema import DIALECT, spec_schema
from tests.unit.experiment.specs_of_kinds import KINDS, SMALL

ROOT = Path(__file__).parents[3]
SPECS = sorted((*(ROOT / "experiments").glob("*.yaml"), ROOT / "examples" / "forest.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(spec_schema())

ODD = [
    None, True, False, 0, 1, 2, -1, 0.5, 1.0, 1e9, float("nan"), float("inf"), "", " ", "x", "tiny",
    "0.5%", "0.5 ", "2 h", "0 s", "auto", "full_factorial", "fractional_factorial", "leave_one_out",
    "eval.fvd", "eval.frechet.pixels", "cost.parameters", "qdexp.training.run_trial:run_trial",
    [], [1], ["x"], [0, 1], [[]], {}, {"x": 1}, {"levels": [1], "baseline": 1},
    {"until_decided": True}, {"until_decided": False}, "grid", "median", [3, 4], [0, 1, 2],
    {"name": "grid"}, {"low": 0.1, "high": 0.5}, {"choices": [1, 2]}, {"trials": 4},
]  # fmt: skip
KEYS = list(dict.fromkeys([
    *reader.KEYS, *search_reader.KEYS, "x", "levels", "model.dropout", "full", "min",
    "training.num_epochs", "choices", "low", "step", "log", "n_ei_candidates", "kept",
]))  # fmt: skip


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
    content = read_document(path).content
    VALIDATOR.validate(content)
    read = read_search if "space" in content else read_spec
    assert read(path).name == content["name"]


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0
    found = json.loads(printed.stdout)
    assert found == spec_schema()
    assert found["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(found)


def test_every_field_has_its_meaning() -> None:
    assert all(schema["description"] for schema in spec_schema()["$defs"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_specs_that_are_changed_below_are_right_as_they_are(kind: str) -> None:
    content, read = KINDS[kind]
    VALIDATOR.validate(content)
    read(content)


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
    check_refused("ablation", path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("factors",), SMALL["factors"]),
        (("design",), "full_factorial"),
        (("space",), {}),
        (("space", "model.num_embedings"), {"choices": [1, 2]}),
        (("space", "data.path"), {"choices": ["a", "b"]}),
        (("space", "model.num_embeddings"), {"choices": [64]}),
        (("space", "model.num_embeddings"), {"low": 64}),
        (("space", "model.num_embeddings"), {"choices": [64, 128], "low": 64}),
        (("space", "model.quantizer"), {"low": "ema", "high": "gradient"}),
        (("space", "model.commitment_cost", "low"), -1),
        (("space", "model.commitment_cost", "log"), 10),
        (("sampler",), "cmaes"),
        (("sampler",), {"name": "gp", "n_ei_candidates": 3}),
        (("sampler", "n_startup_trials"), -1),
        (("sampler", "group"), 1),
        (("enqueue",), [{"model.num_layers": {}}]),
        (("seeds",), {"until_decided": True}),
        (("objectives",), []),
        (("objectives",), ["cost.parameters"]),
        (("budget",), {"trial": "30 min"}),
        (("budget", "trials"), None),
        (("budget", "hours"), 0),
        (("pruning", "kind"), "median"),
        (("pruning", "metric"), "eval.denoising_loss"),
        (("pruning", "steps"), []),
        (("confirm",), {"top": 2}),
        (("confirm", "seeds"), 1),
        (("workers",), 0),
    ],
)
def test_a_wrong_search_is_refused_by_both(path: tuple[str, ...], value: object) -> None:
    check_refused("search", path, value)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("check of a search", ("design",), "full_factorial"),
        ("check of a search", ("confirms",), {"search": "wide"}),
        ("check of a search", ("confirms", "suggestions"), "set"),
        ("path", ("path",), "set"),
        ("path", ("path", "suggestion"), "set"),
        ("path", ("path", "seeds"), [0, 1, 1]),
        ("path", ("path", "rounds", 0, "candidates"), ["set"]),
        ("path", ("path", "rounds", 0), []),
    ],
)
def test_a_wrong_origin_is_refused_by_both(
    kind: str, path: tuple[str | int, ...], value: object
) -> None:
    check_refused(kind, path, value)


@pytest.mark.parametrize("value", [False, 0, "", []])
@pytest.mark.parametrize("kind", KINDS)
def test_a_set_that_is_nothing_but_no_mapping_is_refused_by_both(kind: str, value: object) -> None:
    check_refused(kind, ("set",), value)


def check_refused(kind: str, path: tuple[str | int, ...], value: object) -> None:
    content, read = KINDS[kind]
    content = changed(content, path, value)
    assert not VALIDATOR.is_valid(content)
    with pytest.raises(RequestError):
        read(content)


def changed(content: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    content = copy.deepcopy(content)
    at: Any = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return content


OPTIONAL = {
    "zip", "where", "conditions", "seeds", "set", "sampler", "enqueue", "objectives", "pruning",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_the_schema_refuses_the_reader_refuses_too(kind: str, data: st.DataObject) -> None:
    right, read = KINDS[kind]
    content = copy.deepcopy(right)
    for key in data.draw(st.sets(st.sampled_from(sorted(OPTIONAL & content.keys())))):
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
    # What the schema takes may be wrong still, but then the reader says so and does not break.
    with suppress(RequestError) if VALIDATOR.is_valid(content) else pytest.raises(RequestError):
        read(content)
