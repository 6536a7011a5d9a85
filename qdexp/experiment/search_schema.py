"""What the JSON Schema says of a search's spec, made of the tables that its readers read by.

A new key of the reader needs an entry in `_parts`.
"""

from qdexp.experiment import limits_reader, objectives_reader, space_reader
from qdexp.experiment import search_limits_reader as search_limits
from qdexp.experiment.sampler_options import SAMPLERS, Option
from qdexp.experiment.sampler_reader import SAMPLER_KEYS
from qdexp.experiment.schema_parts import (
    DURATION,
    POSITIVE,
    Schema,
    mapping,
    metric_names,
    seed_numbers,
    spec_of_kind,
    varied_fields,
    whole,
)
from qdexp.experiment.search_reader import KEYS
from qdexp.experiment.seeds_reader import LEAST_JUDGED


def search_schema() -> Schema:
    """Returns the JSON Schema of what `qdexp search` runs; fields are those of `#/$defs`."""
    text = "A search: a space, how it is looked through, for how long, and what is optimised."
    return spec_of_kind(text, KEYS, ("name", "question", "space", "budget"), _parts(), _ours())


def _ours() -> dict[str, Schema]:
    """Returns the parts that name fields and metrics of qdexp's own training."""
    values = varied_fields()
    named = metric_names(with_direction=True)
    reported = metric_names(with_direction=True, prefixes=objectives_reader.REPORTED)
    return {
        "space": {
            "properties": {field: _parameter(value) for field, value in values.items()},
            "additionalProperties": False,
        },
        "enqueue": {"items": {"properties": values, "additionalProperties": False}},
        "objectives": {"items": named, "uniqueItems": True},
        "pruning": {"properties": {"metric": reported}},
    }


def _parameter(values: Schema) -> Schema:
    """Returns what is said of one parameter, given what its values may be."""
    number = {**values, "type": "number"} if values else {}
    parts: dict[str, Schema] = {
        "choices": {"type": "array", "minItems": 2, "uniqueItems": True, "items": values},
        "low": {**number, "description": "The least value."},
        "high": {**number, "description": "The greatest value."},
        "step": {**POSITIVE, "description": "From one value to the next."},
        "log": {"type": "boolean", "description": "Looked through in the logarithm."},
        "when": {"type": "string", "description": "Where it acts, as in `where`."},
    }
    text = "A field with its choices, or with low and high."
    return {
        **mapping(text, space_reader.KEYS, parts),
        "if": {"required": ["choices"]},
        "then": {"propertyNames": {"enum": list(space_reader.OF_CHOICES)}},
        "else": {"required": ["low", "high"]},
    }


def _parts() -> dict[str, Schema]:
    return {
        "space": {
            "description": "What may be suggested: fields with choices, or with low and high.",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _parameter({}),
        },
        "sampler": _sampler(),
        "enqueue": {
            "description": "Configurations to begin with, each as `field: value`.",
            "type": "array",
            "items": {"type": "object", "minProperties": 1},
        },
        "seeds": {
            "description": "How many replicates of each configuration, or which.",
            "anyOf": seed_numbers(),
        },
        "objectives": {
            "description": "Metrics that are optimised, the first of them the primary.",
            "type": "array",
            "minItems": 1,
        },
        "budget": _budget(),
        "pruning": _pruning(),
        "confirm": _confirm(),
        "workers": {
            "description": "Trials at one time; as many as fit unless it is given.",
            "anyOf": [whole(1), {"type": "null"}],
        },
    }


def _sampler() -> Schema:
    with_options = [
        {
            **mapping(
                f"{name} with its options.",
                (*SAMPLER_KEYS, *options),
                {
                    "name": {"const": name},
                    "seed": whole(0),
                    **{key: _option(option) for key, option in options.items()},
                },
            ),
            "required": ["name"],
        }
        for name, options in SAMPLERS.items()
    ]
    return {
        "description": "What suggests configurations.",
        "anyOf": [{"enum": list(SAMPLERS)}, *with_options],
    }


def _option(option: Option) -> Schema:
    if option.kind is bool:
        return {"type": "boolean"}
    has_most = option.most < float("inf")
    kind = "integer" if option.kind is int else "number"
    return {
        "type": kind,
        "minimum": option.least,
        **({"maximum": option.most} if has_most else {}),
    }


def _budget() -> Schema:
    parts: dict[str, Schema] = {
        "trials": {
            "description": "Trials, of all seeds together.",
            **whole(1, search_limits.MAX_TRIALS),
        },
        "hours": {"description": "Hours in which trials run.", **POSITIVE},
        "gpu_hours": {"description": "Hours of trials times their GPUs.", **POSITIVE},
        **dict.fromkeys(limits_reader.BUDGET_KEYS, DURATION),
    }
    keys = (*search_limits.SEARCH_BUDGET_KEYS, *limits_reader.BUDGET_KEYS)
    ends: list[Schema] = [{"required": [key]} for key in search_limits.SEARCH_BUDGET_KEYS]
    return {**mapping("When the search ends.", keys, parts), "anyOf": ends}


def _pruning() -> Schema:
    parts: dict[str, Schema] = {
        "kind": {"enum": list(objectives_reader.PRUNING_KINDS)},
        "metric": {"description": "What running trials are compared on."},
        "steps": {"type": "array", "minItems": 1, "uniqueItems": True, "items": whole(1)},
        "reduction_factor": {"description": "Of asha: one of so many goes on.", **whole(2)},
        "least": {"description": "Trials at a step before any is stopped.", **whole(1)},
    }
    text = "What stops trials early that do badly."
    return {
        **mapping(text, objectives_reader.PRUNING_KEYS, parts),
        "required": ["kind", "metric", "steps"],
        "dependentSchemas": {"reduction_factor": {"properties": {"kind": {"const": "asha"}}}},
    }


def _confirm() -> Schema:
    parts: dict[str, Schema] = {
        "top": {"description": "How many of the best.", **whole(1, search_limits.MAX_TOP)},
        "seeds": {
            "description": "Seeds that the search has not seen: how many, or which.",
            "anyOf": seed_numbers(LEAST_JUDGED),
        },
    }
    text = "The check of the best on fresh seeds."
    return {**mapping(text, search_limits.CONFIRM_KEYS, parts), "required": ["seeds"]}
