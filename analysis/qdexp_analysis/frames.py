"""Contrasts as a tidy frame: one row for each, with its metric's unit and direction."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from qdexp.config.metric import Metric
from qdexp_analysis.columns import column_of
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings, SecondaryMetric, means_over_seeds
from qdexp_analysis.intervals import Estimate
from qdexp_analysis.prospects import Prospect

_BASE = (
    "metric", "unit", "direction", "family", "condition", "label", "baseline", "baseline_label",
    "num_pairs", "baseline_mean", "difference", "relative_difference", "low", "high",
    "simultaneous_low", "simultaneous_high", "is_paired", "p", "p_equivalent", "q",
    "verdict", "doubt", "minimum_detectable", "seeds_needed",
)  # fmt: skip

_TAKEN = frozenset(("experiment", *_BASE))

PRIMARY, SECOND, LEFT_OUT, EXPLORATORY = "primary", "contrasts", "left_out", "exploratory"
"""Families: the verdicts; the same where effects are the primary family; the full condition without
each factor; other metrics."""


def contrast_frame(findings: Findings) -> pd.DataFrame:
    """Returns one row for each contrast of the primary metric, and of the metrics beside it.

    `condition` and `baseline` are positions among the experiment's conditions, `low` and `high` the
    95 % limits of one contrast alone, and the simultaneous ones those that go with the verdict; a
    number that is not known is nan. Exploratory contrasts have a q value, and no verdict.
    """
    experiment = findings.experiment
    rows = [*_primary(findings), *_left_out(findings)]
    for metric in findings.secondary:
        rows += _exploratory(findings, metric)
    fields = [column_of(factor.field, _TAKEN) for factor in experiment.factors]
    frame = pd.DataFrame(rows, columns=["experiment", *_BASE, *fields])
    return frame.astype({"condition": int, "baseline": int}) if rows else frame


def no_contrasts() -> pd.DataFrame:
    """Returns the frame of an experiment that judges nothing."""
    return pd.DataFrame(columns=["experiment", *_BASE])


def _primary(findings: Findings) -> Iterator[dict[str, Any]]:
    base = findings.experiment.baseline
    family = PRIMARY if findings.factors.family == "contrasts" else SECOND
    for contrast, prospect in zip(findings.contrasts, findings.prospects, strict=True):
        assert base is not None
        yield _judged(findings, contrast, base, family) | _prospect(prospect)


def _left_out(findings: Findings) -> Iterator[dict[str, Any]]:
    full = findings.experiment.design.full
    for contrast in findings.left_out:
        assert full is not None
        yield _judged(findings, contrast, full, LEFT_OUT) | _prospect(Prospect())


def _exploratory(findings: Findings, metric: SecondaryMetric) -> Iterator[dict[str, Any]]:
    experiment, means = findings.experiment, means_over_seeds(metric.scores)
    for position, estimate in enumerate(metric.estimates):
        if estimate is not None and experiment.baseline is not None:
            mean = float(means[position]) - estimate.mean
            yield {
                **_named(findings, experiment.metric(metric.name), position, experiment.baseline),
                "family": EXPLORATORY,
                "baseline_mean": mean,
                "q": metric.q[position],
                "is_paired": True,
                "verdict": "",
                "doubt": "",
                **estimated(estimate, mean),
            }


def _judged(findings: Findings, contrast: Contrast, base: int, family: str) -> dict[str, Any]:
    low, high = contrast.simultaneous or (np.nan, np.nan)
    return {
        **_named(findings, findings.primary, contrast.condition, base),
        "family": family,
        "baseline_mean": contrast.baseline_mean if contrast.seeds else np.nan,
        "simultaneous_low": low,
        "simultaneous_high": high,
        "is_paired": contrast.is_paired,
        "p": contrast.p,
        "p_equivalent": contrast.p_equivalent,
        "verdict": contrast.verdict,
        "doubt": contrast.doubt or "",
        **estimated(contrast.estimate, contrast.baseline_mean),
    }


def _named(findings: Findings, metric: Metric, position: int, base: int) -> dict[str, Any]:
    experiment = findings.experiment
    condition = experiment.conditions[position]
    return {
        "experiment": experiment.name,
        "metric": metric.name,
        "unit": metric.unit,
        "direction": metric.direction,
        "condition": position,
        "label": experiment.labels.text(position),
        "baseline": base,
        "baseline_label": experiment.labels.text(base),
        **{column_of(field, _TAKEN): value for field, value in condition.items()},
    }


def estimated(estimate: Estimate | None, base: float) -> dict[str, Any]:
    """Returns a difference with its interval and its share of a positive base."""
    if estimate is None:
        return {"num_pairs": 0}
    low, high = estimate.interval or (np.nan, np.nan)
    return {
        "num_pairs": estimate.num_seeds,
        "difference": estimate.mean,
        "relative_difference": estimate.mean / base if base > 0 else np.nan,
        "low": low,
        "high": high,
    }


def _prospect(prospect: Prospect) -> dict[str, Any]:
    return {
        "minimum_detectable": prospect.minimum_detectable,
        "seeds_needed": prospect.seeds_needed,
    }
