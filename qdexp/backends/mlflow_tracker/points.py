"""Which numbers of a trial MLflow shows, and under which names: each metric once at each step."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from qdexp.config.metrics import in_order
from qdexp.results.outcome import Outcome, Progress

Point = tuple[str, int]
"""A metric's name, as MLflow takes it, and a step."""

NUM_COLUMNS = 40
"""Metrics of one trial that MLflow shows; its pages grow slow with more. The ledger has all."""

_NAME_CHARACTERS = 250  # MLflow refuses a longer name


def points_of_outcome(outcome: Outcome, first: Sequence[str]) -> dict[Point, float]:
    """Returns what MLflow is to show of a finished trial.

    At the last step a final measurement takes the place of the history's value.

    Args:
        outcome: The outcome with its history.
        first: The metrics that the experiment names: they are shown before all others.
    """
    points: dict[Point, float] = {}
    for name in columns({**outcome.history, **outcome.measurements}, first):
        shown = name_in_mlflow(name)
        series = outcome.history.get(name)
        if series:
            entries = zip(series.steps, series.values, strict=True)
            points |= {(shown, step): value for step, value in entries}
        if name in outcome.measurements:
            points[shown, outcome.step] = outcome.measurements[name]
    return {point: value for point, value in points.items() if math.isfinite(value)}


def points_of_progress(progress: Progress, first: Sequence[str]) -> dict[Point, float]:
    """Returns what MLflow is to show of a running trial.

    That is nothing at the last step, which the outcome may still measure otherwise.
    """
    if progress.step >= progress.num_steps:
        return {}
    return {
        (name_in_mlflow(name), progress.step): progress.measurements[name]
        for name in columns(progress.measurements, first)
        if math.isfinite(progress.measurements[name])
    }


def columns(measured: Iterable[str], first: Sequence[str]) -> list[str]:
    """Returns the metrics that are shown: those that the experiment names, then as tables do."""
    names = in_order(set(measured))
    named = [name for each in first for name in names if _is_called(name, each)]
    return list(dict.fromkeys([*named, *names]))[:NUM_COLUMNS]


def name_in_mlflow(name: str) -> str:
    """Returns a name that MLflow takes: it refuses some characters, relative paths, and length."""
    return re.sub(r"^\W|[^\w.: -]", "_", name)[:_NAME_CHARACTERS] or "_"


def contradictions(wanted: Mapping[Point, float], shown: Mapping[Point, set[float]]) -> list[Point]:
    """Returns the points at which MLflow shows another value than the ledger, or several."""
    return [point for point, value in wanted.items() if shown.get(point, {value}) != {value}]


def _is_called(name: str, family: str) -> bool:
    return name == family or name.startswith(f"{family}.")
