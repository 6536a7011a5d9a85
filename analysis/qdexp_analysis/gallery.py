"""The figures of a report, each with its words: what is drawn from which findings."""

from dataclasses import replace

import numpy as np
import pandas as pd

from qdexp_analysis import figures
from qdexp_analysis.appearance import MUTED, Look, draw, looks, settle, styled
from qdexp_analysis.comparability import level_errors, range_factors, refusal
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.factor_maps import factor_maps
from qdexp_analysis.figure_labels import has_long_labels
from qdexp_analysis.figure_words import (
    band_caption,
    curves_text,
    forest_caption,
    forest_text,
    front_caption,
    front_text,
    some_of_all,
    values_text,
)
from qdexp_analysis.figures_cost import quality_against_cost, trials_behind
from qdexp_analysis.figures_forest import ForestRow, forest
from qdexp_analysis.findings import Findings
from qdexp_analysis.gallery_codes import code_pictures
from qdexp_analysis.histories import MOST_DRAWN
from qdexp_analysis.language import say
from qdexp_analysis.picture import Picture
from qdexp_analysis.quantities import sentence_case
from qdexp_analysis.shown import MOST_LINES, MOST_ROWS, telling, telling_contrasts
from qdexp_analysis.simultaneous import Limits
from qdexp_analysis.step_times import STEP_SECONDS

MOST_CURVES = 4
"""Metrics of a user's own training whose histories are drawn."""

Looks = tuple[Look, ...]


def pictures(findings: Findings) -> tuple[Picture, ...]:
    """Draws every figure that the measurements allow."""
    look = looks(findings.experiment)
    with styled():
        drawn = [
            _forest(findings, look),
            _paired(findings, look),
            *factor_maps(findings),
            *_curves(findings, look),
            *code_pictures(findings, look),
            _curve(findings, look, "train.perplexity", say("on training batches")),
            _levels(findings, look),
            _cost(findings, look),
        ]
        found = tuple(picture for picture in drawn if picture is not None)
        for picture in found:
            settle(picture.figure)
    return found


def _num_completed(findings: Findings) -> int:
    """Returns the number of conditions that have a completed trial."""
    return int(findings.scores.is_complete.any(axis=1).sum())


def _factors(findings: Findings) -> str:
    return findings.experiment.labels.heading


def _forest(findings: Findings, look: Looks) -> Picture | None:
    contrasts = telling_contrasts(findings.contrasts, MOST_ROWS)
    estimated = [c for c in contrasts if c.estimate is not None]
    if not estimated:
        return None
    is_relative = all(c.baseline_mean > 0 for c in estimated)
    rows = [_forest_row(c, look[c.condition], is_relative=is_relative) for c in contrasts]
    figure, (axes,) = draw(0.9 + 0.34 * len(rows))
    margin = findings.margin and findings.margin.value * (100 if is_relative else 1)
    if findings.margin is not None and findings.margin.is_relative != is_relative:
        base = float(np.mean([c.baseline_mean for c in estimated]))
        margin = margin / base if is_relative and margin else None
    forest(axes, rows, margin)
    axes.set_xlabel(
        say("difference from the baseline, %")
        if is_relative
        else say("difference from the baseline")
    )
    axes.set_title(_factors(findings), color=MUTED, weight="normal")
    return Picture(
        name="forest",
        section="verdicts",
        title=say("Differences in {metric} from the baseline", metric=findings.primary.in_words),
        caption=forest_caption(findings, contrasts),
        text=forest_text(findings, contrasts),
        figure=figure,
    )


def _forest_row(contrast: Contrast, look: Look, *, is_relative: bool) -> ForestRow:
    estimate = contrast.estimate
    if estimate is None:
        return ForestRow(look=look, difference=None, interval=None)
    scale = 100 / contrast.baseline_mean if is_relative else 1.0
    limits = estimate.interval
    return ForestRow(
        look=look,
        difference=estimate.mean * scale,
        interval=_scaled(limits, scale),
        simultaneous=_scaled(contrast.simultaneous, scale),
        is_decided=contrast.verdict != "undecided",
    )


def _scaled(limits: Limits | None, scale: float) -> Limits | None:
    return None if limits is None else (limits[0] * scale, limits[1] * scale)


def _paired(findings: Findings, look: Looks) -> Picture | None:
    if _num_completed(findings) < 2:
        return None
    shown = telling(findings, MOST_LINES)
    chosen = [look[k] for k in shown]
    is_long = has_long_labels(chosen)
    figure, (axes,) = draw(0.9 + 0.3 * len(chosen) if is_long else 2.5)
    name = findings.primary.in_words
    figures.paired_values(axes, findings.scores.means[list(shown)], chosen, name)
    if is_long:
        axes.set_title(_factors(findings), color=MUTED, weight="normal")
    else:
        axes.set_xlabel(_factors(findings))
    caption = say(
        "A grey line joins the trials of one seed: the contrasts compare along these lines."
    )
    if findings.refused is not None:
        caption = say("Not for ranking: {refused}.", refused=findings.refused)
    return Picture(
        name="trials",
        section="verdicts",
        title=say("{metric} of every trial", metric=sentence_case(name)),
        caption=caption + some_of_all(len(shown), len(look)),
        text=values_text(findings, findings.scores.means, findings.primary),
        figure=figure,
    )


def _curves(findings: Findings, look: Looks) -> list[Picture | None]:
    if findings.experiment.is_own:
        own = findings.experiment.declared.in_order(findings.experiment.history_names)
        return [_curve(findings, look, name, say("while training")) for name in own[:MOST_CURVES]]
    return [
        _curve(findings, look, "eval.curve_denoising_loss", say("on a held-out subset")),
        _curve(findings, look, "train.denoising_loss", say("on training batches")),
    ]


def _curve(findings: Findings, look: Looks, metric: str, where: str) -> Picture | None:
    shown = telling(findings, MOST_LINES)
    history = findings.experiment.history(metric, MOST_DRAWN, shown)
    history = history[np.isfinite(history["value"].astype(float))]
    if history.empty:
        return None
    figure, (axes,) = draw(2.5)
    name = findings.experiment.metric(metric).in_words.removeprefix("curve ")
    ends = figures.learning_curves(axes, pd.DataFrame(history), {k: look[k] for k in shown}, name)
    if findings.experiment.is_own:
        axes.set_xlabel(say("step"))
    caption = band_caption() + some_of_all(len(shown), len(look))
    reason = refusal(findings.experiment, metric)
    if reason is not None and metric.startswith("eval.") and range_factors(findings.experiment):
        caption += say(" Each condition over its own trained levels: not for ranking.")
    elif reason is not None:
        caption += say(" Not for ranking: {reason}.", reason=reason)
    return Picture(
        name=f"curve-{_file_part(metric)}",
        section="codebook" if metric == "train.perplexity" else "learning",
        title=say("{name} {where}", name=sentence_case(name), where=where),
        caption=caption,
        text=curves_text(findings, ends),
        figure=figure,
    )


def _file_part(metric: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in metric.lower())


def _levels(findings: Findings, look: Looks) -> Picture | None:
    experiment, levels = findings.experiment, findings.levels
    if levels is None or findings.by_level is None:
        return None
    errors = level_errors(experiment, findings.by_level)
    if errors is None:
        return None
    shown = telling(findings, MOST_LINES)
    of_shown, chosen = errors[list(shown)], [look[k] for k in shown]
    has_differences = any(contrast.seeds for contrast in findings.contrasts)
    rows = 2 if has_differences else 1
    figure, axes = draw(1.9 * rows + 0.4, num_rows=rows)
    ends = figures.errors_by_level(
        axes[0], levels.log_snr, of_shown, chosen, is_labelled=not has_differences
    )
    if has_differences and experiment.baseline is not None:
        base = errors[experiment.baseline]
        figures.differences_by_level(axes[1], levels.log_snr, of_shown, chosen, base)
        axes[0].tick_params(labelbottom=False)
    else:
        axes[0].set_xlabel(figures.levels_label())
    for panel in axes:
        figures.shade_extrapolation(panel, levels.log_snr, levels.is_shared.tolist())
    return Picture(
        name="levels",
        section="levels",
        title=say(
            "{metric} by noise level",
            metric=sentence_case(experiment.metric(findings.by_level).in_words),
        ),
        caption=_levels_caption(findings, has_differences=has_differences)
        + some_of_all(len(shown), len(look)),
        text=curves_text(findings, [(shown[row], first, last) for row, first, last in ends]),
        figure=figure,
    )


def _levels_caption(findings: Findings, *, has_differences: bool) -> str:
    caption = say("Mean over seeds.")
    if has_differences:
        caption = say("Above, the error itself; below, the difference, with a band over seeds.")
    if findings.num_left_out:
        caption += say(
            " Shaded levels lie outside the trained timestep range of at least one "
            "condition: they are extrapolation and enter no comparison."
        )
    return caption


def _cost(findings: Findings, look: Looks) -> Picture | None:
    metric, found = findings.secondary_named(STEP_SECONDS), findings.trade_off
    if metric is None or found is None or _num_completed(findings) < 2:
        return None
    figure, (axes,) = draw(2.7)
    trials_behind(axes, 1000 * metric.scores.means, findings.scores.means, look)
    in_ms = replace(found, cost=1000 * found.cost)
    quality_against_cost(axes, in_ms, look, telling(findings, MOST_LINES))
    axes.set_xlabel(say("time of a training step, ms"))
    axes.set_ylabel(findings.primary.in_words)
    caption = front_caption()
    if findings.has_mixed_machines:
        caption += say(" Machines were mixed, so times are no fair comparison.")
    elif findings.step_times is not None and findings.step_times.num_sessions > 1:
        caption += say(" Trials ran at different times, perhaps beside other load.")
    return Picture(
        name="cost",
        section="cost",
        title=say(
            "{metric} against the time of a step",
            metric=sentence_case(findings.primary.in_words),
        ),
        caption=caption,
        text=front_text(findings),
        figure=figure,
    )
