"""Ablations of a quantized video diffusion model whose verdicts carry their uncertainty."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdexp.api.experiments import plan, report, run, show, status
    from qdexp.errors import InterruptedRunError, QdexpError, RequestError

__all__ = [
    "InterruptedRunError",
    "QdexpError",
    "RequestError",
    "plan",
    "report",
    "run",
    "show",
    "status",
]

_HOMES = {
    "InterruptedRunError": "qdexp.errors",
    "QdexpError": "qdexp.errors",
    "RequestError": "qdexp.errors",
    "plan": "qdexp.api.experiments",
    "report": "qdexp.api.experiments",
    "run": "qdexp.api.experiments",
    "show": "qdexp.api.experiments",
    "status": "qdexp.api.experiments",
}
"""Where each name is from; it is imported when it is first used."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'qdexp' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
