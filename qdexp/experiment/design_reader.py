# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `design:` of a spec and its options to a design over its axes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from qdexp.experiment.designs import (
    Design,
    FractionalFactorial,
    FullFactorial,
    LeaveOneOut,
    Listed,
    OneAtATime,
)
from qdexp.experiment.document import Document
from qdexp.experiment.factor import Axis
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.fraction import (
    MAX_FACTORS,
    Fraction,
    GeneratorError,
    read_generators,
    smallest_fraction,
)

DEFAULT_DESIGN = "full_factorial"
DEFAULT_RESOLUTION = 4
"""Main effects are clear of each other and of interactions of two factors."""


def read_design(document: Document, fields: FieldReader, axes: Sequence[Axis]) -> Design:
    """Reads and checks which design a spec wants over its axes.

    Raises:
        SpecError: The design or an option of it is wrong, or does not fit the factors.
    """
    return _DesignReader(document, fields, axes).design()


class _DesignReader:
    """Every method returns a part or raises at its place."""

    def __init__(self, document: Document, fields: FieldReader, axes: Sequence[Axis]) -> None:
        self._document = document
        self._content = document.content
        self._fields = fields
        self._axes = axes
        self._varied = [axis for axis in axes if axis.is_varied]

    def design(self) -> Design:
        designs: Mapping[str, Callable[[], Design]] = {
            "full_factorial": lambda: FullFactorial(axes=self._varied),
            "one_at_a_time": lambda: OneAtATime(axes=self._varied),
            "leave_one_out": self._leave_one_out,
            "fractional_factorial": self._fractional_factorial,
            "listed": self._listed,
        }
        name = self._content.get("design", DEFAULT_DESIGN)
        if not isinstance(name, str) or name not in designs:
            *first, last = designs
            self._fail(f"design: expected {', '.join(first)} or {last}, found {name!r}", "design")
        self._refuse_options_of_others(name)
        return designs[name]()

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _refuse_options_of_others(self, name: str) -> None:
        for key in ("resolution", "generators"):
            if key in self._content and name != "fractional_factorial":
                problem = f"{key}: expected it with `design: fractional_factorial` only, found it "
                raise self._document.key_error(f"{problem}with {name}", (key,))
        for field, content in self._content["factors"].items():
            if "full" in content and name != "leave_one_out":
                problem = f"{field}: expected `full` with `design: leave_one_out` only, found it "
                path = ("factors", field, "full")
                raise self._document.key_error(f"{problem}with {name}", path)

    def _leave_one_out(self) -> Design:
        for axis in self._varied:
            if axis.full is None:
                field = axis.fields[0]
                problem = f"{field}: expected `full:`, the level that it has while others are left "
                problem += f"out, found none among {len(axis.levels)} levels"
                raise self._document.key_error(problem, ("factors", field))
        if len(self._varied) < 2:
            problem = "expected two or more factors, of which one is left out and others stay"
            self._fail(f"design: {problem}, found {len(self._varied)}", "design")
        return LeaveOneOut(axes=self._varied)

    def _listed(self) -> Design:
        if not self._content.get("conditions"):
            problem = "expected `conditions:`, which this design compares with the baseline"
            raise self._document.key_error(f"design: {problem}, found none", ("design",))
        if "where" in self._content:
            problem = "expected no `where` where conditions are listed one by one, found it: leave "
            problem += "out what it would refuse"
            raise self._document.key_error(f"where: {problem}", ("where",))
        return Listed(axes=self._axes)

    def _fractional_factorial(self) -> Design:
        self._check_two_levels()
        if len(self._varied) > MAX_FACTORS:
            problem = f"expected at most {MAX_FACTORS} factors in a fraction"
            self._fail(f"factors: {problem}, found {len(self._varied)}", "factors")
        if "generators" not in self._content:
            return FractionalFactorial(axes=self._varied, fraction=self._of_resolution())
        if "resolution" in self._content:
            problem = "expected either resolution or generators, found both"
            raise self._document.key_error(f"generators: {problem}", ("generators",))
        return FractionalFactorial(axes=self._varied, fraction=self._generated())

    def _check_two_levels(self) -> None:
        for axis in self._varied:
            field, path = axis.fields[0], ("factors", axis.fields[0])
            if len(axis.levels) != 2:
                problem = "expected two levels in a fractional factorial"
                found = f"{field}: {problem}, found {len(axis.levels)}"
                self._fail(found, *path, "levels")
            if axis.factors[0].when is not None:
                problem = f"{field}: expected a factor that acts in every condition of a fraction, "
                problem += "found `when`: use full_factorial"
                raise self._document.key_error(problem, (*path, "when"))

    def _of_resolution(self) -> Fraction:
        wanted = self._content.get("resolution", DEFAULT_RESOLUTION)
        if type(wanted) is not int or wanted < 3:
            problem = f"resolution: expected a whole number from 3, found {wanted!r}"
            self._fail(problem, "resolution")
        fraction = smallest_fraction(len(self._varied), wanted)
        if fraction is None:
            key = "resolution" if "resolution" in self._content else "design"
            problem = f"{key}: expected at least {max(wanted, 3)} factors for a fraction of "
            problem += f"resolution {wanted}, found {len(self._varied)}"
            self._fail(f"{problem}: use full_factorial", key)
        return fraction

    def _generated(self) -> Fraction:
        text = self._content["generators"]
        if not isinstance(text, str):
            problem = f"generators: expected letters such as a b c ab, found {text!r}"
            self._fail(problem, "generators")
        try:
            return read_generators(text, len(self._varied))
        except GeneratorError as error:
            problem = f"generators: {error.problem}"
            raise self._fields.error_inside(problem, text, ("generators",), error.offset) from None


def design_name(content: Mapping[str, Any]) -> str:
    """Returns which design a checked spec names."""
    return str(content.get("design", DEFAULT_DESIGN))
