# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""Reads what a derived spec says of where it comes from: `confirms` a search, or walks a `path`."""

from collections.abc import Mapping
from typing import Any, NoReturn

from qdexp.experiment.document import Document, Path
from qdexp.experiment.factor import Factor
from qdexp.experiment.grid import Grid

ORIGIN_KEYS = ("confirms", "path")

CONFIRMS_KEYS = ("search", "suggestions")
PATH_KEYS = ("search", "suggestion", "racing", "seeds", "rounds")
ROUND_KEYS = ("candidates", "kept")


def read_origin(document: Document, grid: Grid, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Returns what the ledger keeps of a derived spec's origin: nothing for all other specs.

    Args:
        document: The spec.
        grid: What it varies: conditions are listed in derived ones.
        seeds: Its seeds.

    Raises:
        SpecError: Something in it is not as qdexp writes it.
    """
    origin = {key: document.content[key] for key in ORIGIN_KEYS if key in document.content}
    reader = _OriginReader(document, {each.field: each for each in grid.factors}, seeds)
    for key in origin:
        if grid.design != "listed":
            problem = f"{key}: expected it with `design: listed` only, found it with {grid.design}"
            raise document.key_error(problem, (key,))
        reader.check(key)
    return origin


class _OriginReader:
    """Every method accepts a part or raises at its place."""

    def __init__(
        self, document: Document, factors: Mapping[str, Factor], seeds: tuple[int, ...]
    ) -> None:
        self._document = document
        self._seeds = seeds
        self._factors = factors

    def check(self, key: str) -> None:
        if key == "confirms":
            content = self._document.mapping((key,), CONFIRMS_KEYS)
            self._check_name(content, key)
            self._check_numbers(content)
            self._check_fresh()
        else:
            content = self._document.mapping((key,), PATH_KEYS)
            if "search" in content:
                self._check_name(content, key)
            self._check_suggestion(content)
            self._check_rules(content)
            self._check_rounds(content)

    def _fail(self, problem: str, path: Path) -> NoReturn:
        raise self._document.error(problem, path)

    def _check_name(self, content: Mapping[str, Any], key: str) -> None:
        name = content.get("search")
        if not isinstance(name, str):
            self._fail(f"search: expected a search's name, found {name!r}", (key, "search"))

    def _check_numbers(self, content: Mapping[str, Any]) -> None:
        path = ("confirms", "suggestions")
        numbers: Any = content.get("suggestions")
        num_conditions = len(self._document.content["conditions"])
        are_numbers = isinstance(numbers, list) and all(type(each) is int for each in numbers)
        if not are_numbers or len(numbers) != num_conditions:
            problem = f"suggestions: expected the number of each of the {num_conditions} conditions"
            self._fail(f"{problem}, found {numbers!r}", path)

    def _check_fresh(self) -> None:
        """Refuses another number of seeds, which would begin with those that the search had."""
        written: Any = self._document.content.get("seeds")
        if isinstance(written, list) and tuple(written) != self._seeds:
            problem = f"seeds: expected those that the search has not seen, {written}, found "
            problem += f"{list(self._seeds)} by --seeds: `confirm` in the search's spec says how "
            self._fail(f"{problem}many there are", ("seeds",))

    def _check_suggestion(self, content: Mapping[str, Any]) -> None:
        number = content.get("suggestion", 0)
        if type(number) is not int or number < 0:
            problem = "suggestion: expected the number of the search's that the path leads to"
            self._fail(f"{problem}, found {number!r}", ("path", "suggestion"))

    def _check_rules(self, content: Mapping[str, Any]) -> None:
        if not isinstance(content.get("racing"), bool):
            problem = f"racing: expected true or false, found {content.get('racing')!r}"
            self._fail(problem, ("path", "racing"))
        seeds: Any = content.get("seeds")
        listed: list[Any] = seeds if isinstance(seeds, list) else []
        are_seeds = all(type(each) is int and each >= 0 for each in listed)
        are_different = are_seeds and len(set(listed)) == len(listed)
        if not are_different or tuple(listed[: len(self._seeds)]) != self._seeds:
            problem = "seeds: expected all seeds of the path, of which the spec's are the first"
            self._fail(f"{problem}, found {seeds!r}", ("path", "seeds"))

    def _check_rounds(self, content: Mapping[str, Any]) -> None:
        for field, factor in self._factors.items():
            if len(factor.levels) != 2:
                problem = f"{field}: expected the baseline's level and the winner's on a path"
                problem += f", found {len(factor.levels)}"
                self._fail(problem, ("factors", field, "levels"))
        rounds = content.get("rounds")
        if not isinstance(rounds, list) or not rounds:
            expected = "rounds: expected a list of {candidates: [[field, ...], ...], kept: [field]}"
            self._fail(f"{expected}, found {rounds!r}", ("path", "rounds"))
        left = set(self._factors)
        for number in range(len(rounds)):
            left -= self._round(number, left, is_last=number == len(rounds) - 1)

    def _round(self, number: int, left: set[str], *, is_last: bool) -> set[str]:
        """Returns what the round kept."""
        path: Path = ("path", "rounds", number)
        content = self._document.mapping(path, ROUND_KEYS)
        candidates = content.get("candidates")
        are_fields = isinstance(candidates, list) and all(
            isinstance(each, list) and each and left.issuperset(map(str, each))
            for each in candidates
        )
        if not are_fields or not candidates:
            problem = "candidates: expected lists of factors that were not kept before"
            self._fail(f"{problem}, found {candidates!r}", (*path, "candidates"))
        kept: Any = content.get("kept")
        if kept is None and is_last:
            return set()
        if kept not in candidates:
            problem = "kept: expected one of the candidates in every round but the last"
            self._fail(f"{problem}, found {kept!r}", (*path, "kept"))
        return set(content["kept"])
