"""Tidy tables as CSV that no spreadsheet takes for formulas."""

import csv
import io
import math
from typing import Any

import pandas as pd

from qdexp_analysis.table import Experiment
from qdexp_analysis.trial_rows import setting_column


def trial_rows(experiment: Experiment) -> pd.DataFrame:
    """Returns one row for each trial and metric; a trial without any has one row too."""
    keys = [
        "trial_id",
        "seed",
        "status",
        "role",
        "label",
        *(setting_column(factor.field) for factor in experiment.factors),
        "reason",
    ]
    values = experiment.measurements[["trial_id", "metric", "value", "unit", "direction"]]
    rows = experiment.trials[keys].merge(values, on="trial_id", how="left")
    rows.insert(0, "experiment", experiment.name)
    return rows


def csv_text(frame: pd.DataFrame) -> str:
    """Returns a frame as CSV; what is missing is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell(str(name)) for name in frame.columns])
    columns = [_cells(frame[name].tolist()) for name in frame.columns]
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def _cells(values: list[Any]) -> list[object]:
    """Returns a column; of its texts, which repeat themselves, each is looked at once."""
    texts = {value: _cell(value) for value in {each for each in values if type(each) is str}}
    return [texts[value] if type(value) is str else _cell(value) for value in values]


def _cell(value: object) -> object:
    """Returns a value that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    is_missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return "" if is_missing else value
