"""Which values come back from JSON as they went."""

import math
from collections.abc import Mapping

from qdexp.errors import ConfigurationError


def refuse_what_json_loses(field: str, value: object) -> None:
    """Refuses numbers that are none, and values whose order or text is not their own.

    Raises:
        ConfigurationError: There is one.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(
            f"{field}: expected a finite number, found {value}: let None stand for it"
        )
    if isinstance(value, set | frozenset):
        raise ConfigurationError(
            f"{field}: expected a list or a tuple, found a set, which has no order"
        )
    if isinstance(value, bytes | bytearray):
        raise ConfigurationError(f"{field}: expected text, found bytes")
    if isinstance(value, Mapping):
        inner: list[tuple[object, object]] = list(value.items())  # pyright: ignore
        for key, each in inner:
            refuse_what_json_loses(f"{field}[{key!r}]", each)
    if isinstance(value, list | tuple):
        items: list[object] = list(value)  # pyright: ignore
        for index, each in enumerate(items):
            refuse_what_json_loses(f"{field}[{index}]", each)
