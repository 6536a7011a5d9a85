# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""What a search's spec says of its budget, its confirmation and its workers."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from qdexp.errors import ConfigurationError
from qdexp.experiment.document import Document
from qdexp.experiment.search_spec import Confirm, SearchBudget
from qdexp.experiment.seeds_reader import LEAST_JUDGED, MAX_SEEDS
from qdexp.experiment.spec import Resources

MAX_TRIALS = 1_000_000
MAX_TOP = 100

SEARCH_BUDGET_KEYS = ("trials", "hours", "gpu_hours")
"""Beside the limits of a trial and of a run."""

CONFIRM_KEYS = ("top", "seeds")


def read_search_budget(
    document: Document, num_trials: int | None, num_seeds: int, resources: Resources
) -> SearchBudget:
    """Returns when a search ends.

    Args:
        document: The spec.
        num_trials: Trials instead of the spec's, or None.
        num_seeds: Seeds of each configuration.
        resources: What each trial has: without GPUs it spends no GPU-hours.

    Raises:
        SpecError: A value is not what it should be, too small for one configuration, or never
            spent.
        ConfigurationError: `num_trials` is.
    """
    content = document.content.get("budget")
    content = content if isinstance(content, dict) else {}
    budget = SearchBudget(
        trials=_trials(document, content, num_trials, num_seeds),
        hours=_hours(document, content, "hours"),
        gpu_hours=_hours(document, content, "gpu_hours"),
    )
    if budget.trials is None and budget.hours is None and not resources.gpus:
        problem = "expected trials or hours beside gpu_hours, or a number above 0 as `gpus` of the "
        problem += "resources: trials without a GPU spend no GPU-hours, and would never end"
        raise document.error(f"budget: {problem}", ("budget", "gpu_hours"))
    return budget


def _trials(
    document: Document, content: dict[str, Any], num_trials: int | None, num_seeds: int
) -> int | None:
    least = f"at least the {num_seeds} of one configuration, a seed each"
    if num_trials is not None:
        if num_trials < num_seeds:
            raise ConfigurationError(f"--trials: expected {least}, found {num_trials}")
        return num_trials
    path = ("budget", "trials")
    trials = content.get("trials")
    if "trials" not in content and content.keys() & {"hours", "gpu_hours"}:
        return None
    if type(trials) is not int or not 1 <= trials <= MAX_TRIALS:
        expected = f"trials, a whole number from 1 to {MAX_TRIALS:,}"
        if "trials" not in content:
            problem = f"budget: expected {expected}, or hours or gpu_hours, found none of them"
            raise document.error(problem, path)
        raise document.error(f"budget: expected {expected}, found {trials!r}", path)
    if trials < num_seeds:
        raise document.error(f"budget: expected {least}, found {trials}", path)
    return trials


def _hours(document: Document, content: dict[str, Any], name: str) -> float | None:
    if name not in content:
        return None
    value = content[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or value <= 0:
        problem = f"budget: expected a number of hours above 0 for {name}, found {value!r}"
        raise document.error(problem, ("budget", name))
    return float(value)


def read_confirm(document: Document, seeds: Sequence[int]) -> Confirm | None:
    """Returns how the best are checked, or None.

    Args:
        document: The spec.
        seeds: Those of the search, which a check may not use again.

    Raises:
        SpecError: A value is not what it should be, or a seed is one of the search's.
    """
    if "confirm" not in document.content:
        return None
    content = document.mapping(("confirm",), CONFIRM_KEYS)
    top = content.get("top", 1)
    if type(top) is not int or not 1 <= top <= MAX_TOP:
        problem = f"confirm: expected a whole number from 1 to {MAX_TOP} for top, found {top!r}"
        raise document.error(problem, ("confirm", "top"))
    return Confirm(top=top, seeds=_fresh(document, content.get("seeds"), seeds))


def _fresh(document: Document, written: object, seeds: Sequence[int]) -> tuple[int, ...]:
    path = ("confirm", "seeds")
    if type(written) is int and LEAST_JUDGED <= written <= MAX_SEEDS:
        first = max(seeds) + 1
        return tuple(range(first, first + written))
    listed: list[Any] = list(written) if isinstance(written, list) else []
    are_seeds = all(type(seed) is int and seed >= 0 for seed in listed)
    if len(listed) < LEAST_JUDGED or not are_seeds or len(set(listed)) != len(listed):
        expected = f"a number of seeds from {LEAST_JUDGED} to {MAX_SEEDS}, or a list of different "
        found = "none" if written is None else repr(written)
        raise document.error(f"confirm: expected {expected}seeds from 0, found {found}", path)
    for index, seed in enumerate(listed):
        if seed in seeds:
            problem = "confirm: expected seeds that the search has not seen, since its best were "
            raise document.error(f"{problem}chosen on those, found {seed}", (*path, index))
    return tuple(listed)


def read_workers(document: Document) -> int | None:
    """Returns how many trials run at one time, or None for as many as fit.

    Raises:
        SpecError: It is no such number.
    """
    workers = document.content.get("workers")
    if workers is not None and (type(workers) is not int or workers < 1):
        problem = f"workers: expected a whole number from 1, found {workers!r}"
        raise document.error(problem, ("workers",))
    return workers
