# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From a design to the conditions that are compared, each resolved and unlike all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, nearest
from qdexp.experiment.design_size import DesignSize, size_of
from qdexp.experiment.designs import Design, FractionalFactorial, LeaveOneOut, baseline_condition
from qdexp.experiment.document import Document
from qdexp.experiment.factor import Axis
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.identity import digest
from qdexp.experiment.trial import Condition, condition_label, with_effect
from qdexp.experiment.where import Predicate

DEFAULT_MAX_TRIALS = 1_000
"""Trials that a spec may ask for unless the command line allows more.

An experiment of ours has 4 to 27; a slip, such as steps of 1 in a range, has thousands.
"""

MAX_COMBINATIONS = 100_000
"""Combinations that `where` and `when` may choose from: each is looked at."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The conditions of an experiment.

    Args:
        conditions: Each with its configuration: the design's in its order, then the spec's own.
        baseline: The one that the others are compared with.
        full: The one that factors are left out of, where the design is that.
        own: Those that the spec lists itself.
        size: How many there are, and why.
    """

    conditions: tuple[tuple[Condition, Settings], ...]
    baseline: Condition
    full: Condition | None
    own: tuple[Condition, ...]
    size: DesignSize


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How large an experiment may be.

    Args:
        num_seeds: Trials of each condition.
        max_trials: The most trials.
    """

    num_seeds: int
    max_trials: int


class ConditionReader:
    """Every method returns a part or raises a SpecError at its place.

    Args:
        document: The spec.
        fields: Reads the fields that it may name.
        axes: What it varies.
        design: What makes conditions of them.
        base: The configuration before a condition's levels.
    """

    def __init__(
        self,
        document: Document,
        fields: FieldReader,
        axes: Sequence[Axis],
        design: Design,
        base: Settings,
    ) -> None:
        self._document = document
        self._content = document.content
        self._fields = fields
        self._axes = axes
        self._factors = [factor for axis in axes for factor in axis.factors]
        self._design = design
        self._base = base
        self._fixed = base.fields()
        self._baseline = baseline_condition(axes)
        self._acts = {
            f.field: fields.predicate(f.when, ("factors", f.field, "when"))
            for f in self._factors
            if f.when is not None
        }

    def compared(self, limit: Limit) -> Compared:
        """Makes the spec's conditions and checks them.

        Raises:
            SpecError: They are too many, or one is not allowed, or not different from another.
        """
        written = self._written()
        size = size_of(self._design, num_factors=len(self._axes), num_own=len(written))
        self._check_size(size, limit)
        distinct = self._distinct()
        size = replace(size, num_coinciding=size.num_combinations - len(distinct))
        kept = self._kept(distinct)
        size = replace(size, num_left_out=len(distinct) - len(kept))
        own = self._own(written, kept)
        self._check_acting([*distinct, *own])
        self._check_trials(size, limit)
        resolved = tuple(
            (condition, self._resolved(condition, index - len(kept)))
            for index, condition in enumerate((*kept, *own))
        )
        self._check_different(resolved, len(kept))
        return Compared(
            conditions=resolved,
            baseline=self._acting(self._baseline),
            full=self._full(),
            own=tuple(own),
            size=size,
        )

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _check_size(self, size: DesignSize, limit: Limit) -> None:
        """Refuses a design that is too large before it is made."""
        may_shrink = "where" in self._content or bool(self._acts)
        if not may_shrink:
            self._check_trials(size, limit)
        most = max(MAX_COMBINATIONS, limit.max_trials)
        if size.num_combinations > most:
            problem = f"expected at most {most:,} combinations of levels to choose from"
            words = size.in_words(limit.num_seeds)
            self._fail(f"factors: {problem}, found {words}: vary less", "factors")

    def _check_trials(self, size: DesignSize, limit: Limit) -> None:
        num_trials = size.num_conditions * limit.num_seeds
        if num_trials > limit.max_trials:
            problem = f"factors: expected at most {limit.max_trials:,} trials, found "
            problem += f"{num_trials:,} ({size.in_words(limit.num_seeds)}): vary less, or allow "
            self._fail(f"{problem}them by --max-trials {num_trials}", "factors")

    def _distinct(self) -> list[Condition]:
        """Returns the design's conditions, those that coincide once."""
        found: dict[tuple[tuple[str, str], ...], Condition] = {}
        for made in self._design.conditions():
            condition = self._acting(made)
            found.setdefault(_key(condition), condition)
        return list(found.values())

    def _full(self) -> Condition | None:
        if not isinstance(self._design, LeaveOneOut):
            return None
        return self._acting(self._design.full_condition())

    def _kept(self, conditions: Sequence[Condition]) -> list[Condition]:
        """Returns the conditions that `where` keeps."""
        holds = self._where()
        kept = [each for each in conditions if holds(self._all_fields(each))]
        if not kept:
            problem = f"expected to keep a condition, found that it refuses all {len(conditions)}"
            self._fail(f"where: {problem}", "where")
        for name, needed in (
            ("baseline", self._acting(self._baseline)),
            ("full condition", self._full()),
        ):
            if needed is not None and needed not in kept:
                problem = f"expected to keep the {name} ({condition_label(needed)})"
                self._fail(f"where: {problem}, found it refused", "where")
        num_refused = len(conditions) - len(kept)
        if num_refused and isinstance(self._design, FractionalFactorial):
            problem = "expected a fraction to stay whole, since its factors' effects need all of it"
            found = f"found {num_refused} of its {len(conditions)} conditions refused"
            self._fail(f"where: {problem}, {found}: use full_factorial", "where")
        return kept

    def _where(self) -> Predicate:
        text = self._content.get("where")
        return (lambda _: True) if text is None else self._fields.predicate(text, ("where",))

    def _all_fields(self, condition: Condition) -> dict[str, Any]:
        return {**self._fixed, **self._baseline, **condition}

    def _acting(self, condition: Condition) -> Condition:
        """Returns a condition of the factors that act in it; the others have their baseline.

        One that is set back may take another with it: this goes on until nothing changes.
        """
        complete = {**self._baseline, **condition}
        idle: set[str] = set()
        while self._acts:
            fields = {**self._fixed, **complete}
            found = {field for field, acts in self._acts.items() if not acts(fields)} - idle
            if not found:
                break
            idle |= found
            complete |= {field: self._baseline[field] for field in found}
        return {f.field: complete[f.field] for f in self._factors if f.field not in idle}

    def _check_acting(self, conditions: Sequence[Condition]) -> None:
        """Refuses a conditional factor of which a level is in no condition."""
        for factor in self._factors:
            field = factor.field
            levels = [condition[field] for condition in conditions if field in condition]
            if factor.when is None:
                continue
            if not levels:
                problem = f"{field}: expected it to act in some condition, found none in which "
                self._fail(f"{problem}`{factor.when}` holds", "factors", field, "when")
            for level in factor.levels:
                if level not in levels:
                    problem = f"{field}: expected each level in some condition, found {level!r} in "
                    problem += "none: where it acts, the design changes no other factor; use "
                    problem += "full_factorial, or list what is missing under `conditions`"
                    self._fail(problem, "factors", field, "levels")

    def _written(self) -> list[Any]:
        written = self._content.get("conditions", [])
        if not isinstance(written, list):
            problem = f"conditions: expected a list of `field: level`, found {written!r}"
            self._fail(problem, "conditions")
        return written

    def _own(self, written: Sequence[Value], kept: Sequence[Condition]) -> list[Condition]:
        """Returns the conditions that the spec lists, checked and different from all others."""
        taken = {_key(condition) for condition in kept}
        own: list[Condition] = []
        for index, levels in enumerate(written):
            path = ("conditions", index)
            if not isinstance(levels, dict) or not levels:
                self._fail(f"conditions: expected `field: level`, found {levels!r}", *path)
            condition = self._one_of_its_own(levels, index)
            if _key(condition) in taken:
                problem = "expected a condition that is not there yet, found it in the design or "
                problem += f"before: {condition_label(condition)}"
                self._fail(f"conditions: {problem}", *path)
            taken.add(_key(condition))
            own.append(condition)
        return own

    def _one_of_its_own(self, levels: Mapping[str, Any], index: int) -> Condition:
        checked: dict[str, Any] = {}
        for field, level in levels.items():
            path = ("conditions", index, field)
            if field not in self._baseline:
                problem = f"conditions: expected a factor, found '{field}'"
                hint = nearest(field, self._baseline)
                advice = hint or "; a field with one level under `factors:` is one"
                raise self._document.key_error(problem + advice, path)
            checked[field] = self._fields.value(field, level, path)
        condition = self._acting(checked)
        for field in checked:
            if field not in condition:
                problem = f"conditions: expected factors that act, found {field}, whose `when` does"
                path = ("conditions", index, field)
                raise self._document.key_error(f"{problem} not hold here", path)
        return condition

    def _resolved(self, condition: Condition, own: int) -> Settings:
        """Returns a condition's configuration; `own` is its place in `conditions`, or below 0."""
        try:
            return self._base.replace({**self._baseline, **condition})
        except ConfigurationError as error:
            problem = f"condition {condition_label(condition)}: {error}"
            if own >= 0:
                self._fail(f"conditions: {problem}", "conditions", own)
            problem += "; exclude it by `where`"
            raise self._document.key_error(problem, ("factors",)) from None

    def _check_different(
        self, conditions: Sequence[tuple[Condition, Settings]], num_designed: int
    ) -> None:
        """Refuses conditions that are one and the same trial, since a factor does not act there."""
        seen: dict[str, Condition] = {}
        for index, (condition, configuration) in enumerate(conditions):
            other = seen.setdefault(digest(with_effect(configuration)), condition)
            if other is not condition:
                labels = f"{condition_label(other)} and {condition_label(condition)}"
                problem = f"expected different trials, found the same in conditions {labels}: a "
                problem += "factor has no effect there"
                if index >= num_designed:
                    self._fail(f"conditions: {problem}", "conditions", index - num_designed)
                problem += "; say by its `when` where it acts, or exclude one by `where`"
                raise self._document.key_error(problem, ("factors",))


def _key(condition: Condition) -> tuple[tuple[str, str], ...]:
    """Returns what is equal for equal conditions, and can be looked up."""
    return tuple((field, repr(level)) for field, level in condition.items())
