"""JSON for other programs: sorted, and without numbers that JSON does not have."""

import math
from typing import Any, cast

from qdexp.experiment.identity import canonical_json


def plain_json(value: object) -> str:
    """Returns the JSON of a value; a number that is not finite is null."""
    return canonical_json(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {str(name): _plain(each) for name, each in items}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value
