"""Findings as plain data: what JSON can hold, under the names that the code has."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qdexp_analysis.contrasts import Scores


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """Returns dataclasses as dicts, arrays as lists, and a number that is not finite as None."""
    if value is None or type(value) in (str, int, bool):  # first, since they are most of all
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Scores):
        return {"by_seed": plain(value.means), "diverged": plain(value.diverged)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)
