"""What the JSON Schema says of an ablation's spec, made of the tables that its reader reads by.

A new key of the reader needs an entry in `_parts`.
"""

from qdexp.experiment import controls, design_reader, factor_reader, limits_reader, origin_reader
from qdexp.experiment import seeds_reader as seeds
from qdexp.experiment.reader import KEYS
from qdexp.experiment.schema_parts import (
    DURATION,
    Schema,
    mapping,
    seed_numbers,
    spec_of_kind,
    varied_fields,
    whole,
)


def ablation_schema() -> Schema:
    """Returns the JSON Schema of what `qdexp run` runs; fields are those of `#/$defs`."""
    text = "An ablation: what varies, with how many seeds, and which metric answers the question."
    designs = dict.fromkeys(("resolution", "generators"), design_reader.FRACTIONAL)
    designs |= dict.fromkeys(origin_reader.ORIGIN_KEYS, design_reader.LISTED)
    return {
        **spec_of_kind(text, KEYS, ("name", "question", "factors"), _parts(), _ours()),
        "dependentSchemas": {key: _with_design(design) for key, design in designs.items()},
    }


def _with_design(name: str) -> Schema:
    return {"properties": {"design": {"const": name}}, "required": ["design"]}


def _ours() -> dict[str, Schema]:
    """Returns the parts that name fields of qdexp's own training."""
    levels = varied_fields()
    return {
        "factors": {
            "properties": {field: _factor(values) for field, values in levels.items()},
            "additionalProperties": False,
        },
        "conditions": {"items": {"properties": levels, "additionalProperties": False}},
        "zip": {"items": {"items": {"enum": list(levels)}}},
    }


def _factor(values: Schema) -> Schema:
    """Returns what is said of one factor, given what its levels may be."""
    parts: dict[str, Schema] = {
        "levels": {"type": "array", "minItems": 1, "items": values},
        "baseline": {**values, "description": "The level that others are compared with."},
        "full": {**values, "description": "What it has while others are left out."},
        "when": {"type": "string", "description": "Where it acts, as in `where`."},
    }
    text = "A field with its levels, one of them the baseline."
    return {**mapping(text, factor_reader.KEYS, parts), "required": ["levels", "baseline"]}


def _parts() -> dict[str, Schema]:
    pairs = {"type": "array", "minItems": 2, "items": {"type": "string"}}
    return {
        "factors": {
            "description": "What varies: fields with their levels, and the baseline among these.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _factor({}),
        },
        "zip": {
            "description": "Factors whose levels go together, one by one.",
            "type": "array",
            "items": pairs,
        },
        "design": {
            "description": "How conditions are made of the factors.",
            "enum": list(design_reader.DESIGNS),
        },
        "resolution": {
            "description": "Of a fractional factorial.",
            **whole(design_reader.LEAST_RESOLUTION),
        },
        "generators": {"description": "Of a fractional factorial: a b c ab.", "type": "string"},
        "conditions": {
            "description": "More conditions, each as `field: level`.",
            "type": "array",
            "items": {"type": "object", "minProperties": 1},
        },
        "seeds": _seeds(),
        "controls": {
            "description": "The baseline with one change, beside what is compared.",
            "type": "array",
            "uniqueItems": True,
            "items": {"enum": list(controls.NAMES)},
        },
        "budget": _budget(),
        "confirms": _confirms(),
        "path": _path(),
    }


def _seeds() -> Schema:
    parts: dict[str, Schema] = {
        "until_decided": {"const": True},
        "min": whole(seeds.LEAST_JUDGED, seeds.MAX_SEEDS),
        "max": whole(seeds.LEAST_JUDGED + 1, seeds.MAX_SEEDS),
    }
    added = mapping("As many as the verdicts take.", seeds.KEYS, parts)
    return {
        "description": "How many replicates, or which, or as many as the verdicts take.",
        "anyOf": [*seed_numbers(), {**added, "required": ["until_decided"]}],
    }


def _budget() -> Schema:
    keys = limits_reader.BUDGET_KEYS
    text = "How long a trial, and a run of the experiment, may take: 30 min, 2 h."
    return mapping(text, keys, dict.fromkeys(keys, DURATION))


def _confirms() -> Schema:
    parts: dict[str, Schema] = {
        "search": {"type": "string"},
        "suggestions": {"type": "array", "items": {"type": "integer"}},
    }
    text = "Which search's best the conditions are. Written by qdexp."
    keys = origin_reader.CONFIRMS_KEYS
    return {**mapping(text, keys, parts), "required": list(keys)}


def _path() -> Schema:
    changes = {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1}}
    of_a_round: dict[str, Schema] = {"candidates": changes, "kept": {}}
    text = "Changes tried, and the one that was kept."
    a_round = mapping(text, origin_reader.ROUND_KEYS, of_a_round)
    parts: dict[str, Schema] = {
        "search": {"type": "string"},
        "suggestion": whole(0),
        "racing": {"type": "boolean"},
        "seeds": {"type": "array", "uniqueItems": True, "items": whole(0)},
        "rounds": {
            "type": "array",
            "minItems": 1,
            "items": a_round,
        },
    }
    text = "Which ablation path it walks. Written by qdexp."
    return {
        **mapping(text, origin_reader.PATH_KEYS, parts),
        "required": ["racing", "seeds", "rounds"],
    }
