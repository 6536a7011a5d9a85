"""Ablations of a quantized video diffusion model whose verdicts carry their uncertainty.

`run`, `search`, `ablate`, `plan`, `status`, `show` and `report` do what the commands of these names
do, `plan_search` what `plan` does of a search; `trainable` declares a training of your own. What is
imported here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdexp.api.ablate import ablate
    from qdexp.api.experiments import plan, report, run
    from qdexp.api.known import show, status
    from qdexp.api.search_planning import plan_search
    from qdexp.api.searching import search
    from qdexp.backends.place import Place
    from qdexp.config.metric import Metric
    from qdexp.errors import DivergedError, InterruptedRunError, QdexpError, RequestError
    from qdexp.execution.own_training import OwnTrial, Reports, trainable
    from qdexp.execution.ports import Workspace
    from qdexp.results.outcome import Outcome, Progress

__all__ = [
    "DivergedError",
    "InterruptedRunError",
    "Metric",
    "Outcome",
    "OwnTrial",
    "Place",
    "Progress",
    "QdexpError",
    "Reports",
    "RequestError",
    "Workspace",
    "ablate",
    "plan",
    "plan_search",
    "report",
    "run",
    "search",
    "show",
    "status",
    "trainable",
]

_HOMES = {
    "qdexp.api.ablate": ("ablate",),
    "qdexp.api.experiments": ("plan", "report", "run"),
    "qdexp.api.known": ("show", "status"),
    "qdexp.api.search_planning": ("plan_search",),
    "qdexp.api.searching": ("search",),
    "qdexp.backends.place": ("Place",),
    "qdexp.config.metric": ("Metric",),
    "qdexp.errors": ("DivergedError", "InterruptedRunError", "QdexpError", "RequestError"),
    "qdexp.execution.own_training": ("OwnTrial", "Reports", "trainable"),
    "qdexp.execution.ports": ("Workspace",),
    "qdexp.results.outcome": ("Outcome", "Progress"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'qdexp' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
