"""The boundary to trainables: what they report is made plain, or refused by name.

A trainable may be anyone's. Past this boundary every number is Python's own, every text can be
written anywhere, and everything is JSON.
"""

import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from qdexp.results.outcome import Array, Failure, FailureKind, Outcome, Progress, Series

_LARGEST = 2**53
"""Whole numbers below it are exact everywhere, and leave room for a timestamp in 64 bits."""

_LINE_CHARACTERS = 2_000
_TEXT_CHARACTERS = 50_000


def plain_progress(report: Progress) -> Progress:
    """Returns the same progress in plain numbers.

    Raises:
        TypeError: Something in it is not what it should be; the message names it.
    """
    return Progress(
        step=_whole("step", report.step),
        num_steps=_whole("num_steps", report.num_steps),
        measurements=_measurements(report.measurements),
        gpu_memory_bytes=None
        if report.gpu_memory_bytes is None
        else _whole("gpu_memory_bytes", report.gpu_memory_bytes),
        earlier={name: _points(name, each) for name, each in _items("earlier", report.earlier)},
    )


def plain_outcome(report: object) -> Outcome:
    """Returns the same outcome in plain numbers and text.

    Raises:
        TypeError: It is none, or something in it is not what it should be; the message names it.
        ValueError: Its parts contradict each other.
    """
    if not isinstance(report, Outcome):
        raise TypeError(f"expected Progress or an Outcome, found {_kind_of(report)}")
    return Outcome(
        trial_id=_text("trial_id", report.trial_id),
        status=report.status,
        step=_whole("step", report.step),
        measurements=_measurements(report.measurements),
        history={name: _series(name, each) for name, each in _items("history", report.history)},
        arrays={name: _array(name, each) for name, each in _items("arrays", report.arrays)},
        warnings=tuple(
            one_line(_text("a warning", each)) for each in _sequence("warnings", report.warnings)
        ),
        failure=None if report.failure is None else _failure(report.failure),
        provenance=_provenance(report.provenance),
    )


def one_line(text: str) -> str:
    """Returns a text of limited length, with U+FFFD for what a terminal would not print."""
    cut = text[:_LINE_CHARACTERS]
    return "".join(each if each.isprintable() else "\ufffd" for each in cut)


def several_lines(text: str) -> str:
    """Returns the end of a text, where a traceback has its reason, with its lines kept."""
    cut = text[-_TEXT_CHARACTERS:]
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in cut)


def _whole(what: str, value: object) -> int:
    try:
        number = int(operator.index(value))  # pyright: ignore[reportArgumentType]
    except Exception:  # noqa: BLE001  whatever its class does, it is no number
        raise TypeError(f"expected {what} as a whole number, found {_kind_of(value)}") from None
    if not 0 <= number < _LARGEST:
        raise TypeError(f"expected {what} from 0 to below 2**53, found one out of this range")
    return number


def _number(what: str, value: object) -> float:
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)  # pyright: ignore[reportArgumentType]
    except Exception:  # noqa: BLE001  whatever its class does, it is no number
        raise TypeError(f"expected {what} as a number, found {_kind_of(value)}") from None


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected {what} as text, found {_kind_of(value)}")
    return value


def _sequence(what: str, value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected {what} as a tuple, found {_kind_of(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


def _items(what: str, value: object) -> Sequence[tuple[str, Any]]:
    """Returns the items of a mapping from names that can be printed."""
    if not isinstance(value, Mapping):
        raise TypeError(f"expected {what} by name, found {_kind_of(value)}")
    items: list[tuple[Any, Any]] = list(value.items())  # pyright: ignore
    for name, _ in items:
        if not _text(f"a name in {what}", name).isprintable():
            raise TypeError(f"expected printable names in {what}, found '{one_line(name)}'")
    return items


def _measurements(value: object) -> dict[str, float]:
    return {name: _number(name, each) for name, each in _items("measurements", value)}


def _points(name: str, value: object) -> list[tuple[int, float]]:
    pairs = [_sequence(f"an earlier value of {name}", each) for each in _sequence(name, value)]
    if any(len(pair) != 2 for pair in pairs):
        raise TypeError(f"expected earlier values of {name} as (step, value)")
    return [
        (_whole(f"a step of {name}", step), _number(f"a value of {name}", number))
        for step, number in pairs
    ]


def _series(name: str, value: object) -> Series:
    if not isinstance(value, Series):
        raise TypeError(f"expected the history of {name} as a Series, found {_kind_of(value)}")
    steps, values = _sequence(f"{name}'s steps", value.steps), _sequence(name, value.values)
    return Series(
        steps=tuple(_whole(f"a step of {name}", each) for each in steps),
        values=tuple(_number(f"a value of {name}", each) for each in values),
    )


def _array(name: str, value: object) -> Array:
    if not isinstance(value, Array):
        raise TypeError(f"expected {name} as an Array, found {_kind_of(value)}")
    shape, values = _sequence(f"{name}'s shape", value.shape), _sequence(name, value.values)
    return Array(
        shape=tuple(_whole(f"a length of {name}", each) for each in shape),
        values=tuple(_number(f"a value of {name}", each) for each in values),
    )


def _failure(value: object) -> Failure:
    if not isinstance(value, Failure):
        raise TypeError(f"expected a Failure, found {_kind_of(value)}")
    if value.kind not in (None, *get_args(FailureKind)):
        raise TypeError(f"expected a kind of failure, found {_kind_of(value.kind)}")
    return Failure(
        reason=one_line(_text("the failure's reason", value.reason)),
        kind=value.kind,
        step=None if value.step is None else _whole("the failure's step", value.step),
        traceback=several_lines(_text("the failure's traceback", value.traceback)),
    )


def _provenance(value: object) -> dict[str, Any]:
    items = dict(_items("provenance", value))
    try:
        text = json.dumps(items, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"expected provenance as JSON: {error}") from None
    return json.loads(text.encode(errors="replace"))


def _kind_of(value: object) -> str:
    return type(value).__name__
