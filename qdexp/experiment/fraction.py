"""Regular fractions of two-level factorials: generators, resolution and aliases.

A factor is a letter, in the order of the spec, and an effect is a word of letters; as a number,
one bit for each letter, so that the product of two effects is their exclusive or. The baseline is
-1 and the other level is +1 in every column (Box, Hunter and Hunter, Statistics for Experimenters,
2nd edition, chapter 6).
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

MAX_FACTORS = 15
"""Factors of a fraction: the words of its defining relation double with each generated one."""

SHOWN_ORDER = 3
"""Factors in an interaction up to which aliases are listed."""

_ROMAN = "0 I II III IV V VI VII VIII IX X XI XII XIII XIV XV".split()  # noqa: SIM905

_SEARCHED_WORDS = 1_000_000
"""Words that a search for generators may look at: half a second."""


class GeneratorError(Exception):
    """Generators are wrong at a character.

    Args:
        problem: What was expected, what was found.
        offset: The character, from 0.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


@dataclass(frozen=True, kw_only=True)
class Fraction:
    """A fraction that contains the baseline, which decides the signs of its generators.

    Args:
        columns: For each factor, its letter or the word of letters that generates it; as numbers.
    """

    columns: tuple[int, ...]

    @property
    def num_generated(self) -> int:
        """Factors whose levels follow from those of the others: halvings of the full factorial."""
        return sum(column.bit_count() > 1 for column in self.columns)

    @property
    def num_conditions(self) -> int:
        """Conditions of the fraction."""
        return 2 ** (len(self.columns) - self.num_generated)

    @property
    def resolution(self) -> int:
        """Letters of the shortest word of the defining relation."""
        return min(word.bit_count() for word in self._relation)

    @property
    def generators(self) -> str:
        """The generators as pyDOE3 reads them: ``a b c -ab``."""
        letters = [_letters(column) for column in self.columns]
        return " ".join(f"-{word}" if len(word) % 2 == 0 else word for word in letters)

    @property
    def in_words(self) -> str:
        """``fractional 2^(4-1) of resolution IV``."""
        size = f"2^({len(self.columns)}-{self.num_generated})"
        return f"fractional {size} of resolution {_roman(self.resolution)}"

    def is_changed(self) -> list[list[bool]]:
        """Returns, for each condition and factor, whether it is not at the baseline.

        The baseline comes first.
        """
        # It loads all of scipy.stats: most specs have no use for it.
        import pyDOE3  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

        signs: Any = pyDOE3.fracfact(self.generators)  # pyright: ignore[reportUnknownMemberType]
        return [[bool(sign > 0) for sign in row] for row in signs]

    def aliases(self) -> tuple[tuple[str, ...], ...]:
        """Returns the effects that cannot be told apart, each group in a row, as signed words.

        The first of a row has the fewest factors: one or two. Words of more than `SHOWN_ORDER`
        factors are left out. A sign says how the effect adds to the first one's estimate.
        """
        rows: list[tuple[str, ...]] = []
        seen: set[int] = set()
        for effect in _words_of(len(self.columns), 1, 2):
            if effect in seen:
                continue
            group = [(effect, "")] + [
                (effect ^ word, "-" if word.bit_count() % 2 else "") for word in self._relation
            ]
            seen |= {word for word, _ in group}
            group.sort(key=lambda item: (item[0].bit_count(), _letters(item[0])))
            shown = [item for item in group if item[0].bit_count() <= SHOWN_ORDER]
            rows.append(tuple(sign + _letters(word) for word, sign in shown))
        return tuple(rows)

    @property
    def _relation(self) -> list[int]:
        """Words that are constant over the fraction, all but the empty one."""
        words = [0]
        for position, column in enumerate(self.columns):
            if column.bit_count() > 1:
                words += [word ^ column ^ 1 << position for word in words]
        return words[1:]


def read_generators(text: str, num_factors: int) -> Fraction:
    """Reads generators such as ``a b c ab``: a letter or a word of letters for each factor.

    Raises:
        GeneratorError: They are not of that form, or a sign leaves the baseline out.
    """
    entries = list(re.finditer(r"\S+", text))
    if len(entries) != num_factors:
        problem = f"expected a letter or word for each of {num_factors} factors"
        raise GeneratorError(f"{problem}, found {len(entries)}", 0)
    words = [entry[0].lower().lstrip("+-") for entry in entries]
    num_letters = next((i for i, word in enumerate(words) if len(word) != 1), len(words))
    if num_letters == num_factors:
        problem = "expected a factor that others generate, such as `a b ab`, found none: that is "
        raise GeneratorError(problem + "full_factorial", 0)
    columns: list[int] = []
    for position, (entry, word) in enumerate(zip(entries, words, strict=True)):
        problem = _entry_problem(entry[0], word, position, num_letters)
        column = sum(1 << ascii_lowercase.index(letter) for letter in word) if not problem else 0
        if column in columns:
            problem = f"expected different words, found '{word}' for two factors"
        if problem:
            raise GeneratorError(problem, entry.start())
        columns.append(column)
    return Fraction(columns=tuple(columns))


def smallest_fraction(num_factors: int, resolution: int) -> Fraction | None:
    """Returns the smallest fraction of at least a resolution, or None if only all will do.

    Among those of one size it is that of least aberration: the fewest of the shortest words of the
    defining relation, then of the next (Fries and Hunter, 1980, Technometrics 22). pyDOE3's own
    `fracfact_by_res` does not look at products of generators: (7, 5) gives resolution IV.
    """
    for num_letters in range(2, num_factors):
        found = _Search(num_factors, num_letters, resolution).best()
        if found is not None:
            return found
    return None


class _Search:
    """Tries sets of generators, each word longer or later in the alphabet than the one before."""

    def __init__(self, num_factors: int, num_letters: int, resolution: int) -> None:
        self._num_generated = num_factors - num_letters
        self._num_letters = num_letters
        self._resolution = resolution
        self._candidates = list(_words_of(num_letters, resolution - 1, num_letters))
        self._looked_at = 0
        self._best: tuple[list[int], list[int]] | None = None

    def best(self) -> Fraction | None:
        self._extend([], [0], 0)
        if self._best is None:
            return None
        letters = [1 << i for i in range(self._num_letters)]
        return Fraction(columns=(*letters, *self._best[1]))

    def _extend(self, chosen: list[int], relation: list[int], first: int) -> None:
        if len(chosen) == self._num_generated:
            lengths = [word.bit_count() for word in relation]
            pattern = [lengths.count(n) for n in range(1, max(lengths) + 1)]
            if self._best is None or pattern < self._best[0]:
                self._best = pattern, chosen
            return
        own_letter = 1 << self._num_letters + len(chosen)
        for position in range(first, len(self._candidates)):
            if self._looked_at > _SEARCHED_WORDS:
                return
            self._looked_at += len(relation)
            column = self._candidates[position]
            new = [word ^ column ^ own_letter for word in relation]
            if min(word.bit_count() for word in new) >= self._resolution:
                self._extend([*chosen, column], relation + new, position + 1)


def _entry_problem(written: str, word: str, position: int, num_letters: int) -> str:
    """Returns what is wrong with one of the generators, or nothing."""
    letters = ascii_lowercase[:num_letters]
    if position < num_letters:
        if written.lower() == letters[position]:
            return ""
        return f"expected '{letters[position]}' for factor {position + 1}, found '{written}'"
    is_word = len(word) > 1 and len(set(word)) == len(word) and set(word) <= set(letters)
    if not is_word or not re.fullmatch(r"[-+]?[a-z]+", written.lower()):
        problem = f"expected a word of two or more of the letters {' '.join(letters)}, each once"
        return f"{problem}, after all single letters, found '{written}'"
    sign = "-" if len(word) % 2 == 0 else "+"
    if written[0] in "+-" and written[0] != sign:
        problem = "expected a fraction that contains the baseline, which is -1 in every column"
        return f"{problem}, found '{written}': write {sign}{word}, or {word} without a sign"
    return ""


def _words_of(num_letters: int, shortest: int, longest: int) -> Iterator[int]:
    """Yields the words of some of the first letters, shorter ones first, each in the alphabet."""
    for length in range(shortest, longest + 1):
        for letters in itertools.combinations(range(num_letters), length):
            yield sum(1 << letter for letter in letters)


def _letters(word: int) -> str:
    return "".join(letter for i, letter in enumerate(ascii_lowercase) if word >> i & 1)


def _roman(number: int) -> str:
    return _ROMAN[number] if number < len(_ROMAN) else str(number)
