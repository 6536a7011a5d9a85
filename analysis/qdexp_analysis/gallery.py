"""The figures of a report, each with its caption: what is drawn from which findings."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from qdexp_analysis import figures
from qdexp_analysis.appearance import INK, MUTED, Look, draw, looks, styled, svg
from qdexp_analysis.comparability import level_errors, range_factors, refusal, scores
from qdexp_analysis.factor_maps import factor_maps
from qdexp_analysis.fewer import drawn, drawn_text, of_conditions
from qdexp_analysis.findings import Findings
from qdexp_analysis.histories import MOST_DRAWN
from qdexp_analysis.quantities import sentence_case
from qdexp_analysis.words import margin_text

MOST_CURVES = 4
"""Metrics of a user's own training whose histories are drawn."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as inline SVG.

    Args:
        section: The part of the report that it belongs to.
        title: What it shows; also its text for those who cannot see it.
        caption: How to read it.
        svg: The drawing.
    """

    section: str
    title: str
    caption: str
    svg: str


def pictures(findings: Findings) -> tuple[Picture, ...]:
    """Draws every figure that the measurements allow, of as many conditions as it can show."""
    positions = drawn(findings)
    which = drawn_text(findings, positions)
    every = looks(findings.experiment)
    look = tuple(every[position] for position in positions)
    with styled():
        maps = factor_maps(findings)  # they are of levels, all of them
        findings = of_conditions(findings, positions)
        made = [
            _forest(findings, look),
            _paired(findings, look),
            *(Picture(section="verdicts", **each) for each in maps),
            *_curves(findings, look),
            _codebook(findings, look),
            _curve(findings, look, "train.perplexity", "on training batches"),
            _levels(findings, look),
            _cost(findings, look),
        ]
    return tuple(
        replace(picture, caption=f"{picture.caption} {which}".strip())
        for picture in made
        if picture is not None
    )


def _num_completed(findings: Findings) -> int:
    """Returns the number of conditions that have a completed trial."""
    return int(findings.scores.is_complete.any(axis=1).sum())


def _factors(findings: Findings) -> str:
    return findings.experiment.labels.heading


def _forest(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    if not any(c.estimate is not None and c.baseline_mean > 0 for c in findings.contrasts):
        return None
    figure, (axes,) = draw(0.8 + 0.34 * len(findings.contrasts))
    figures.forest(axes, findings.contrasts, look, findings.margin)
    axes.set_title(_factors(findings), color=MUTED, weight="normal")
    title = f"Differences in {findings.primary.in_words} from the baseline"
    band = ""
    if findings.margin is not None:
        band = f" The band is the smallest effect of interest, {margin_text(findings)}."
    good = {"lower": "Left is better. ", "higher": "Right is better. "}.get(findings.direction, "")
    caption = f"{good}Bars are 95 % intervals of one contrast, before Holm's correction.{band}"
    return Picture(section="verdicts", title=title, caption=caption, svg=svg(figure, title))


def _paired(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    if _num_completed(findings) < 2:
        return None
    figure, (axes,) = draw(2.5)
    name = findings.primary.in_words
    figures.paired_values(axes, findings.scores.means, look, name)
    axes.set_xlabel(_factors(findings))
    title = f"{sentence_case(name)} of every trial"
    caption = "A grey line joins the trials of one seed: the contrasts compare along these lines."
    if findings.refused is not None:
        caption = f"Not for ranking: {findings.refused}."
    return Picture(section="verdicts", title=title, caption=caption, svg=svg(figure, title))


def _curves(findings: Findings, look: tuple[Look, ...]) -> list[Picture | None]:
    if findings.experiment.is_own:
        own = findings.experiment.declared.in_order(findings.experiment.history_names)
        return [_curve(findings, look, name, "while training") for name in own[:MOST_CURVES]]
    return [
        _curve(findings, look, "eval.curve_denoising_loss", "on a held-out subset"),
        _curve(findings, look, "train.denoising_loss", "on training batches"),
    ]


def _curve(findings: Findings, look: tuple[Look, ...], metric: str, where: str) -> Picture | None:
    history = findings.experiment.history(metric, MOST_DRAWN)
    history = history[np.isfinite(history["value"].astype(float))]
    if history.empty:
        return None
    figure, (axes,) = draw(2.5)
    name = findings.experiment.metric(metric).in_words.removeprefix("curve ")
    figures.learning_curves(axes, pd.DataFrame(history), look, name)
    if findings.experiment.is_own:
        axes.set_xlabel("step")
    title = f"{sentence_case(name)} {where}"
    caption = "Line: mean over seeds. Band: from the lowest seed to the highest."
    reason = refusal(findings.experiment, metric)
    if reason is not None and metric.startswith("eval.") and range_factors(findings.experiment):
        caption += " Each condition over its own trained levels: not for ranking."
    elif reason is not None:
        caption += f" Not for ranking: {reason}."
    section = "codebook" if metric == "train.perplexity" else "learning"
    return Picture(section=section, title=title, caption=caption, svg=svg(figure, title))


def _codebook(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    experiment = findings.experiment
    usage = scores(experiment, "eval.codebook_usage").means
    perplexity = scores(experiment, "eval.perplexity").means
    if np.isnan(usage).all() or np.isnan(perplexity).all():
        return None
    configurations = [
        experiment.records_at(k)[0].trial.ours for k in range(len(experiment.conditions))
    ]
    tokens = [c.evaluation.codebook_tokens for c in configurations]
    if len(set(tokens)) > 1:  # both are bounded by what was counted
        return None
    codes = np.array([c.model.num_embeddings for c in configurations], dtype=float)
    bounds = np.minimum(codes, tokens)
    figure, (left, right) = draw(0.9 + 0.3 * len(look), num_columns=2)
    figures.bounded_values(left, 100 * usage, 100 * bounds / codes, look)
    figures.bounded_values(right, perplexity, bounds, look)
    left.set_xticks([0, 50, 100])
    left.set_xlim(0, 112)
    left.set_title("Codes used, %", color=INK)
    right.set_title("Perplexity, codes", color=INK)
    right.tick_params(labelleft=False)
    title = "Codebook usage and perplexity against their bound"
    counted = f"{tokens[0]:,}"
    caption = (
        f"By {_factors(findings)}. Dots are trials, the bar their mean, the tick the most that is "
        f"possible: the smaller of the codebook's size and the {counted} held-out tokens counted."
    )
    return Picture(section="codebook", title=title, caption=caption, svg=svg(figure, title))


def _levels(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    experiment, levels = findings.experiment, findings.levels
    if levels is None or findings.by_level is None:
        return None
    errors = level_errors(experiment, findings.by_level)
    if errors is None:
        return None
    has_differences = any(contrast.seeds for contrast in findings.contrasts)
    rows = 2 if has_differences else 1
    figure, axes = draw(1.9 * rows + 0.4, num_rows=rows)
    figures.errors_by_level(axes[0], levels.log_snr, errors, look, is_labelled=not has_differences)
    if has_differences and experiment.baseline is not None:
        figures.differences_by_level(axes[1], levels.log_snr, errors, look, experiment.baseline)
        axes[0].tick_params(labelbottom=False)
    else:
        axes[0].set_xlabel(figures.LEVELS)
    for panel in axes:
        figures.shade_extrapolation(panel, levels.log_snr, levels.is_shared.tolist())
    title = (
        f"{sentence_case(findings.experiment.metric(findings.by_level).in_words)} by noise level"
    )
    caption = "Mean over seeds."
    if has_differences:
        caption = "Above, the error itself; below, the difference, with a band over seeds."
    if findings.num_left_out:
        caption += (
            " Shaded levels lie outside the trained timestep range of at least one condition: "
            "they are extrapolation and enter no comparison."
        )
    return Picture(section="levels", title=title, caption=caption, svg=svg(figure, title))


def _cost(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    metric = findings.secondary_named("cost.step_seconds")
    if metric is None or findings.refused is not None or _num_completed(findings) < 2:
        return None
    figure, (axes,) = draw(2.6)
    figures.quality_against_cost(axes, 1000 * metric.scores.means, findings.scores.means, look)
    axes.set_xlabel("time of a training step, ms")
    axes.set_ylabel(findings.primary.in_words)
    title = f"{sentence_case(findings.primary.in_words)} against the time of a step"
    caption = "Faint: trials. Bold: means of conditions."
    if findings.has_mixed_machines:
        caption += " Machines were mixed, so times are no fair comparison."
    elif findings.step_times is not None and findings.step_times.num_sessions > 1:
        caption += " Trials ran at different times, perhaps beside other load."
    return Picture(section="cost", title=title, caption=caption, svg=svg(figure, title))
