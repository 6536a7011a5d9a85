"""Durations as people say them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdexp.execution.estimate import Range


def in_words(seconds: float) -> str:
    """Returns a duration in words: ``42 s``, ``3 min 05 s``, ``2 h 10 min``, ``9.1 d``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 72 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole / 86_400:.1f} d"


def range_in_words(seconds: "Range") -> str:
    """Returns a duration that is not known exactly: ``about 3 min 05 s (2 min 10 s to 4 min)``."""
    low, expected, high = map(in_words, (seconds.low, seconds.expected, seconds.high))
    return f"about {expected}" + (
        f" ({low} to {high})" if (low, high) != (expected, expected) else ""
    )


def range_as_json(found: "Range | None") -> dict[str, float] | None:
    """Returns a number that is not known exactly as data of a stable form."""
    if found is None:
        return None
    return {"low": found.low, "expected": found.expected, "high": found.high}
