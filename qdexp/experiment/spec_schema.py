"""The JSON Schema of a spec, for editors: made of the tables that the readers read by.

It says what can be said without reading the whole: names, types, ranges. What it refuses the reader
refuses too; what depends on several parts of a spec only the reader knows.
"""

from qdexp.config.configuration import field_names, value_schema
from qdexp.experiment.ablation_schema import ablation_schema
from qdexp.experiment.schema_parts import Schema
from qdexp.experiment.search_schema import search_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> Schema:
    """Returns the JSON Schema (draft 2020-12) of a spec's file: with a space it is a search's."""
    return {
        "$schema": DIALECT,
        "title": "qdexp spec",
        "description": "One question, and what is run to answer it: an ablation has factors, a "
        "search has a space.",
        "type": "object",
        "if": {"required": ["space"]},
        "then": {"$ref": "#/$defs/search"},
        "else": {"$ref": "#/$defs/ablation"},
        "$defs": {
            "ablation": ablation_schema(),
            "search": search_schema(),
            **{field: value_schema(field) for field in field_names()},
        },
    }
