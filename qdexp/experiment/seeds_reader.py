"""Reads which seeds a spec asks for: a number, a list, or as many as it takes."""

from dataclasses import dataclass
from typing import Any

from qdexp.experiment.document import Document
from qdexp.experiment.looks import Looks, looks_between

MAX_SEEDS = 1000
LEAST_JUDGED = 2
"""Seeds from which a difference has an uncertainty."""

DEFAULT_SEEDS = 3
DEFAULT_MOST = 12
"""Seeds of the last look, unless `max` is given."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The replicates of an experiment.

    Args:
        all: Every seed that may be asked for, all different.
        looks: When it is judged whether more of them are needed; None where all are asked for.
    """

    all: tuple[int, ...]
    looks: Looks | None = None


def read_seeds(document: Document, num_seeds: int | None, default: int = DEFAULT_SEEDS) -> Seeds:
    """Returns the seeds of a spec.

    Args:
        document: The spec.
        num_seeds: A number over the spec's own, or None.
        default: The number where it says none.

    Raises:
        SpecError: They are none of what they may be.
    """
    if num_seeds is not None:
        return Seeds(all=tuple(range(num_seeds)))
    written: Any = document.content.get("seeds", default)
    if isinstance(written, dict):
        return _until_decided(document)
    if type(written) is int and 1 <= written <= MAX_SEEDS:
        return Seeds(all=tuple(range(written)))
    listed: list[Any] = list(written) if isinstance(written, list) else []  # pyright: ignore[reportUnknownArgumentType]
    are_valid = all(type(seed) is int and seed >= 0 for seed in listed)
    if not listed or not are_valid or len(set(listed)) != len(listed):
        expected = (
            f"a number of seeds from 1 to {MAX_SEEDS}, a list of different seeds from 0, or "
            "{until_decided: true, min: 3, max: 12}"
        )
        raise document.error(f"seeds: expected {expected}, found {written!r}", ("seeds",))
    return Seeds(all=tuple(listed))


def _until_decided(document: Document) -> Seeds:
    content = document.mapping(("seeds",), ("until_decided", "min", "max"))
    if content.get("until_decided") is not True:
        is_there = "until_decided" in content
        found = repr(content["until_decided"]) if is_there else "none"
        problem = f"until_decided: expected true, found {found}; a fixed number is `seeds: 3`"
        raise document.error(problem, ("seeds", "until_decided") if is_there else ("seeds",))
    least = _number(document, content, "min", DEFAULT_SEEDS, LEAST_JUDGED)
    most = _number(document, content, "max", max(DEFAULT_MOST, least + 1), least + 1)
    looks = looks_between(least, most)
    return Seeds(all=tuple(range(most)), looks=looks)


def _number(
    document: Document, content: dict[str, Any], name: str, default: int, least: int
) -> int:
    value = content.get(name, default)
    if type(value) is not int or not least <= value <= MAX_SEEDS:
        problem = f"{name}: expected a number of seeds from {least} to {MAX_SEEDS}, found {value!r}"
        raise document.error(problem, ("seeds", name) if name in content else ("seeds",))
    return value
