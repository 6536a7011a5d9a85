# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From a YAML file to a spec, with every error at its line and column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from qdexp.config.catalogue import OUR_METRICS, Catalogue, OwnMetrics
from qdexp.config.configuration import Value
from qdexp.config.metric import Metric
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, RequestError
from qdexp.experiment import document as yaml
from qdexp.experiment.compared import DEFAULT_MAX_TRIALS, Limit
from qdexp.experiment.controls import read_controls
from qdexp.experiment.declaration import Declaration, declaration_of
from qdexp.experiment.document import Document
from qdexp.experiment.grid import Grid, read_grid
from qdexp.experiment.limits_reader import read_budget, read_resources
from qdexp.experiment.named_fields import OURS
from qdexp.experiment.origin_reader import ORIGIN_KEYS, read_origin
from qdexp.experiment.seeds_reader import MAX_SEEDS, read_seeds
from qdexp.experiment.spec import Metrics, SmallestEffect, Spec
from qdexp.experiment.trial import DEFAULT_TRAINABLE

MAX_NAME = 100

_KEYS = (
    "name", "question", "preset", "set", "factors", "zip", "design", "resolution", "generators",
    "where", "conditions", "seeds", "controls", "metrics", "resources", "budget",
    "trainable", *ORIGIN_KEYS,
)  # fmt: skip

_OF_SEARCHES = ("scheduler", "pruning", "pruner", "asha", "early_stopping")
"""Keys of what stops trials that do badly."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line changes in a spec.

    Args:
        fields: Configuration fields to set, over the spec's `set`.
        num_seeds: Number of seeds instead of the spec's.
        max_trials: The most trials that the spec may ask for.
    """

    fields: Mapping[str, Any]
    num_seeds: int | None = None
    max_trials: int = DEFAULT_MAX_TRIALS


NOTHING: Mapping[str, Any] = {}
NO_OVERRIDES = Overrides(fields=NOTHING)


def parse_overrides(
    assignments: Sequence[str],
    num_seeds: int | None,
    values: Mapping[str, Any] = NOTHING,
    *,
    max_trials: int | None = None,
) -> Overrides:
    """Reads ``FIELD=VALUE`` texts, values as in YAML, and `values` over them.

    Raises:
        ConfigurationError: One is not of that form.
        SpecError: A value is not plain data.
    """
    fields: dict[str, Any] = {}
    for assignment in assignments:
        field, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--set: expected FIELD=VALUE, found '{assignment}'")
        fields[field.strip()] = yaml.parse_scalar(text)
    fields |= yaml.plain_data(values)
    if num_seeds is not None and not 1 <= num_seeds <= MAX_SEEDS:
        problem = f"expected a number from 1 to {MAX_SEEDS}, found {num_seeds}"
        raise ConfigurationError(f"--seeds: {problem}")
    if max_trials is not None and max_trials < 1:
        raise ConfigurationError(f"--max-trials: expected a number from 1, found {max_trials}")
    most = DEFAULT_MAX_TRIALS if max_trials is None else max_trials
    return Overrides(fields=fields, num_seeds=num_seeds, max_trials=most)


def read_spec(source: Path | Mapping[str, Any], overrides: Overrides = NO_OVERRIDES) -> Spec:
    """Reads and checks a spec, from its file or from the same content as plain data.

    Raises:
        SpecError: Something in it is wrong; the message begins with file:line:column, or with the
            keys that lead to the place.
        ConfigurationError: An override does not fit the spec.
    """
    is_file = isinstance(source, Path)
    document = yaml.read_document(source) if is_file else yaml.document_from(source)
    return _Reader(document, overrides).spec()


class _Reader:
    """Walks a document once; every method returns a part of the spec or raises at its place."""

    def __init__(self, document: Document, overrides: Overrides) -> None:
        self._document = document
        self._content = document.content
        self._overrides = overrides

    def spec(self) -> Spec:
        self._refuse_pruning()
        self._document.mapping((), _KEYS)
        seeds = read_seeds(self._document, self._overrides.num_seeds)
        limit = Limit(num_seeds=len(seeds.all), max_trials=self._overrides.max_trials)
        trainable = self._trainable()
        own = self._own(trainable)
        fields = own.fields() if own else OURS
        grid = read_grid(self._document, self._overrides.fields, fields, limit)
        return Spec(
            file=self._document.file,
            text=self._document.text,
            name=self._name(),
            question=self._text("question", "a question in words"),
            grid=grid,
            seeds=seeds.all,
            looks=seeds.looks,
            controls=read_controls(self._document, grid),
            metrics=self._metrics(grid, OwnMetrics(own.metrics) if own else OUR_METRICS),
            resources=read_resources(self._document, grid, trainable),
            budget=read_budget(self._document),
            trainable=trainable,
            own=own,
            origin=read_origin(
                self._document, grid.design, {factor.field: factor for factor in grid.factors}
            ),
        )

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _refuse_pruning(self) -> None:
        for key in _OF_SEARCHES:
            if key in self._content:
                problem = f"expected no '{key}' in an ablation, found it: where the worse trials "
                problem += "stop early, only survivors are compared, and their contrasts are "
                problem += "biased; it belongs to the spec of a search"
                raise self._document.key_error(problem, (key,))

    def _text(self, key: str, expected: str) -> str:
        value = self._content.get(key)
        if not isinstance(value, str) or not value.strip():
            found = "none" if key not in self._content else repr(value)
            self._fail(f"{key}: expected {expected}, found {found}", key)
        return value.strip()

    def _name(self) -> str:
        expected = (
            f"1 to {MAX_NAME} of the letters a to z, digits, '_' and '-', a letter or digit first"
        )
        name = self._text("name", expected)
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}", name):
            self._fail(f"name: expected {expected}, found '{name}'", "name")
        return name

    def _metrics(self, grid: Grid, known: Catalogue) -> Metrics:
        if "metrics" not in self._content and known.primary is not None:
            return Metrics(primary=known.primary, smallest_effect=None, secondary=())
        keys = ("primary", "secondary", "smallest_effect")
        has_metrics = "metrics" in self._content
        content = self._document.mapping(("metrics",), keys) if has_metrics else {}
        primary = self._primary(content.get("primary", known.primary), grid, known)
        written = content.get("secondary", [])
        if not isinstance(written, list):
            self._fail(f"secondary: expected a list of metrics, found {written!r}", "metrics")
        secondary = [
            self._resolved(known, name, configuration, "secondary", index)
            for index, name in enumerate(written)
            for _, configuration in grid.conditions
        ]
        return Metrics(
            primary=primary,
            smallest_effect=self._smallest_effect(content.get("smallest_effect")),
            secondary=tuple(dict.fromkeys(secondary)),
        )

    def _primary(self, name: Value, grid: Grid, known: Catalogue) -> str:
        if name is None:
            self._fail(f"metrics: expected `primary`, {known.expected}, found none", "metrics")
        declared = self._metric(known, name, "primary")
        for factor in grid.factors:
            if declared.is_defined_by(factor.field):
                problem = (
                    f"metrics: expected a primary metric that conditions can be compared on, found "
                    f"'{declared.name}', whose definition contains {factor.field}"
                )
                self._fail(problem, "metrics", "primary")
        if declared.direction == "neither":
            problem = f"metrics: expected a metric with a better direction, found '{declared.name}'"
            self._fail(problem, "metrics", "primary")
        # No factor is in its definition: all conditions measure it under one name.
        configuration = grid.conditions[0][1]
        try:
            known.check_measured(declared.name, configuration)
        except RequestError as error:
            self._fail(f"metrics: {error}", "metrics", "primary")
        return self._resolved(known, name, configuration, "primary")

    def _metric(self, known: Catalogue, name: Value, *path: str | int) -> Metric:
        try:
            return known.metric(str(name))
        except RequestError as error:
            self._fail(f"metrics: {error}", "metrics", *path)

    def _resolved(
        self, known: Catalogue, name: Value, configuration: Settings, *path: str | int
    ) -> str:
        """Returns the name under which a configuration measures a metric."""
        try:
            return known.resolve(str(name), configuration)
        except RequestError as error:
            self._fail(f"metrics: {error}", "metrics", *path)

    def _smallest_effect(self, value: Value) -> SmallestEffect | None:
        if value is None:
            return None
        is_relative = isinstance(value, str) and value.endswith("%")
        try:
            number = float(value[:-1]) / 100 if is_relative else float(value)
        except (TypeError, ValueError):
            number = 0.0
        if not 0 < number < float("inf") or isinstance(value, bool):
            problem = f"expected a share such as 0.5% or a number above 0, found {value!r}"
            self._fail(f"smallest_effect: {problem}", "metrics", "smallest_effect")
        return SmallestEffect(value=number, is_relative=is_relative)

    def _trainable(self) -> str:
        name = self._content.get("trainable", DEFAULT_TRAINABLE)
        if not isinstance(name, str) or not _is_trainable(name):
            problem = f"trainable: expected package.module:function, found {name!r}"
            self._fail(problem, "trainable")
        return name

    def _own(self, trainable: str) -> Declaration | None:
        """Returns what a user's own trainable declares; qdexp's is not imported for it."""
        if trainable == DEFAULT_TRAINABLE:
            return None
        try:
            return declaration_of(trainable, self._document.folder)
        except RequestError as error:
            self._fail(f"trainable: {error}", "trainable")


def _is_trainable(name: str) -> bool:
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), function))
