"""The spec of a search: a space instead of factors, and how it is looked through."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qdexp.config.settings import Settings
from qdexp.experiment.counting import counted
from qdexp.experiment.space import Space
from qdexp.experiment.spec import Spec
from qdexp.experiment.trial import Condition, acting_values

SamplerName = Literal["tpe", "gp", "nsga2", "quasi_random", "random", "grid"]
Direction = Literal["lower", "higher"]
PruningKind = Literal["asha", "median"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is to be made small or large.

    Args:
        metric: The name under which every configuration of the space measures it.
        direction: Which values are better.
    """

    metric: str
    direction: Direction


@dataclass(frozen=True, kw_only=True)
class SamplerChoice:
    """What suggests configurations.

    Args:
        name: Which.
        options: Its own options, by Optuna's names, checked when the spec is read.
        seed: Of its random numbers; with one worker it decides the whole sequence.
    """

    name: SamplerName
    options: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, kw_only=True)
class SearchBudget:
    """When a search ends: when the first of these is spent. One of them is not None.

    Args:
        trials: Trials, of all seeds together: ``trials // len(seeds)`` configurations. What was
            found in the ledger beforehand costs nothing; what failed counts.
        hours: Hours in which at least one of its trials ran, over all its runs.
        gpu_hours: Hours of its trials times the GPUs of each, over all its runs.
    """

    trials: int | None = None
    hours: float | None = None
    gpu_hours: float | None = None


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What stops trials early that do badly beside others of the same seed.

    Args:
        kind: ``asha``: only the best ``1 / reduction_factor`` at a step go on; ``median``: those
            that are no worse than the median.
        metric: What is compared: one that a running trial reports, and that is comparable.
        direction: Which of its values are better.
        steps: The optimizer steps at which it is, rising.
        reduction_factor: Of ASHA, at least 2.
        least: Trials of a seed that reached a step before any is stopped there, at least 1.
    """

    kind: PruningKind
    metric: str
    direction: Direction
    steps: tuple[int, ...]
    reduction_factor: int = 4
    least: int = 4


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The check of the best on fresh seeds.

    Args:
        top: How many of the best are checked, the baseline not counted.
        seeds: The fresh ones; none of them is the search's.
    """

    top: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """A space and how it is looked through, as a YAML file declares it.

    Args:
        spec: What all its configurations share, with the baseline as its only condition, which has
            a value for every parameter that acts. Its `metrics.primary` is the first objective.
        space: What may be suggested.
        objectives: What is optimised: the mean over the spec's seeds. One or several.
        sampler: What suggests.
        budget: When it ends.
        enqueue: Configurations to begin with after the baseline, values by field.
        pruning: What stops trials early, or None.
        confirm: How the best are checked, or None.
        workers: Trials at one time, or None for as many as fit.
        notes: What its author should know of the space, a sentence each.
    """

    spec: Spec
    space: Space
    objectives: tuple[Objective, ...]
    sampler: SamplerChoice
    budget: SearchBudget
    enqueue: tuple[Condition, ...] = ()
    pruning: Pruning | None = None
    confirm: Confirm | None = None
    workers: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the search, which is an experiment in the ledger."""
        return self.spec.name

    @property
    def baseline(self) -> Settings:
        """The configuration that the search begins with."""
        ((_, configuration),) = self.spec.grid.conditions
        return configuration

    @property
    def directions(self) -> tuple[tuple[str, Direction], ...]:
        """The metrics that are optimised, each with its direction."""
        return tuple((each.metric, each.direction) for each in self.objectives)

    @property
    def most_configurations(self) -> int | None:
        """How many configurations its budget of trials is for, or None where time alone counts."""
        trials = self.budget.trials
        return None if trials is None else trials // len(self.spec.seeds)

    @property
    def size_in_words(self) -> str:
        """``a search of 4 fields by tpe, 10 configurations x 2 seeds = 20 trials``."""
        number, seeds = len(self.space.parameters), len(self.spec.seeds)
        most, of_several = self.most_configurations, f"{seeds} seeds of each configuration"
        if most is not None:
            of_several = f"{counted(most, 'configuration')} x {seeds} seeds"
        sizes = [of_several] if seeds > 1 else []
        sizes += [] if most is None else [counted(most * seeds, "trial")]
        size = f", {' = '.join(sizes)}" if sizes else ""
        return f"a search of {counted(number, 'field')} by {self.sampler.name}{size}"

    def acting(self, values: Condition) -> Condition:
        """Returns those of a suggestion's values that a training reads."""
        return acting_values(values, self.baseline)

    def configuration(self, values: Condition) -> Settings:
        """Returns the configuration of a suggestion.

        Raises:
            ConfigurationError: Its values do not go together.
        """
        return self.baseline.replace(dict(values))

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps beside the text: an experiment's, and `search`."""
        return self.spec.definition() | {
            "size": {"in_words": self.size_in_words},
            "search": {
                "space": self.space.definition(),
                "objectives": [asdict(each) for each in self.objectives],
                "sampler": asdict(self.sampler) | {"options": dict(self.sampler.options)},
                "budget": asdict(self.budget),
                "enqueue": [dict(each) for each in self.enqueue],
                "pruning": self.pruning
                and asdict(self.pruning) | {"steps": list(self.pruning.steps)},
                "confirm": self.confirm
                and asdict(self.confirm) | {"seeds": list(self.confirm.seeds)},
            },
        }
