"""The report of a search as JSON: what it is made from, in the form of `report.schema.json`."""

from typing import Any

import numpy as np

from qdexp_analysis.account import provenance
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.design_words import left_out_sentences
from qdexp_analysis.findings import Findings
from qdexp_analysis.plain import plain
from qdexp_analysis.report_json import (
    VERSION,
    as_text,
    contrast_content,
    experiment_content,
    metric_content,
    trials_content,
)
from qdexp_analysis.search_confirm_words import sentence_of
from qdexp_analysis.search_findings import Confirmed, OtherObjective, SearchFindings
from qdexp_analysis.search_path import SearchPath
from qdexp_analysis.search_words import answer, ending_of, reason_of, unfinished


def search_json(found: SearchFindings) -> str:
    """Returns the report as JSON; the same findings give the same bytes."""
    return as_text(search_content(found))


def search_content(found: SearchFindings) -> dict[str, Any]:
    """Returns everything that a search found, as plain data."""
    experiment = found.searched.experiment
    return {
        "format": "qdexp report",
        "version": VERSION,
        "experiment": experiment_content(experiment),
        "unfinished": unfinished(found.searched),
        "answer": answer(found),
        "primary": metric_content(found.objectives[0].metric),
        "search": _search(found),
        "provenance": plain(provenance(experiment)),
        "trials": _trials(found),
    }


def _trials(found: SearchFindings) -> list[dict[str, Any]]:
    """Returns the trials, each with the number of its suggestion as its condition."""
    history = found.searched.history
    numbers = {key: each.suggestion.number for each in history for key in each.trial_ids}
    trials = trials_content(found.searched.experiment)
    return [each | {"condition": numbers.get(each["trial_id"])} for each in trials]


def _search(found: SearchFindings) -> dict[str, Any]:
    searched, several = found.searched, not found.is_single
    has_box = several and bool(found.complete)
    return {
        "declared": plain(searched.declared),
        "objectives": [
            metric_content(each.metric) | {"direction": each.direction} for each in found.objectives
        ],
        "suggestions": _suggestions(found),
        "ranking": [found.complete[k].suggestion.number for k in found.ranking],
        "best": found.best.suggestion.number if found.best else None,
        "course": plain(found.course),
        "reference_point": [
            float(o.sign * point)
            for o, point in zip(found.objectives, found.reference, strict=True)
        ]
        if has_box
        else None,
        "importances": plain(found.importances),
        "confirmed": found.confirmed and _confirmed(found, found.confirmed),
        "path": found.path and _path(found.path),
        "left_out": found.left_out and _left_out(found.left_out),
    }


def _suggestions(found: SearchFindings) -> list[dict[str, Any]]:
    searched = found.searched
    places = {each.suggestion.number: k for k, each in enumerate(found.complete)}
    rows: list[dict[str, Any]] = []
    for each in searched.history:
        at = places.get(each.suggestion.number)
        rows.append(
            {
                "number": each.suggestion.number,
                "origin": each.suggestion.origin,
                "ending": ending_of(found, each),
                "reason": reason_of(found, each),
                "values": plain(each.suggestion.values),
                "objectives": None if at is None else plain(found.values[at]),
                "on_front": at is not None and bool(found.on_front[at]),
                "seconds": searched.seconds_of(each),
                "trial_ids": list(each.trial_ids),
            }
        )
    return rows


def _confirmed(found: SearchFindings, confirmed: Confirmed) -> dict[str, Any]:
    findings = confirmed.findings
    return {
        "experiment": findings.experiment.name,
        "seeds": list(findings.experiment.seeds),
        "numbers": list(confirmed.numbers),
        "contrasts": [
            contrast_content(findings, each)
            | {
                "number": confirmed.numbers[each.condition],
                "sentence": sentence_of(confirmed, each),
            }
            for each in findings.contrasts
        ],
        "other_objectives": [
            _other_objective(confirmed, each) for each in confirmed.others(found.objectives)
        ],
    }


def _other_objective(confirmed: Confirmed, other: OtherObjective) -> dict[str, Any]:
    experiment = confirmed.findings.experiment
    return {
        "metric": other.objective.metric.name,
        "differences": [
            _difference(other.contrast_at(k, experiment.baseline))
            | {"number": confirmed.numbers[k], "q": other.measured.q[k]}
            for k in range(len(experiment.conditions))
            if k != experiment.baseline
        ],
    }


def _path(path: SearchPath) -> dict[str, Any]:
    return {
        "experiment": path.findings.experiment.name,
        "is_whole": path.is_whole,
        "suggestion": path.suggestion,
        "tried": [
            {
                "round": each.number,
                "changes": plain(each.changes),
                "is_kept": each.is_kept,
                **_difference(each.contrast),
            }
            for each in path.tried
        ],
    }


def _left_out(findings: Findings) -> dict[str, Any]:
    return {
        "experiment": findings.experiment.name,
        "contrasts": [
            contrast_content(findings, each) | {"sentence": sentence}
            for each, sentence in zip(findings.left_out, left_out_sentences(findings), strict=False)
        ],
    }


def _difference(contrast: Contrast | None) -> dict[str, Any]:
    estimate = contrast.estimate if contrast else None
    return plain(
        {
            "difference": estimate.mean if estimate else None,
            "interval": estimate.interval if estimate else None,
            "num_pairs": estimate.num_seeds if estimate else 0,
            "baseline_mean": contrast.baseline_mean if contrast and estimate else np.nan,
        }
    )
