"""The JSON Schema of a spec, for editors: made of the tables that the reader reads by.

It says what can be said without reading the whole: names, types, ranges. What it refuses the reader
refuses too; what depends on several parts of a spec only the reader knows. A new key of the reader
needs an entry in `_PARTS`, and fields of a user's own class are any.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qdexp.config import metrics, sample_metrics
from qdexp.config.configuration import field_names, value_schema
from qdexp.config.presets import PRESETS
from qdexp.experiment import (
    controls,
    design_reader,
    factor_reader,
    heading,
    limits_reader,
    metrics_reader,
    origin_reader,
    reader,
)
from qdexp.experiment import seeds_reader as seeds
from qdexp.experiment.identity import WITHOUT_EFFECT
from qdexp.experiment.trial import DEFAULT_TRAINABLE

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_EXPRESSION = {"type": ["string", "null"], "examples": ["diffusion.min_step < diffusion.max_step"]}
_TEXT: Schema = {"type": "string", "pattern": r"\S"}
_SHARE_OR_NUMBER = r"^\s*\+?[0-9._]+([eE][-+]?[0-9]+)?\s*%?$"


def spec_schema() -> Schema:
    """Returns the JSON Schema (draft 2020-12) of a spec's file."""
    is_own = {"required": ["trainable"], "not": {"properties": {"trainable": _default_trainable()}}}
    return {
        "$schema": DIALECT,
        "title": "qdexp spec",
        "description": "One question: what varies, from which preset, with how many seeds, and "
        "which metric answers it.",
        "type": "object",
        "properties": {key: _PARTS[key]() for key in reader.KEYS},
        "required": ["name", "question", "factors"],
        "additionalProperties": False,
        "dependentSchemas": {key: _with_a_fraction() for key in ("resolution", "generators")},
        "if": is_own,
        "then": {"properties": {"preset": {"type": "null"}}},
        "else": {"properties": _ours(), "required": ["preset"]},
        "$defs": {field: value_schema(field) for field in field_names()},
    }


def _described(text: str, schema: Mapping[str, Any]) -> Callable[[], Schema]:
    return lambda: {"description": text, **schema}


def _default_trainable() -> Schema:
    return {"const": DEFAULT_TRAINABLE}


def _with_a_fraction() -> Schema:
    fraction = {"const": design_reader.FRACTIONAL}
    return {"properties": {"design": fraction}, "required": ["design"]}


def _ours() -> dict[str, Schema]:
    """Returns the parts that name fields and metrics of qdexp's own training."""
    fields = {field: {"$ref": f"#/$defs/{field}"} for field in field_names()}
    varied = [field for field in fields if field not in WITHOUT_EFFECT]
    levels = {field: fields[field] for field in varied}
    return {
        "preset": {"enum": list(PRESETS)},
        "set": {"properties": fields, "additionalProperties": False},
        "factors": {
            "properties": {field: _factor(fields[field]) for field in varied},
            "additionalProperties": False,
        },
        "conditions": {"items": {"properties": levels, "additionalProperties": False}},
        "zip": {"items": {"items": {"enum": varied}}},
        "metrics": {
            "properties": {
                "primary": _metric_names(with_direction=True),
                "secondary": {"items": _metric_names(with_direction=False)},
            }
        },
    }


def _factor(values: Schema) -> Schema:
    """Returns what is said of one factor, given what its levels may be."""
    parts: dict[str, Schema] = {
        "levels": {"type": "array", "minItems": 1, "items": values},
        "baseline": {**values, "description": "The level that others are compared with."},
        "full": {**values, "description": "What it has while others are left out."},
        "when": {"type": "string", "description": "Where it acts, as in `where`."},
    }
    return {
        "type": "object",
        "properties": {key: parts[key] for key in factor_reader.KEYS},
        "required": ["levels", "baseline"],
        "additionalProperties": False,
    }


def _metric_names(*, with_direction: bool) -> Schema:
    """Returns the names of metrics, a family's with a definition or without."""
    families = "|".join(name.replace(".", r"\.") for name in sample_metrics.FAMILIES)
    single = [name for name in metrics.names() if name not in sample_metrics.FAMILIES]
    named = [
        {"const": name, "description": metrics.metric(name).description}
        for name in single
        if not with_direction or metrics.metric(name).direction != "neither"
    ]
    return {"anyOf": [*named, {"type": "string", "pattern": rf"^({families})(\.|$)"}]}


def _metrics() -> Schema:
    parts: dict[str, Schema] = {
        "primary": {"description": "What verdicts are about."},
        "secondary": {"type": "array", "description": "Shown beside it, without verdicts."},
        "smallest_effect": {
            "description": "Differences below it do not matter: a share of the baseline such as "
            "0.5%, or a number.",
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": _SHARE_OR_NUMBER},
                {"type": "null"},
            ],
        },
    }
    return {
        "description": "What is measured; the primary metric is what verdicts are about.",
        "type": "object",
        "properties": {key: parts[key] for key in metrics_reader.METRIC_KEYS},
        "additionalProperties": False,
    }


def _seeds() -> Schema:
    parts: dict[str, Schema] = {
        "until_decided": {"const": True},
        "min": {"type": "integer", "minimum": seeds.LEAST_JUDGED, "maximum": seeds.MAX_SEEDS},
        "max": {"type": "integer", "minimum": seeds.LEAST_JUDGED + 1, "maximum": seeds.MAX_SEEDS},
    }
    listed = {"type": "integer", "minimum": 0}
    return {
        "description": "How many replicates, or which, or as many as the verdicts take.",
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": seeds.MAX_SEEDS},
            {"type": "array", "minItems": 1, "uniqueItems": True, "items": listed},
            {
                "type": "object",
                "properties": {key: parts[key] for key in seeds.KEYS},
                "required": ["until_decided"],
                "additionalProperties": False,
            },
        ],
    }


def _resources() -> Schema:
    most_gpus = {"type": "number", "minimum": 0, "maximum": limits_reader.MAX_GPUS}
    parts: dict[str, Schema] = {
        "cpus": {"type": "integer", "minimum": 1},
        "gpus": {"anyOf": [{"const": "auto"}, most_gpus]},
        "processes": {"type": "integer", "minimum": 1, "maximum": limits_reader.MAX_PROCESSES},
        "retries": {"type": "integer", "minimum": 0, "maximum": limits_reader.MAX_RETRIES},
    }
    return {
        "description": "What one trial gets.",
        "type": "object",
        "properties": {key: parts[key] for key in limits_reader.RESOURCE_KEYS},
        "additionalProperties": False,
    }


def _budget() -> Schema:
    duration = {"type": "string", "pattern": rf"^\s*{limits_reader.DURATION}\s*$"}
    return {
        "description": "How long a trial, and a run of the experiment, may take: 30 min, 2 h.",
        "type": "object",
        "properties": dict.fromkeys(limits_reader.BUDGET_KEYS, duration),
        "additionalProperties": False,
    }


def _origin(text: str, keys: Sequence[str]) -> Schema:
    """Returns what is said of a spec that qdexp wrote; people need not write such."""
    return {
        "description": f"{text} Written by qdexp.",
        "type": "object",
        "properties": {key: {} for key in keys},
        "additionalProperties": False,
    }


def _factors() -> Schema:
    return {
        "description": "What varies: fields with their levels, and the baseline among these.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": _factor({}),
    }


_PARTS: Mapping[str, Callable[[], Schema]] = {
    "name": _described(
        "The experiment's name.", {"type": "string", "pattern": rf"^\s*{heading.NAME}\s*$"}
    ),
    "question": _described("What is asked, in words.", _TEXT),
    "preset": _described(
        "The configuration that all conditions start from.", {"type": ["string", "null"]}
    ),
    "set": _described("Fields changed for all conditions.", {"type": ["object", "null"]}),
    "factors": _factors,
    "zip": _described(
        "Factors whose levels go together, one by one.",
        {"type": "array", "items": {"type": "array", "minItems": 2, "items": {"type": "string"}}},
    ),
    "design": _described(
        "How conditions are made of the factors.", {"enum": list(design_reader.DESIGNS)}
    ),
    "resolution": _described(
        "Of a fractional factorial.",
        {"type": "integer", "minimum": design_reader.LEAST_RESOLUTION},
    ),
    "generators": _described("Of a fractional factorial: a b c ab.", {"type": "string"}),
    "where": _described("Keeps the conditions in which it holds.", _EXPRESSION),
    "conditions": _described(
        "More conditions, each as `field: level`.",
        {"type": "array", "items": {"type": "object", "minProperties": 1}},
    ),
    "seeds": _seeds,
    "controls": _described(
        "The baseline with one change, beside what is compared.",
        {"type": "array", "uniqueItems": True, "items": {"enum": list(controls.NAMES)}},
    ),
    "metrics": _metrics,
    "resources": _resources,
    "budget": _budget,
    "trainable": _described(
        "A training of your own, package.module:function.",
        {"type": "string", "pattern": r"^[^:\s]+:[^:\s]+$"},
    ),
    "confirms": lambda: _origin("Which search's best it checks.", origin_reader.CONFIRMS_KEYS),
    "path": lambda: _origin("Which ablation path it walks.", origin_reader.PATH_KEYS),
}
"""Of every key of the reader what is said of it, whatever is trained."""
