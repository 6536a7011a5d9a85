"""What a spec says about resources and budgets, read with every error at its line and column."""

import re
from collections.abc import Sequence
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.config.settings import Settings
from qdexp.experiment.document import Document
from qdexp.experiment.spec import Budget, Resources
from qdexp.experiment.trial import DEFAULT_TRAINABLE

MAX_RETRIES = 100
MAX_PROCESSES = 10_000
MAX_GPUS = 1024

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


def read_resources(
    document: Document, configurations: Sequence[Settings], trainable: str
) -> Resources:
    """Returns what one trial gets.

    Raises:
        SpecError: A value is not what it should be, or the processes cannot share a batch.
    """
    if "resources" not in document.content:
        return Resources()
    content = document.mapping(("resources",), ("cpus", "gpus", "processes", "retries"))
    processes = _whole(document, content, "processes", (1, MAX_PROCESSES), default=1)
    resources = Resources(
        cpus=_whole(document, content, "cpus", (1, None), default=1),
        gpus=_gpus(document, content.get("gpus", "auto"), processes),
        processes=processes,
        retries=_whole(document, content, "retries", (0, MAX_RETRIES), default=2),
    )
    if processes > 1 and trainable == DEFAULT_TRAINABLE:
        _check_batches(document, configurations, processes)
    return resources


def read_budget(document: Document, others: tuple[str, ...] = ()) -> Budget:
    """Returns how long a trial and a run may take.

    Args:
        document: The spec.
        others: Keys of its `budget` that are somebody else's.

    Raises:
        SpecError: A value is no duration.
    """
    if "budget" not in document.content:
        return Budget()
    content = document.mapping(("budget",), (*others, "trial", "experiment"))
    seconds: dict[str, float] = {}
    for name, written in content.items():
        if name in others:
            continue
        found = seconds_from_duration(written)
        if found is None:
            problem = f"expected a duration such as 90 s, 30 min, 2 h or 1 d, found {written!r}"
            raise document.error(f"{name}: {problem}", ("budget", name))
        seconds[name] = found
    return Budget(**seconds)


def seconds_from_duration(written: object) -> float | None:
    """Returns the seconds of ``90 s``, ``30 min``, ``2 h`` or ``1 d``, or None for anything else.

    A number without its unit is nothing: it would be read as minutes by one and as seconds by
    another. Neither is 0, since nothing could run.
    """
    match = _DURATION.fullmatch(written.strip()) if isinstance(written, str) else None
    return float(match[1]) * _UNITS[match[2]] or None if match else None


def _whole(
    document: Document,
    content: dict[str, Any],
    name: str,
    bounds: tuple[int, int | None],
    *,
    default: int,
) -> int:
    value = content.get(name, default)
    least, most = bounds
    if type(value) is not int or value < least or (most is not None and value > most):
        to = f" to {most}" if most is not None else ""
        problem = f"{name}: expected a whole number from {least}{to}, found {value!r}"
        raise document.error(problem, ("resources", name))
    return value


def _gpus(document: Document, value: object, processes: int) -> float | None:
    if value == "auto":
        return None
    path = ("resources", "gpus")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_GPUS:
        raise document.error(f"gpus: expected auto or a number from 0, found {value!r}", path)
    if value % 1 and processes > 1:
        problem = (
            f"whole GPUs for each process, found {value!r}: two cannot exchange gradients on one"
        )
        raise document.error(f"gpus: expected {problem}", path)
    if value % 1 and value > 1:
        problem = f"a fraction of one GPU or a whole number of them, found {value!r}"
        raise document.error(f"gpus: expected {problem}", path)
    return float(value)


def _check_batches(document: Document, configurations: Sequence[Settings], processes: int) -> None:
    """Accepts configurations whose batches divide among the processes."""
    for configuration in configurations:
        assert isinstance(configuration, Configuration)
        size = configuration.training.batch_size
        if size % processes:
            raise document.error(
                f"processes: expected a divisor of training.batch_size, which is {size}, found "
                f"{processes}",
                ("resources", "processes"),
            )
