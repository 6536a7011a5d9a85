"""From the ledger to a report: tables, contrasts, verdicts, figures."""

from qdexp_analysis.report import ReportFiles, render, write_report
from qdexp_analysis.table import Experiment, load

__all__ = ["Experiment", "ReportFiles", "load", "render", "write_report"]
