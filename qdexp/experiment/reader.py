# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From a YAML file to a spec, with every error at its line and column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdexp.errors import ConfigurationError
from qdexp.experiment import document as yaml
from qdexp.experiment.compared import DEFAULT_MAX_TRIALS, Limit
from qdexp.experiment.controls import read_controls
from qdexp.experiment.document import Document
from qdexp.experiment.grid import read_grid
from qdexp.experiment.heading import HeadingReader
from qdexp.experiment.limits_reader import read_budget, read_resources
from qdexp.experiment.metrics_reader import MetricsReader
from qdexp.experiment.origin_reader import ORIGIN_KEYS, read_origin
from qdexp.experiment.seeds_reader import MAX_SEEDS, read_seeds
from qdexp.experiment.spec import Spec

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
        num_trials: The budget of a search instead of the spec's.
    """

    fields: Mapping[str, Any]
    num_seeds: int | None = None
    max_trials: int = DEFAULT_MAX_TRIALS
    num_trials: int | None = None


NOTHING: Mapping[str, Any] = {}
NO_OVERRIDES = Overrides(fields=NOTHING)


def parse_overrides(
    assignments: Sequence[str],
    num_seeds: int | None,
    values: Mapping[str, Any] = NOTHING,
    *,
    max_trials: int | None = None,
    num_trials: int | None = None,
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
    for option, number in (("--max-trials", max_trials), ("--trials", num_trials)):
        if number is not None and number < 1:
            raise ConfigurationError(f"{option}: expected a number from 1, found {number}")
    most = DEFAULT_MAX_TRIALS if max_trials is None else max_trials
    return Overrides(fields=fields, num_seeds=num_seeds, max_trials=most, num_trials=num_trials)


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


def spec_of(text: str, file: Path) -> Spec:
    """Reads and checks the text of a spec whose file may not be written yet.

    Raises:
        SpecError: Something in it is wrong.
    """
    return _Reader(yaml.document_of(text, str(file)), NO_OVERRIDES).spec()


class _Reader:
    """Walks a document once; every method returns a part of the spec or raises at its place."""

    def __init__(self, document: Document, overrides: Overrides) -> None:
        self._document = document
        self._content = document.content
        self._overrides = overrides

    def spec(self) -> Spec:
        self._refuse_search()
        self._document.mapping((), _KEYS)
        seeds = read_seeds(self._document, self._overrides.num_seeds)
        limit = Limit(num_seeds=len(seeds.all), max_trials=self._overrides.max_trials)
        heading = HeadingReader(self._document)
        subject = heading.subject()
        grid = read_grid(self._document, self._overrides.fields, subject.fields(), limit)
        varied = [factor.field for factor in grid.factors]
        configurations = [configuration for _, configuration in grid.conditions]
        metrics = MetricsReader(self._document, subject.metrics(), varied, configurations)
        return Spec(
            file=self._document.file,
            text=self._document.text,
            name=heading.name(),
            question=heading.question(),
            grid=grid,
            seeds=seeds.all,
            looks=seeds.looks,
            controls=read_controls(self._document, grid),
            metrics=metrics.metrics(),
            resources=read_resources(self._document, configurations, subject.trainable),
            budget=read_budget(self._document),
            trainable=subject.trainable,
            own=subject.own,
            origin=read_origin(self._document, grid, seeds.all),
        )

    def _refuse_search(self) -> None:
        if "space" in self._content:
            problem = "expected the spec of an ablation, whose factors `qdexp run` compares, found "
            problem += f"a space: look through it by {command_for(self._document, 'search')}"
            if "factors" in self._content:
                problem = "expected factors for `qdexp run` or a space for `qdexp search`, found "
                problem += "both: remove one"
            raise self._document.key_error(problem, ("space",))
        for key in _OF_SEARCHES:
            if key in self._content:
                problem = f"expected no '{key}' in an ablation, found it: where the worse trials "
                problem += "stop early, only survivors are compared, and their contrasts are "
                problem += "biased; it belongs to the spec of a search"
                raise self._document.key_error(problem, (key,))


def command_for(document: Document, name: str) -> str:
    """Returns what a user gives to do something else with a spec."""
    return f"`qdexp {name} {document.file}`" if document.has_lines else f"`qdexp.{name}`"
