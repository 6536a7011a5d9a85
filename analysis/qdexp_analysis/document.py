"""The content of a report, as text in tables: what every rendering shows."""

from typing import Any

import numpy as np

from qdexp_analysis.account import (
    Row,
    completion,
    counts_text,
    failures,
    incomplete_pairs,
    num_planned,
    progress,
    provenance,
    trial_table,
    unfinished,
    warnings,
)
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.design_words import (
    design_sentences,
    effect_sentences,
    effects_note,
    left_out_sentences,
)
from qdexp_analysis.factor_words import factor_content
from qdexp_analysis.figure_words import front_text
from qdexp_analysis.findings import Findings, SecondaryMetric, means_over_seeds
from qdexp_analysis.language import say
from qdexp_analysis.look_words import conduct_words, time_text
from qdexp_analysis.measurement_words import definitions, measurement
from qdexp_analysis.missing_words import rate_sentences
from qdexp_analysis.mixing_words import mixing_sentences
from qdexp_analysis.quantities import (
    NONE,
    Differences,
    measured,
    number,
    p_text,
    signed,
)
from qdexp_analysis.reproduction import run_command, settings_text
from qdexp_analysis.search_path_words import own_path_sections, path_note
from qdexp_analysis.verdict_words import interval_words, verdict_sentence
from qdexp_analysis.words import answer

SYMBOLS = {"better": "▲", "worse": "▼", "equivalent": "=", "undecided": "?", "baseline": "•"}


def document(findings: Findings) -> dict[str, Any]:
    """Returns everything that a template needs, under the names that templates use."""
    experiment = findings.experiment
    return {
        "name": experiment.name,
        "question": experiment.question,
        "as_of": time_text(experiment.as_of),
        "metric": experiment.primary,
        "metric_words": experiment.metric(experiment.primary).in_words,
        "heading": experiment.labels.heading or say("condition"),
        "answer": answer(findings),
        "unfinished": unfinished(findings),
        "counts": counts_text(experiment),
        "verdicts": _verdicts(findings),
        "sentences": sentences(findings),
        "path": own_path_sections(findings),
        "path_note": path_note(findings),
        "effects": effect_sentences(findings),
        "effects_note": effects_note(findings),
        "left_out_of_full": left_out_sentences(findings),
        "design": design_sentences(findings),
        "intervals": [_intervals(findings, i) for i in range(len(findings.contrasts))],
        "secondary": _secondary(findings),
        "not_comparable": list(findings.not_comparable),
        "left_out": _left_out(findings),
        "not_judged": _not_judged(findings),
        "incomplete_pairs": incomplete_pairs(findings),
        "failures": failures(experiment),
        "warnings": warnings(experiment),
        "measurement": measurement(findings),
        "definitions": definitions(findings),
        "interval_words": interval_words(findings),
        "diverged_rates": rate_sentences(findings),
        "factors": factor_content(findings),
        "mixed": mixing_sentences(findings),
        **_origin(findings),
    }


def _origin(findings: Findings) -> dict[str, Any]:
    """Returns what a report is made from, and how to make it again."""
    experiment = findings.experiment
    return {
        "provenance": provenance(experiment),
        "is_own": experiment.is_own,
        "seeds": experiment.seeds,
        "trials": trial_table(findings),
        "spec_file": experiment.spec.file,
        "spec_text": experiment.spec.text,
        "command": run_command(experiment.spec),
        "settings": settings_text(experiment.spec),
        **conduct_words(findings),
        "progress": progress(experiment),
        "front": front_text(findings),
    }


def sentences(findings: Findings) -> list[str]:
    """Returns the verdict of every contrast in a sentence."""
    pairs = zip(findings.contrasts, findings.prospects, strict=True)
    return [verdict_sentence(findings, contrast, prospect) for contrast, prospect in pairs]


def _verdicts(findings: Findings) -> list[Row]:
    experiment = findings.experiment
    means = means_over_seeds(findings.scores)
    by_condition = {contrast.condition: contrast for contrast in findings.contrasts}
    span = _span(findings)
    rows: list[Row] = []
    for position in range(len(experiment.conditions)):
        row = {
            "label": experiment.labels.short(position),
            "colour": position,
            "mean": measured(float(means[position]), experiment.metric(experiment.primary)),
            "trials": completion(experiment, position),
            "difference": NONE,
            "interval": NONE,
            "p": NONE,
            "verdict": "baseline" if position == experiment.baseline else "not ranked",
            "bar": None,
        }
        if position in by_condition:
            row |= _judged(by_condition[position], span)
        rows.append(row | {"symbol": SYMBOLS.get(str(row["verdict"]), "")})
    return rows


def _judged(contrast: Contrast, span: tuple[float, float]) -> Row:
    row: Row = {"verdict": contrast.verdict}
    if contrast.estimate is None:
        return row
    write = Differences(contrast)
    is_equivalent = contrast.verdict == "equivalent"
    row |= {
        "difference": write.text(contrast.estimate.mean),
        "interval": write.interval(contrast.simultaneous),
        "p": p_text(contrast.p_equivalent if is_equivalent else contrast.p),
    }
    if contrast.simultaneous is None:
        return row
    low, high = (_place(x * write.scale, span) for x in contrast.simultaneous)
    middle = _place(contrast.estimate.mean * write.scale, span)
    bar = {"left": low, "width": max(high - low, 0.8), "point": middle, "zero": _place(0, span)}
    return row | {"bar": {name: f"{value:.2f}" for name, value in bar.items()}}


def _span(findings: Findings) -> tuple[float, float]:
    """Returns the limits of the table's small bars: all intervals, and 0."""
    ends = [0.0]
    for contrast in findings.contrasts:
        if contrast.simultaneous is not None:
            ends += [x * Differences(contrast).scale for x in contrast.simultaneous]
    return min(ends), max(ends)


def _place(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return 4 + 92 * (value - low) / (high - low) if high > low else 50.0


def _intervals(findings: Findings, position: int) -> Row:
    contrast, prospect = findings.contrasts[position], findings.prospects[position]
    experiment = findings.experiment
    row: Row = {
        "label": experiment.labels.short(contrast.condition),
        "pairs": f"{len(contrast.seeds)}/{num_planned(findings, contrast)}",
        "same_clips": NONE,
        "new_clips": NONE,
        "detectable": NONE,
    }
    estimate = contrast.estimate
    if estimate is None:
        return row
    write = Differences(contrast)
    if estimate.same_clips is not None:
        row["same_clips"] = write.interval(
            estimate.same_clips.interval(estimate.mean, estimate.confidence)
        )
    if estimate.new_clips is not None:
        row["new_clips"] = write.interval(
            estimate.new_clips.interval(estimate.mean, estimate.confidence)
        )
    if prospect.minimum_detectable is not None:
        row["detectable"] = say("about {size}", size=write.size(prospect.minimum_detectable))
    return row


def _secondary(findings: Findings) -> dict[str, Any]:
    """Returns the other measurements as a table, its longer side downwards to keep it narrow."""
    experiment = findings.experiment
    metrics = [experiment.metric(m.name).in_words for m in findings.secondary]
    conditions = [experiment.labels.short(k) for k in range(len(experiment.conditions))]
    by_metric = [
        [_cell(findings, m, k) for k in range(len(conditions))] for m in findings.secondary
    ]
    if len(conditions) <= len(metrics):
        corner, columns, rows, cells = say("measurement"), conditions, metrics, by_metric
    else:
        corner, columns, rows = say("condition"), metrics, conditions if metrics else []
        cells = list(zip(*by_metric, strict=True))
    return {
        "corner": corner,
        "columns": columns,
        "rows": [
            {"label": label, "cells": of_row} for label, of_row in zip(rows, cells, strict=True)
        ],
    }


def _cell(findings: Findings, metric: SecondaryMetric, position: int) -> Row:
    mean = float(means_over_seeds(metric.scores)[position])
    estimate, q = metric.estimates[position], metric.q[position]
    difference = ""
    if estimate is not None and np.isfinite(mean) and mean - estimate.mean > 0:
        difference = f"{signed(100 * estimate.mean / (mean - estimate.mean), 2)} %"
    return {
        "mean": measured(mean, findings.experiment.metric(metric.name)),
        "difference": difference,
        "q": "" if q is None else p_text(q),
    }


def _left_out(findings: Findings) -> str:
    levels = findings.levels
    if levels is None or not findings.num_left_out:
        return ""
    kept = levels.log_snr[levels.is_shared]
    if not len(kept):
        return ""
    return say(
        "{number} of {total} noise levels are inside the trained timestep range "
        "of every condition, from log-SNR {low} to {high}. {metric} is compared on "
        "those; the other {num_left_out} are extrapolation for some condition and "
        "are only shown.",
        number=len(kept),
        total=len(levels.log_snr),
        low=number(float(kept.min()), 2),
        high=number(float(kept.max()), 2),
        metric=findings.by_level,
        num_left_out=findings.num_left_out,
    )


def _not_judged(findings: Findings) -> list[str]:
    """Returns a sentence for each end of the trained range that no evaluated level can judge."""
    if findings.levels is None or findings.by_level != findings.experiment.primary:
        return []
    steps = findings.levels.timesteps
    ends = {"diffusion.min_step": int(steps.min()), "diffusion.max_step": int(steps.max())}
    sentences: list[str] = []
    for factor in findings.experiment.factors:
        levels = [c[factor.field] for c in findings.experiment.conditions if factor.field in c]
        low, high = (min(levels), max(levels)) if factor.field in ends and levels else (0, 0)
        # Each end belongs to its range: a level at the narrower one is trained on by all.
        is_noisy = factor.name == "max_step"
        inner = steps - 0.5 if is_noisy else steps + 0.5
        if low == high or ((low < inner) & (inner < high)).any():
            continue
        known = {"name": factor.name, "low": low, "high": high, "step": ends[factor.field]}
        sentences.append(_not_judged_noisy(known) if is_noisy else _not_judged_clean(known))
    return sentences


def _not_judged_clean(known: dict[str, Any]) -> str:
    return say(
        "No evaluated noise level lies between {name} {low} and {high} (the cleanest is at "
        "timestep {step}): {name} is judged only by what training on fewer timesteps frees, not by "
        "what sampling down to there would lose.",
        **known,
    )


def _not_judged_noisy(known: dict[str, Any]) -> str:
    return say(
        "No evaluated noise level lies between {name} {low} and {high} (the noisiest is at "
        "timestep {step}): {name} is judged only by what training on fewer timesteps frees, not by "
        "what sampling from there would lose.",
        **known,
    )
