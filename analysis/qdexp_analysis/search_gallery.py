"""The figures of a search's report, each with its words."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from qdexp_analysis import figures_search
from qdexp_analysis.appearance import draw, settle, shortened, styled
from qdexp_analysis.language import say
from qdexp_analysis.picture import Picture
from qdexp_analysis.quantities import measured, number, sentence_case
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_importance_words import rest_of, share_text
from qdexp_analysis.search_places import place_pictures
from qdexp_analysis.search_words import reference_text


def search_pictures(found: SearchFindings) -> tuple[Picture, ...]:
    """Draws every figure that a search allows."""
    with styled():
        drawn = [
            *_courses(found),
            *_fronts(found),
            *_importances(found),
            *place_pictures(found),
        ]
        for picture in drawn:
            settle(picture.figure)
    return tuple(drawn)


def _courses(found: SearchFindings) -> list[Picture]:
    course = found.course
    if not found.complete:
        return []
    drawn = [_course(found, "trials", course.trials, say("trials"))]
    if course.hours.any():
        label = say("GPU-hours") if course.on_gpus else say("hours of trials")
        drawn.append(_course(found, "hours", course.hours, label))
    return drawn


def _course(found: SearchFindings, name: str, cost: Float[np.ndarray, " n"], label: str) -> Picture:
    course = found.course
    figure, (axes,) = draw(2.5)
    metric = found.objectives[0].metric.in_words
    base = found.baseline_values
    if found.is_single:
        baseline = None if base is None else float(base[0])
        figures_search.course(axes, cost, course.values, course.best, baseline)
        axes.set_ylabel(metric)
        title = say("Best {metric} so far against {cost}", metric=metric, cost=label)
        caption = say(
            "Points: configurations. Line: the best so far. Dashed: the baseline. Crosses at the "
            "foot: pruned or failed ones, which cost too."
        )
    else:
        known = np.where(np.isfinite(course.values), course.best, np.nan)
        figures_search.course(axes, cost, known, course.best, None)
        axes.set_ylabel(say("hypervolume, share of the box"))
        title = say("Hypervolume so far against {cost}", cost=label)
        caption = say("Reference point: {reference}.", reference=reference_text(found))
    if name == "hours":
        caption += say(" Of each trial its last attempt counts, and trials side by side add up.")
    if name == "trials":
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel(label)
    return Picture(
        name=f"best-by-{name}",
        section="course",
        title=title,
        caption=caption,
        text=_course_text(found, cost, label),
        figure=figure,
    )


def _course_text(found: SearchFindings, cost: Float[np.ndarray, " n"], label: str) -> str:
    """Returns where the best so far changed: ``after 3 trials 0.51; after 9 trials 0.49``."""
    best = found.course.best
    rows = [
        k for k in range(len(best)) if np.isfinite(best[k]) and (not k or best[k] != best[k - 1])
    ]
    return say("; ").join(
        say(
            "after {cost} {label} {value}",
            cost=number(float(cost[k]), 3),
            label=label,
            value=_so_far(found, float(best[k])),
        )
        for k in rows
    )


def _so_far(found: SearchFindings, value: float) -> str:
    if found.is_single:
        return measured(value, found.objectives[0].metric)
    return number(value, 3)


def _fronts(found: SearchFindings) -> list[Picture]:
    if found.is_single or not found.complete:
        return []
    return [_front(found, other) for other in range(1, len(found.objectives))]


def _front(found: SearchFindings, other: int) -> Picture:
    one, two = found.objectives[0], found.objectives[other]
    pair = found.values[:, [0, other]]
    base = found.baseline_values
    figure, (axes,) = draw(2.9)
    marked = None if base is None else base[[0, other]]
    figures_search.front(axes, pair, (one.sign, two.sign), found.on_front, marked)
    axes.set_xlabel(_better(one.metric.in_words, one.direction))
    axes.set_ylabel(_better(two.metric.in_words, two.direction))
    return Picture(
        name=f"front-{other}",
        section="front",
        title=say(
            "{two} against {one}",
            two=sentence_case(two.metric.in_words),
            one=one.metric.in_words,
        ),
        caption=say(
            "Coloured, and joined by the line: the Pareto front of all objectives. Faint: the "
            "others. Square: the baseline. It is by the search's own values, no test."
        ),
        text=_front_text(found, other),
        figure=figure,
    )


def _better(name: str, direction: str) -> str:
    if direction == "lower":
        return say("{metric} (lower is better)", metric=name)
    return say("{metric} (higher is better)", metric=name)


def _front_text(found: SearchFindings, other: int) -> str:
    on = np.flatnonzero(found.on_front)
    return say("On the front: {listed}.", listed=_points(found, on.tolist(), other))


def _points(found: SearchFindings, rows: Sequence[int], other: int) -> str:
    one, two = found.objectives[0].metric, found.objectives[other].metric
    return say("; ").join(
        say(
            "number {number}, {one} and {two}",
            number=found.complete[k].suggestion.number,
            one=measured(float(found.values[k, 0]), one),
            two=measured(float(found.values[k, other]), two),
        )
        for k in rows
    )


def _importances(found: SearchFindings) -> list[Picture]:
    if not found.importances or not found.has_variance or not found.importances[0]:
        return []
    known = found.importances[0]
    fields = [each.field for each in found.by_importance if each.field in known]
    values = np.array([known[field] for field in fields])
    figure, (axes,) = draw(0.8 + 0.32 * len(fields))
    names = [shortened(field.rpartition(".")[2]) for field in fields]
    figures_search.shares(axes, names, values)
    axes.set_xlabel(say("share of the variance alone, %"))
    listed = say("; ").join(
        say("{name} {share}", name=name, share=share_text(float(share)))
        for name, share in zip(names, values, strict=True)
    )
    rest = share_text(rest_of(float(values.sum())))
    metric = found.objectives[0].metric.in_words
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return [
        Picture(
            name="importance",
            section="importance",
            title=say("What each parameter alone does to {metric}, by fANOVA", metric=metric),
            caption=say(
                "The rest, {rest}, belongs to several parameters together. A description of what "
                "the forest learned from the search's own points, no test.",
                rest=rest,
            ),
            text=say("{listed}; several together {rest}", listed=listed, rest=rest),
            figure=figure,
        )
    ]
