# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From a YAML file to the spec of a search, with every error at its line and column."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from qdexp.config.settings import Settings
from qdexp.experiment import document as yaml
from qdexp.experiment.base_reader import BaseReader
from qdexp.experiment.design_size import DesignSize
from qdexp.experiment.document import Document
from qdexp.experiment.enqueue_reader import read_enqueued
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.grid import Grid
from qdexp.experiment.heading import HeadingReader, Subject
from qdexp.experiment.limits_reader import read_budget, read_resources
from qdexp.experiment.metrics_reader import MetricsReader
from qdexp.experiment.objectives_reader import ObjectivesReader
from qdexp.experiment.reader import NO_OVERRIDES, Overrides, command_for
from qdexp.experiment.sampler_reader import read_sampler
from qdexp.experiment.search_limits_reader import (
    SEARCH_BUDGET_KEYS,
    read_confirm,
    read_search_budget,
    read_workers,
)
from qdexp.experiment.search_spec import SearchBudget, SearchSpec
from qdexp.experiment.seeds_reader import read_seeds
from qdexp.experiment.space import Space
from qdexp.experiment.space_effects import check_effects
from qdexp.experiment.space_reader import read_space
from qdexp.experiment.space_samples import sample_space
from qdexp.experiment.spec import Metrics, Resources, Spec

KEYS = (
    "name", "question", "preset", "set", "space", "where", "sampler", "enqueue", "seeds", "metrics",
    "objectives", "budget", "pruning", "confirm", "workers", "resources", "trainable",
)  # fmt: skip

_OF_ABLATIONS = ("factors", "zip", "design", "resolution", "generators", "conditions", "controls")

NUM_SEEDS = 1
"""Seeds of each configuration unless the spec says more: a search spends them on looking wider."""


def read_search(
    source: Path | Mapping[str, Any], overrides: Overrides = NO_OVERRIDES
) -> SearchSpec:
    """Reads and checks the spec of a search, from its file or from the same as plain data.

    Fields that are searched may be set, too: that is where the baseline has them.

    Raises:
        SpecError: Something in it is wrong; the message begins with file:line:column, or with the
            keys that lead to the place.
        ConfigurationError: An override does not fit the spec.
    """
    is_file = isinstance(source, Path)
    document = yaml.read_document(source) if is_file else yaml.document_from(source)
    return _Reader(document, overrides).search()


class _Reader:
    """Walks a document once; every method returns a part of the spec or raises at its place."""

    def __init__(self, document: Document, overrides: Overrides) -> None:
        self._document = document
        self._content = document.content
        self._overrides = overrides
        self._heading = HeadingReader(document)

    def search(self) -> SearchSpec:
        self._refuse_ablation()
        self._document.mapping((), KEYS)
        subject = self._heading.subject()
        named = subject.fields()
        fields = FieldReader(self._document, named)
        space = read_space(self._document, fields)
        starting = BaseReader(self._document, named, self._overrides.fields)
        changes = starting.changes()
        baseline = starting.configuration(changes)
        notes = check_effects(self._document, space, baseline)
        sampled = sample_space(self._document, space, baseline)
        metrics = MetricsReader(self._document, subject.metrics(), space.fields, sampled)
        objectives = ObjectivesReader(self._document, metrics, baseline)
        seeds = self._seeds()
        wanted = objectives.objectives()
        enqueue = read_enqueued(self._document, fields, space, baseline)
        resources = read_resources(self._document, (baseline, *sampled), subject.trainable)
        budget = self._budget(len(seeds), resources, num_enqueued=len(enqueue))
        return SearchSpec(
            spec=self._spec(
                subject,
                grid=_grid_of_baseline(self._content.get("preset"), changes, space, baseline),
                metrics=metrics.beside(wanted[0].metric),
                resources=resources,
            ),
            space=space,
            objectives=wanted,
            sampler=read_sampler(self._document, space),
            budget=budget,
            enqueue=enqueue,
            pruning=objectives.pruning(),
            confirm=read_confirm(self._document, seeds),
            workers=read_workers(self._document),
            notes=notes,
        )

    def _spec(
        self, subject: Subject, *, grid: Grid, metrics: Metrics, resources: Resources
    ) -> Spec:
        """Returns what all configurations share."""
        return Spec(
            file=self._document.file,
            text=self._document.text,
            name=self._heading.name(),
            question=self._heading.question(),
            grid=grid,
            seeds=self._seeds(),
            metrics=metrics,
            resources=resources,
            trainable=subject.trainable,
            budget=read_budget(self._document, SEARCH_BUDGET_KEYS),
            own=subject.own,
        )

    def _refuse_ablation(self) -> None:
        found = next((key for key in _OF_ABLATIONS if key in self._content), None)
        if found is None:
            return
        if "space" in self._content:
            problem = f"expected no '{found}' beside a space, found it: it belongs to an ablation, "
            problem += "which `qdexp run` runs"
        else:
            problem = f"expected the spec of a search, which has a space, found '{found}' of an "
            problem += f"ablation: run it by {command_for(self._document, 'run')}"
        raise self._document.key_error(problem, (found,))

    def _budget(self, num_seeds: int, resources: Resources, *, num_enqueued: int) -> SearchBudget:
        """Returns a budget that ends, and not before what is to be tried in any case."""
        asked = self._overrides.num_trials
        budget = read_search_budget(self._document, asked, num_seeds, resources)
        room = num_enqueued if budget.trials is None else budget.trials // num_seeds - 1
        if num_enqueued > room:
            problem = f"expected as many as the budget has trials for beside the baseline, {room}, "
            problem += f"found {num_enqueued}: raise budget.trials, or leave some out"
            self._fail(f"enqueue: {problem}", "enqueue", room)
        return budget

    def _seeds(self) -> tuple[int, ...]:
        if isinstance(self._content.get("seeds"), dict):
            problem = "expected a number of seeds or a list of them in a search, found "
            self._fail(f"seeds: {problem}{self._content['seeds']!r}", "seeds")
        return read_seeds(self._document, self._overrides.num_seeds, NUM_SEEDS).all

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)


def _grid_of_baseline(
    preset: str | None, changes: dict[str, Any], space: Space, baseline: Settings
) -> Grid:
    """Returns what all configurations share, with the baseline as the only condition."""
    fixed = baseline.fields()
    condition = space.acting(fixed, fixed)
    return Grid(
        preset=preset,
        set=changes,
        axes=(),
        design="search",
        fraction=None,
        where=None,
        conditions=((condition, baseline),),
        baseline=condition,
        full=None,
        own=(),
        size=DesignSize(num_factors=len(space.parameters), design="a search", num_combinations=1),
    )
