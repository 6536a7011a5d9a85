"""Fractions are what the literature and pyDOE3 say they are, and contain the baseline."""

import itertools
import re
import string

import numpy as np
import pyDOE3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdexp.experiment.fraction import GeneratorError, read_generators, smallest_fraction

# Box, Hunter and Hunter, Statistics for Experimenters, 2nd edition, chapter 6: number of factors,
# resolution that is wanted, conditions of the smallest such fraction, its resolution.
PUBLISHED = [
    (3, 3, 4, 3), (5, 3, 8, 3), (6, 3, 8, 3), (7, 3, 8, 3), (9, 3, 16, 3), (10, 3, 16, 3),
    (11, 3, 16, 3), (4, 4, 8, 4), (6, 4, 16, 4), (7, 4, 16, 4), (8, 4, 16, 4), (9, 4, 32, 4),
    (10, 4, 32, 4), (11, 4, 32, 4), (5, 5, 16, 5), (6, 5, 32, 6), (7, 5, 64, 7), (8, 5, 64, 5),
    (9, 5, 128, 6), (10, 5, 128, 5), (11, 5, 128, 5),
]  # fmt: skip


@pytest.mark.parametrize(("num_factors", "wanted", "num_conditions", "resolution"), PUBLISHED)
def test_smallest_fraction_is_the_published_one(
    num_factors: int, wanted: int, num_conditions: int, resolution: int
) -> None:
    fraction = smallest_fraction(num_factors, wanted)
    assert fraction is not None
    assert (fraction.num_conditions, fraction.resolution) == (num_conditions, resolution)


@pytest.mark.parametrize(("num_factors", "shortest"), [(9, 6), (10, 10), (7, 7)])
def test_fraction_has_the_least_aberration(num_factors: int, shortest: int) -> None:
    """The number of words of four letters is that of the published designs."""
    fraction = smallest_fraction(num_factors, 4)
    assert fraction is not None
    signs = np.array(fraction.is_changed()) * 2 - 1
    words = itertools.combinations(range(num_factors), 4)
    assert sum(abs(np.prod(signs[:, word], axis=1).sum()) == len(signs) for word in words) == (
        shortest
    )


@pytest.mark.parametrize(("num_factors", "resolution"), [(2, 3), (3, 4), (4, 5)])
def test_there_is_no_fraction_of_too_few_factors(num_factors: int, resolution: int) -> None:
    assert smallest_fraction(num_factors, resolution) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(3, n))))
def test_aliases_are_those_of_the_library(numbers: tuple[int, int]) -> None:
    fraction = smallest_fraction(*numbers)
    assert fraction is not None
    signs = np.array(fraction.is_changed()) * 2.0 - 1
    listed, _ = pyDOE3.fracfact_aliasing(signs)
    theirs = {frozenset(row.split(" = ")) for row in listed}
    columns = dict(zip(string.ascii_lowercase, signs.T, strict=False))
    for row in fraction.aliases():
        words = [word.lstrip("-") for word in row]
        (group,) = [names for names in theirs if words[0] in names]
        products = [np.prod([columns[letter] for letter in word], axis=0) for word in words]
        for word, product in zip(row, products, strict=True):
            # An effect that is told apart by nothing but its sign is an alias with that sign; the
            # library looks for equal columns only.
            sign = -1 if word.startswith("-") else 1
            np.testing.assert_array_equal(product, sign * products[0])
        same_sign = {w for w in row if not w.startswith("-")}
        assert same_sign == {w for w in group if len(w) <= 3}


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(3, n))))
def test_fraction_begins_with_the_baseline_and_is_balanced(numbers: tuple[int, int]) -> None:
    fraction = smallest_fraction(*numbers)
    assert fraction is not None
    rows = fraction.is_changed()
    assert not any(rows[0])
    assert len({tuple(row) for row in rows}) == len(rows) == fraction.num_conditions
    assert all(sum(column) * 2 == len(rows) for column in zip(*rows, strict=True))


def test_signs_follow_from_the_baseline() -> None:
    fraction = read_generators("a b c ab ABC", 5)
    assert fraction.generators == "a b c -ab abc"
    assert fraction.resolution == 3
    assert read_generators("a b c -ab +abc", 5) == fraction


def test_aliases_of_a_half_fraction_of_resolution_four() -> None:
    assert read_generators("a b c abc", 4).aliases() == (
        ("a", "bcd"), ("b", "acd"), ("c", "abd"), ("d", "abc"),
        ("ab", "cd"), ("ac", "bd"), ("ad", "bc"),
    )  # fmt: skip


def test_an_alias_has_the_sign_with_which_it_adds() -> None:
    assert read_generators("a b ab", 3).aliases() == (("a", "-bc"), ("b", "-ac"), ("c", "-ab"))


@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ("a b ab", 0, "for each of 4 factors, found 3"),
        ("a b c d", 0, "found none: that is full_factorial"),
        ("a c b abc", 2, "expected 'b' for factor 2, found 'c'"),
        ("a b ab c", 7, "of the letters a b, each once, after all single letters, found 'c'"),
        ("a b c abd", 6, "of the letters a b c, each once"),
        ("a b c aab", 6, "found 'aab'"),
        ("a b ab ba", 7, "expected different words, found 'ba' for two factors"),
        ("a b c --ab", 6, "found '--ab'"),
        ("a b c +ab", 6, "contains the baseline, which is -1 in every column, found '+ab': write"),
        ("a b c -abc", 6, "write +abc, or abc without a sign"),
        ("a b c a*b", 6, "found 'a*b'"),
        ("-a b c abc", 0, "expected 'a' for factor 1, found '-a'"),
        ("ab a b c", 0, "found 'ab'"),
    ],
)
def test_wrong_generators_are_refused_where_they_are_wrong(
    text: str, offset: int, problem: str
) -> None:
    with pytest.raises(GeneratorError, match=re.escape(problem)) as caught:
        read_generators(text, 4)
    assert caught.value.offset == offset
