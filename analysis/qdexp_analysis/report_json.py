"""The report as JSON: the numbers that its words are made from, and the words.

Its form is `report.schema.json`, beside this file. What findings gain appears under its own name.
"""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from qdexp.config.metric import Metric
from qdexp.experiment.controls import control_name
from qdexp_analysis.account import failures, provenance, unfinished, warnings
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.design_words import effect_sentence, left_out_sentences
from qdexp_analysis.document import sentences
from qdexp_analysis.factor import Axis
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.intervals import Estimate
from qdexp_analysis.plain import plain
from qdexp_analysis.reproduction import run_command
from qdexp_analysis.standing import reason_of, status_of
from qdexp_analysis.table import Experiment
from qdexp_analysis.words import answer

VERSION = 1
"""Raised when a name changes its meaning or goes; new names come without a new version."""

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

_OWN_FORM = (
    "experiment", "scores", "contrasts", "prospects", "factors", "left_out", "secondary",
)  # fmt: skip
"""Fields of `Findings` that are written below in another form than their own."""


def json_text(findings: Findings) -> str:
    """Returns the report as JSON; the same findings give the same bytes."""
    return as_text(content(findings))


def as_text(of: dict[str, Any]) -> str:
    """Returns plain data as the JSON that a report is."""
    return json.dumps(of, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of `content`."""
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def content(findings: Findings) -> dict[str, Any]:
    """Returns everything that was found, as plain data."""
    experiment = findings.experiment
    contrasts = zip(findings.contrasts, findings.prospects, sentences(findings), strict=True)
    factors = replace(findings.factors, effects=())  # they are written beside it
    left_out = zip(findings.left_out, left_out_sentences(findings), strict=False)
    return {
        "format": "qdexp report",
        "version": VERSION,
        "experiment": experiment_content(experiment),
        "unfinished": unfinished(findings),
        "answer": answer(findings),
        "primary": metric_content(findings.primary),
        "conditions": _conditions(findings),
        "contrasts": [
            contrast_content(findings, contrast)
            | {"prospect": plain(prospect), "sentence": sentence}
            for contrast, prospect, sentence in contrasts
        ],
        "left_out": [contrast_content(findings, c) | {"sentence": text} for c, text in left_out],
        "effects": _effects(findings),
        "secondary": _secondary(findings),
        **{
            field.name: plain(getattr(findings, field.name))
            for field in dataclasses.fields(findings)
            if field.name not in _OWN_FORM
        },
        "factors": plain(factors),
        "failures": plain(failures(experiment)),
        "warnings": [{"trial": where, "warning": text} for where, text in warnings(experiment)],
        "provenance": plain(provenance(experiment)),
        "trials": trials_content(experiment),
    }


def experiment_content(experiment: Experiment) -> dict[str, Any]:
    """Returns what was asked, and by which spec."""
    return {
        "name": experiment.name,
        "question": experiment.question,
        "as_of": experiment.as_of,
        "factors": plain(experiment.factors),
        "design": experiment.design.name,
        "seeds": list(experiment.seeds),
        "baseline": experiment.baseline,
        "spec_file": experiment.spec.file,
        "spec": experiment.spec.text,
        "command": run_command(experiment.spec),
    }


def metric_content(metric: Metric) -> dict[str, Any]:
    """Returns a metric's declaration."""
    return {
        "name": metric.name,
        "unit": metric.unit,
        "direction": metric.direction,
        "in_words": metric.in_words,
        "description": metric.description,
        "defined_by": list(metric.defined_by),
    }


def _conditions(findings: Findings) -> list[dict[str, Any]]:
    experiment, means = findings.experiment, plain(means_over_seeds(findings.scores))
    return [
        {
            "label": experiment.labels.text(position),
            "levels": plain(condition),
            "mean": means[position],
            "num_planned": len(experiment.records_at(position)),
            "num_completed": int(findings.scores.is_complete[position].sum()),
            "num_diverged": int(findings.scores.diverged[position].sum()),
        }
        for position, condition in enumerate(experiment.conditions)
    ]


def contrast_content(findings: Findings, contrast: Contrast) -> dict[str, Any]:
    """Returns a contrast; of its differences by clip only their means by seed."""
    fields = {f.name: getattr(contrast, f.name) for f in dataclasses.fields(contrast)}
    fields |= {
        "label": findings.experiment.labels.text(contrast.condition),
        "differences": contrast.differences.mean(axis=1) if contrast.seeds else [],
        "seeds": [findings.experiment.seeds[position] for position in contrast.seeds],
        "estimate": _estimate(contrast.estimate),
    }
    return plain(fields)


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return plain(estimate) | {"interval": plain(estimate.interval)}


def _effects(findings: Findings) -> list[dict[str, Any]]:
    return [
        {
            "term": [_axis(axis) for axis in effect.term],
            "ends": plain(effect.ends),
            "aliases": [[_axis(axis) for axis in term] for term in effect.aliases],
            "estimate": _estimate(effect.estimate),
            "simultaneous": plain(effect.contrast.simultaneous),
            "p": effect.contrast.p,
            "p_equivalent": effect.contrast.p_equivalent,
            "verdict": effect.contrast.verdict,
            "sentence": effect_sentence(findings, effect),
        }
        for effect in findings.effects
    ]


def _axis(axis: Axis) -> list[str]:
    return [factor.field for factor in axis.factors]


def _secondary(findings: Findings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for metric in findings.secondary:
        own = {f.name: plain(getattr(metric, f.name)) for f in dataclasses.fields(metric)}
        own.pop("scores")
        found.append(
            {
                **own,
                **metric_content(findings.experiment.metric(metric.name)),
                "means": plain(means_over_seeds(metric.scores)),
                "estimates": [_estimate(estimate) for estimate in metric.estimates],
            }
        )
    return found


def trials_content(experiment: Experiment) -> list[dict[str, Any]]:
    """Returns every trial that an experiment needs."""
    found: list[dict[str, Any]] = []
    for record in experiment.all_records:
        outcome = record.outcome
        control = control_name(record.condition)
        is_compared = bool(record.condition) and not control
        found.append(
            {
                "trial_id": record.trial_id,
                "condition": experiment.place(record)[0] if is_compared else None,
                "control": control,
                "seed": record.trial.seed,
                "status": status_of(record),
                "step": outcome.step if outcome else None,
                "reason": reason_of(record),
                "measurements": plain(outcome.measurements) if outcome else {},
            }
        )
    return found
