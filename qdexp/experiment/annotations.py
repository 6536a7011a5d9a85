"""What a type annotation says of a field's values, for comparisons in `where`."""

import types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

ANY_KIND = "value of several kinds"

KINDS: dict[type, str] = {bool: "truth value", int: "number", float: "number", str: "text"}
"""What a field's value is called where fields are compared."""

_KINDS = KINDS | {list: "list", tuple: "list", Sequence: "list"}


def kind_of(annotation: object) -> str:
    """Returns what a field holds, None aside: one of `KINDS`, `list`, or `ANY_KIND`."""
    types_: list[Any] = [type(each) if is_value else each for each, is_value in _parts(annotation)]
    kinds = {_KINDS.get(each, ANY_KIND) for each in types_ if each not in (None, type(None))}
    return kinds.pop() if len(kinds) == 1 else ANY_KIND


def choices_of(annotation: object) -> tuple[str, ...]:
    """Returns the texts that a field may have, if it can be nothing else than one of them."""
    parts = [(each, is_value) for each, is_value in _parts(annotation) if each is not type(None)]
    texts = tuple(each for each, is_value in parts if is_value and isinstance(each, str))
    return texts if len(texts) == len(parts) else ()


def _parts(annotation: object) -> Iterator[tuple[Any, bool]]:
    """Yields the types, and the single values, that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _parts(each)
    elif origin is Literal:
        for value in get_args(annotation):
            yield (value.value if isinstance(value, Enum) else value), True
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        for member in annotation:
            yield member.value, True
    else:
        yield origin or annotation, False
