"""A spec: one question, complete and checked, as its YAML file declares it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from qdexp.config.settings import Settings
from qdexp.experiment.controls import Control
from qdexp.experiment.declaration import Declaration
from qdexp.experiment.grid import Grid
from qdexp.experiment.looks import Looks
from qdexp.experiment.trial import Condition, Trial


@dataclass(frozen=True, kw_only=True)
class SmallestEffect:
    """The smallest difference from the baseline that would matter.

    Args:
        value: Greater than 0; a share of the baseline's mean, or in the metric's unit.
        is_relative: Which of both.
    """

    value: float
    is_relative: bool


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is judged: one primary metric, and others shown beside it."""

    primary: str
    smallest_effect: SmallestEffect | None
    secondary: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial gets, and how often it is tried.

    Args:
        cpus: CPU cores of each of its processes, at least 1.
        gpus: GPUs of each of its processes, fractions of one allowed; None takes one where there
            is any, or a fraction of it where the memory measured before says that it suffices.
        processes: Processes that share the trial's training.
        retries: How often a trial is tried again whose worker was lost or ran out of memory.
    """

    cpus: int = 1
    gpus: float | None = None
    processes: int = 1
    retries: int = 2


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long things may take, in seconds; None for as long as they want.

    Args:
        trial: One attempt at a trial.
        experiment: One run of the experiment.
    """

    trial: float | None = None
    experiment: float | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One question and how it is answered.

    Args:
        file: The path as the user gave it.
        text: The YAML, as it stood.
        name: The experiment's name.
        question: The question in words.
        grid: What varies, and what is fixed.
        seeds: The replicates, all different; with `looks`, the most that there may be.
        metrics: What is judged.
        resources: What one trial gets.
        trainable: What runs a trial, ``package.module:function``.
        budget: How long a trial and a run may take.
        own: What a user's own trainable declares, or None.
        looks: When it is judged which conditions need more seeds; None where all get all.
        controls: What runs beside the conditions, for the least number of seeds.
        origin: What it was made of, plain: `confirms` or `path`; empty for what people write.
    """

    file: str
    text: str
    name: str
    question: str
    grid: Grid
    seeds: tuple[int, ...]
    metrics: Metrics
    resources: Resources
    trainable: str
    budget: Budget = Budget()
    own: Declaration | None = None
    looks: Looks | None = None
    controls: tuple[Control, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def baseline(self) -> Condition:
        """The condition in which every factor that acts has its baseline level."""
        return self.grid.baseline

    @property
    def size_in_words(self) -> str:
        """``2 factors, full factorial 2 x 3: 6 conditions x 3 seeds = 18 trials``."""
        return self.grid.size.in_words(
            len(self.seeds),
            least=self.looks.least if self.looks else None,
            num_controls=len(self.controls),
        )

    @property
    def num_control_seeds(self) -> int:
        """Seeds for which the controls run."""
        return self.looks.least if self.looks else len(self.seeds)

    def trials(
        self, fingerprints: Sequence[str], wanted: Sequence[int] | None = None
    ) -> list[tuple[Trial, Condition]]:
        """Returns the trials, seed by seed, so that early results are already paired.

        Args:
            fingerprints: The data's fingerprint for each of the grid's conditions.
            wanted: How many of the seeds each of them gets; all unless given.
        """
        each = list(zip(self.grid.conditions, fingerprints, strict=True))
        numbers = wanted or [len(self.seeds)] * len(each)
        compared = [
            (condition, configuration, fingerprint, number)
            for ((condition, configuration), fingerprint), number in zip(each, numbers, strict=True)
        ]
        # A control differs from the baseline in nothing that its data are made of.
        (of_baseline,) = (data for (condition, _), data in each if condition == self.baseline)
        beside = [
            (control.condition, control.configuration, of_baseline, self.num_control_seeds)
            for control in self.controls
        ]
        return [
            (self._trial(configuration, seed, fingerprint), condition)
            for index, seed in enumerate(self.seeds)
            for condition, configuration, fingerprint, number in compared + beside
            if index < number
        ]

    def _trial(self, configuration: Settings, seed: int, fingerprint: str) -> Trial:
        return Trial(
            configuration=configuration,
            seed=seed,
            data_fingerprint=fingerprint,
            trainable=self.trainable,
        )

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps beside the text: plain JSON values."""
        return {
            "name": self.name,
            "question": self.question,
            **self.grid.definition(),
            "size": self.grid.size.definition(self.size_in_words),
            "seeds": list(self.seeds),
            "metrics": asdict(self.metrics) | {"secondary": list(self.metrics.secondary)},
            "resources": asdict(self.resources),
            "budget": asdict(self.budget),
            "trainable": self.trainable,
            **({"own": self.own.as_json()} if self.own else {}),
            **({"looks": self.looks.definition()} if self.looks else {}),
            **({"controls": [each.name for each in self.controls]} if self.controls else {}),
            **self.origin,
        }
