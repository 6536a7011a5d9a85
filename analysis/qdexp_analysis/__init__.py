"""From the ledger to a report: tables, contrasts, verdicts, figures.

What is named here is imported when it is first used: pandas and what draws take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdexp_analysis.comparing import compare
    from qdexp_analysis.findings import Findings, find
    from qdexp_analysis.loading import LoadedExperiment, LoadedExperiments, load, load_all
    from qdexp_analysis.report import render, write_report
    from qdexp_analysis.table import Experiment
    from qdexp_analysis.written import ReportFiles, current

__all__ = [
    "Experiment",
    "Findings",
    "LoadedExperiment",
    "LoadedExperiments",
    "ReportFiles",
    "compare",
    "current",
    "find",
    "load",
    "load_all",
    "render",
    "write_report",
]

_HOMES = {
    "Experiment": "table",
    "ReportFiles": "written",
    "Findings": "findings",
    "LoadedExperiment": "loading",
    "LoadedExperiments": "loading",
    "compare": "comparing",
    "current": "written",
    "find": "findings",
    "load": "loading",
    "load_all": "loading",
    "render": "report",
    "write_report": "report",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'qdexp_analysis' has no attribute '{name}'")
    return getattr(import_module(f"qdexp_analysis.{_HOMES[name]}"), name)
