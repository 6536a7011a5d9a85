"""What the JSON Schema says alike of an ablation's spec and of a search's.

Fields of a user's own class are any: what it declares only the reader knows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from qdexp.config import metrics, sample_metrics
from qdexp.config.configuration import field_names
from qdexp.config.presets import PRESETS
from qdexp.experiment import heading, limits_reader, metrics_reader
from qdexp.experiment import seeds_reader as seeds
from qdexp.experiment.identity import WITHOUT_EFFECT
from qdexp.experiment.trial import DEFAULT_TRAINABLE

Schema = dict[str, Any]

POSITIVE: Schema = {"type": "number", "exclusiveMinimum": 0}
DURATION: Schema = {"type": "string", "pattern": rf"^\s*{limits_reader.DURATION}\s*$"}
_SHARE_OR_NUMBER = r"^\s*\+?[0-9._]+([eE][-+]?[0-9]+)?\s*%?$"


def spec_of_kind(
    description: str,
    keys: Sequence[str],
    required: Sequence[str],
    parts: Mapping[str, Schema],
    ours: Mapping[str, Schema],
) -> Schema:
    """Returns the schema of one kind of specs.

    Args:
        description: What the kind is.
        keys: Those that its reader knows.
        required: Those of them that every spec of the kind has.
        parts: What is said of keys that are not alike in all kinds, whatever is trained.
        ours: What is said beside it where qdexp's own training names fields and metrics.
    """
    is_own = {"required": ["trainable"], "not": {"properties": {"trainable": _default_trainable()}}}
    known = {**_parts(), **parts}
    return {
        "description": description,
        "type": "object",
        "properties": {key: known[key] for key in keys},
        "required": list(required),
        "additionalProperties": False,
        "if": is_own,
        "then": {"properties": {"preset": {"type": "null"}}},
        "else": {"properties": {**_ours(), **ours}, "required": ["preset"]},
    }


def mapping(description: str, keys: Sequence[str], parts: Mapping[str, Schema]) -> Schema:
    """Returns the schema of a mapping with the keys that its reader knows, and no others."""
    return {
        "description": description,
        "type": "object",
        "properties": {key: parts[key] for key in keys},
        "additionalProperties": False,
    }


def whole(least: int, most: int | None = None) -> Schema:
    """Returns the schema of a whole number in a range."""
    most_if_any = {} if most is None else {"maximum": most}
    return {"type": "integer", "minimum": least, **most_if_any}


def fields() -> dict[str, Schema]:
    """Returns what qdexp's own fields may be, by name."""
    return {field: {"$ref": f"#/$defs/{field}"} for field in field_names()}


def varied_fields() -> dict[str, Schema]:
    """Returns the same of those that change results."""
    return {field: values for field, values in fields().items() if field not in WITHOUT_EFFECT}


def metric_names(*, with_direction: bool, prefixes: tuple[str, ...] = ("",)) -> Schema:
    """Returns the names of metrics, a family's with a definition or without.

    Args:
        with_direction: Whether only those are meant of which one value is better than another.
        prefixes: What the names begin with.
    """
    names = [name for name in metrics.names() if name.startswith(prefixes)]
    named: list[Schema] = [
        {"const": name, "description": metrics.metric(name).description}
        for name in names
        if name not in sample_metrics.FAMILIES
        and (not with_direction or metrics.metric(name).direction != "neither")
    ]
    families = [name for name in sample_metrics.FAMILIES if name.startswith(prefixes)]
    if families:
        either = "|".join(name.replace(".", r"\.") for name in families)
        named.append({"type": "string", "pattern": rf"^({either})(\.|$)"})
    return {"anyOf": named}


def seed_numbers(least: int = 1) -> list[Schema]:
    """Returns what seeds may be: how many, or which; at least so many."""
    listed = {"type": "array", "minItems": least, "uniqueItems": True, "items": whole(0)}
    return [whole(least, seeds.MAX_SEEDS), listed]


def _default_trainable() -> Schema:
    return {"const": DEFAULT_TRAINABLE}


def _ours() -> dict[str, Schema]:
    """Returns the parts that name fields and metrics of qdexp's own training."""
    return {
        "preset": {"enum": list(PRESETS)},
        "set": {"properties": fields(), "additionalProperties": False},
        "metrics": {
            "properties": {
                "primary": metric_names(with_direction=True),
                "secondary": {"items": metric_names(with_direction=False)},
            }
        },
    }


def _parts() -> dict[str, Schema]:
    """Returns what is said of the keys that all kinds have, whatever is trained."""
    return {
        "name": {
            "description": "The experiment's name.",
            "type": "string",
            "pattern": rf"^\s*{heading.NAME}\s*$",
        },
        "question": {
            "description": "What is asked, in words.",
            "type": "string",
            "pattern": r"\S",
        },
        "preset": {
            "description": "The configuration that all conditions start from.",
            "type": ["string", "null"],
        },
        "set": {"description": "Fields changed for all conditions.", "type": ["object", "null"]},
        "where": {
            "description": "Keeps the conditions in which it holds.",
            "type": ["string", "null"],
            "examples": ["diffusion.min_step < diffusion.max_step"],
        },
        "metrics": _metrics(),
        "resources": _resources(),
        "trainable": {
            "description": "A training of your own, package.module:function.",
            "type": "string",
            "pattern": r"^[^:\s]+:[^:\s]+$",
        },
    }


def _metrics() -> Schema:
    parts: dict[str, Schema] = {
        "primary": {"description": "What verdicts are about."},
        "secondary": {"type": "array", "description": "Shown beside it, without verdicts."},
        "smallest_effect": {
            "description": "Differences below it do not matter: a share of the baseline such as "
            "0.5%, or a number.",
            "anyOf": [POSITIVE, {"type": "string", "pattern": _SHARE_OR_NUMBER}, {"type": "null"}],
        },
    }
    text = "What is measured; the primary metric is what verdicts are about."
    return mapping(text, metrics_reader.METRIC_KEYS, parts)


def _resources() -> Schema:
    most_gpus = {"type": "number", "minimum": 0, "maximum": limits_reader.MAX_GPUS}
    parts: dict[str, Schema] = {
        "cpus": whole(1),
        "gpus": {"anyOf": [{"const": "auto"}, most_gpus]},
        "processes": whole(1, limits_reader.MAX_PROCESSES),
        "retries": whole(0, limits_reader.MAX_RETRIES),
    }
    return mapping("What one trial gets.", limits_reader.RESOURCE_KEYS, parts)
