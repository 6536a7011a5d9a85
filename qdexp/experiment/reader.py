# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From a YAML file to a spec, with every error at its line and column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from qdexp.config.configuration import Configuration, Value, check_value
from qdexp.config.metric import Metric
from qdexp.config.metrics import check_measured, metric, resolve
from qdexp.errors import ConfigurationError, RequestError
from qdexp.experiment import document as yaml
from qdexp.experiment.document import Document
from qdexp.experiment.grid import Grid, read_grid
from qdexp.experiment.spec import Metrics, Resources, SmallestEffect, Spec
from qdexp.experiment.trial import DEFAULT_TRAINABLE

DEFAULT_PRIMARY = "eval.denoising_loss"
MAX_NAME = 100
MAX_SEEDS = 1000
MAX_TRIALS = 100_000

_KEYS = (
    "name", "question", "preset", "set", "factors", "design", "where", "seeds", "metrics",
    "resources", "trainable",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the command line changes in a spec.

    Args:
        fields: Configuration fields to set, over the spec's `set`.
        num_seeds: Number of seeds instead of the spec's.
    """

    fields: Mapping[str, Any]
    num_seeds: int | None = None


NO_OVERRIDES = Overrides(fields={})


def parse_overrides(assignments: Sequence[str], num_seeds: int | None) -> Overrides:
    """Reads ``FIELD=VALUE`` texts, values as in YAML.

    Raises:
        ConfigurationError: One is not of that form, or its field or value is not allowed.
    """
    fields: dict[str, Any] = {}
    for assignment in assignments:
        field, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigurationError(f"--set: expected FIELD=VALUE, found '{assignment}'")
        fields[field.strip()] = check_value(field.strip(), yaml.parse_scalar(text))
    if num_seeds is not None and not 1 <= num_seeds <= MAX_SEEDS:
        problem = f"expected a number from 1 to {MAX_SEEDS}, found {num_seeds}"
        raise ConfigurationError(f"--seeds: {problem}")
    return Overrides(fields=fields, num_seeds=num_seeds)


def read_spec(path: Path, overrides: Overrides = NO_OVERRIDES) -> Spec:
    """Reads and checks a spec.

    Raises:
        SpecError: Something in the file is wrong; the message begins with file:line:column.
        ConfigurationError: An override does not fit the spec.
    """
    return _Reader(yaml.read_document(path), overrides).spec()


class _Reader:
    """Walks a document once; every method returns a part of the spec or raises at its place."""

    def __init__(self, document: Document, overrides: Overrides) -> None:
        self._document = document
        self._content = document.content
        self._overrides = overrides

    def spec(self) -> Spec:
        self._document.mapping((), _KEYS)
        grid = read_grid(self._document, self._overrides.fields)
        return Spec(
            file=self._document.file,
            text=self._document.text,
            name=self._name(),
            question=self._text("question", "a question in words"),
            grid=grid,
            seeds=self._seeds(len(grid.conditions)),
            metrics=self._metrics(grid),
            resources=self._resources(),
            trainable=self._trainable(),
        )

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

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

    def _seeds(self, num_conditions: int) -> tuple[int, ...]:
        seeds = self._listed_seeds()
        num_trials = num_conditions * len(seeds)
        if num_trials > MAX_TRIALS:
            problem = f"expected at most {MAX_TRIALS} trials, found {num_trials}"
            how = f"{num_conditions} conditions x {len(seeds)} seeds"
            self._fail(f"factors: {problem} ({how}): vary less", "factors")
        return seeds

    def _listed_seeds(self) -> tuple[int, ...]:
        if self._overrides.num_seeds is not None:
            return tuple(range(self._overrides.num_seeds))
        seeds = self._content.get("seeds", 3)
        if type(seeds) is int and 1 <= seeds <= MAX_SEEDS:
            return tuple(range(seeds))
        listed: list[Value] = seeds if isinstance(seeds, list) else []
        are_valid = all(type(seed) is int and seed >= 0 for seed in listed)
        if not listed or not are_valid or len(set(listed)) != len(listed):
            expected = (
                f"a number of seeds from 1 to {MAX_SEEDS}, or a list of different seeds from 0"
            )
            self._fail(f"seeds: expected {expected}, found {seeds!r}", "seeds")
        return tuple(listed)

    def _metrics(self, grid: Grid) -> Metrics:
        if "metrics" not in self._content:
            return Metrics(primary=DEFAULT_PRIMARY, smallest_effect=None, secondary=())
        content = self._document.mapping(("metrics",), ("primary", "secondary", "smallest_effect"))
        primary = self._primary(content.get("primary", DEFAULT_PRIMARY), grid)
        written = content.get("secondary", [])
        if not isinstance(written, list):
            self._fail(f"secondary: expected a list of metrics, found {written!r}", "metrics")
        secondary = [
            self._resolved(name, configuration, "secondary", index)
            for index, name in enumerate(written)
            for _, configuration in grid.conditions
        ]
        return Metrics(
            primary=primary,
            smallest_effect=self._smallest_effect(content.get("smallest_effect")),
            secondary=tuple(dict.fromkeys(secondary)),
        )

    def _primary(self, name: Value, grid: Grid) -> str:
        declared = self._metric(name, "primary")
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
            check_measured(declared.name, configuration)
        except RequestError as error:
            self._fail(f"metrics: {error}", "metrics", "primary")
        return self._resolved(name, configuration, "primary")

    def _metric(self, name: Value, *path: str | int) -> Metric:
        try:
            return metric(str(name))
        except RequestError as error:
            self._fail(f"metrics: {error}", "metrics", *path)

    def _resolved(self, name: Value, configuration: Configuration, *path: str | int) -> str:
        """Returns the name under which a configuration measures a metric."""
        try:
            return resolve(str(name), configuration)
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

    def _resources(self) -> Resources:
        if "resources" not in self._content:
            return Resources()
        content = self._document.mapping(("resources",), ("cpus", "gpus"))
        cpus, gpus = content.get("cpus", 1), content.get("gpus", "auto")
        if type(cpus) is not int or cpus < 1:
            self._fail(f"cpus: expected a whole number from 1, found {cpus!r}", "resources", "cpus")
        if gpus != "auto" and (type(gpus) not in (int, float) or not 0 <= gpus <= 1024):
            problem = f"gpus: expected auto or a number from 0, found {gpus!r}"
            self._fail(problem, "resources", "gpus")
        return Resources(cpus=cpus, gpus=None if gpus == "auto" else float(gpus))

    def _trainable(self) -> str:
        name = self._content.get("trainable", DEFAULT_TRAINABLE)
        if not isinstance(name, str) or not _is_trainable(name):
            problem = f"trainable: expected package.module:function, found {name!r}"
            self._fail(problem, "trainable")
        return name


def _is_trainable(name: str) -> bool:
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), function))
