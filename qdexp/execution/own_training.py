"""A user's own training: the decorator that declares it, and what its generator receives.

::

    class ForestConfig(pydantic.BaseModel):
        trees: int = 100

    @qdexp.trainable(configuration=ForestConfig, metrics=[ACCURACY], revision=1)
    def forest(trial: qdexp.OwnTrial[ForestConfig], workspace: qdexp.Workspace) -> qdexp.Reports:
        ...
        yield qdexp.Progress(step=10, num_steps=100, measurements={"accuracy": 0.8})
        yield trial.completed(step=100, measurements={"accuracy": 0.9})
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from qdexp.config.metric import Metric
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.execution.ports import Workspace
from qdexp.experiment.declaration import ATTRIBUTE, Declaration
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress, Series

C = TypeVar("C", bound=BaseModel)
C_co = TypeVar("C_co", bound=BaseModel, covariant=True)

Reports = Iterator[Progress | Outcome]
"""What a trainable yields: progress, then the outcome, last."""


@dataclass(frozen=True, kw_only=True)
class OwnTrial(Generic[C_co]):
    """A trial of a user's own training, as its generator receives it.

    Args:
        configuration: An instance of the declared class.
        seed: The replicate: all randomness is to follow from it, so that conditions are paired.
        trial_id: What its outcome is to carry.
    """

    configuration: C_co
    seed: int
    trial_id: str

    def completed(
        self, *, step: int, measurements: Mapping[str, float], warnings: Sequence[str] = ()
    ) -> Outcome:
        """Returns the outcome of a training that went to its end.

        Args:
            step: Steps done.
            measurements: The final value of every metric, by name.
            warnings: What a reader must know, each in a sentence.
        """
        return Outcome(
            trial_id=self.trial_id,
            status="completed",
            step=step,
            measurements=dict(measurements),
            warnings=tuple(warnings),
        )


OwnFunction = Callable[[OwnTrial[C], Workspace], Reports]


def trainable(  # noqa: PLR0913 - by keyword only, and half of them optional
    *,
    configuration: type[C],
    metrics: Sequence[Metric],
    revision: int,
    fingerprint: Callable[[C], str] | None = None,
    num_steps: Callable[[C], int] | None = None,
    without_effect: Sequence[str] = (),
) -> Callable[[OwnFunction[C]], Callable[[Trial, Workspace], Reports]]:
    """Declares a generator function as a trainable that specs can name.

    Args:
        configuration: A pydantic class; its fields are what a spec sets and varies.
        metrics: What it measures and can be judged by, with directions and definitions.
        revision: From 1; raise it whenever the same fields and seed give other numbers than
            before: trials of former revisions are run again.
        fingerprint: Returns a hash of the data behind a configuration: part of every trial's
            identity, computed by the driver whenever a spec is read.
        num_steps: Returns the steps that a configuration takes, so that displays know how far a
            trial is.
        without_effect: Fields that change no result, such as a number of threads: no part of a
            trial's identity, and no factors.

    Raises:
        ConfigurationError: The declaration contradicts itself.
    """
    declaration = Declaration(
        configuration=configuration,
        metrics=tuple(metrics),
        revision=revision,
        fingerprint=fingerprint,
        num_steps=num_steps,
        without_effect=tuple(without_effect),
    )

    return functools.partial(_declared, declaration=declaration)


def _declared(
    function: OwnFunction[C], *, declaration: Declaration
) -> Callable[[Trial, Workspace], Reports]:
    @functools.wraps(function)
    def run(trial: Trial | OwnTrial[C], workspace: Workspace) -> Reports:
        own = trial if isinstance(trial, OwnTrial) else _own(trial, declaration)
        return _with_history(function(own, workspace))

    setattr(run, ATTRIBUTE, declaration)
    return run


def _own(trial: Trial, declaration: Declaration) -> OwnTrial[Any]:
    """Returns the trial with an instance of the user's class."""
    if not isinstance(trial.configuration, OwnConfiguration):
        raise TypeError(
            f"expected a configuration of {declaration.configuration.__name__}, found one of "
            "qdexp's: the trial was planned before the trainable declared its own"
        )
    return OwnTrial(
        configuration=declaration.fields().typed(trial.configuration.fields()),
        seed=trial.seed,
        trial_id=trial.trial_id,
    )


def _with_history(reports: Reports) -> Reports:
    """Yields the reports; an outcome without a history gets what was reported before it."""
    points: dict[str, list[tuple[int, float]]] = {}
    try:
        for report in reports:
            if isinstance(report, Progress):
                for name, value in report.measurements.items():
                    points.setdefault(name, []).append((report.step, value))
            elif isinstance(report, Outcome) and not report.history:  # pyright: ignore
                report = replace(report, history=_series(points))
            yield report
    finally:
        close = getattr(reports, "close", None)
        if close is not None:  # only generators have one
            close()


def _series(points: dict[str, list[tuple[int, float]]]) -> dict[str, Series]:
    return {
        name: Series(steps=tuple(s for s, _ in each), values=tuple(v for _, v in each))
        for name, each in points.items()
    }
