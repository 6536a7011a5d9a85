"""The figures that say where in the space good values lie: slices, a contour, parallel lines."""

import math

import numpy as np
from jaxtyping import Float

from qdexp.config.metric import Metric
from qdexp.experiment.space import Parameter
from qdexp_analysis import figures_search
from qdexp_analysis.appearance import draw
from qdexp_analysis.figures_search import Scale
from qdexp_analysis.language import say
from qdexp_analysis.picture import Picture
from qdexp_analysis.quantities import measured, number, sentence_case
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_scales import places_of, scale_of, widened
from qdexp_analysis.search_words import values_text
from qdexp_analysis.surface import surface

MOST_SLICES = 12
"""Parameters that slices are drawn of."""

MOST_BEST = 10
"""Configurations that parallel lines have in colour."""


def place_pictures(found: SearchFindings) -> list[Picture]:
    """Draws what the complete configurations allow."""
    if len(found.complete) < 2:
        return []
    drawn = [_slices(found), _contour(found), _parallel(found)]
    return [each for each in drawn if each is not None]


def _slices(found: SearchFindings) -> Picture | None:
    shown = found.by_importance[:MOST_SLICES]
    places = [places_of(each, found.complete) for each in shown]
    rows = math.ceil(len(shown) / 2)
    figure, panels = draw(1.9 * rows + 0.2, num_rows=rows, num_columns=min(len(shown), 2))
    order = np.linspace(0, 1, len(found.complete))
    best = int(found.losses[:, 0].argmin())
    values = found.values[:, 0]
    for panel, parameter, at in zip(panels, shown, places, strict=False):
        scale = widened(scale_of(parameter), at)
        figures_search.one_slice(panel, scale, np.stack([at, values, order], axis=1), best)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    ends = [panel.get_ylim() for panel in panels[: len(shown)]]
    for panel in panels[: len(shown)]:
        panel.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    metric = found.objectives[0].metric.in_words
    for panel in panels[::2]:
        panel.set_ylabel(metric)
    caption = say("The fainter a point, the earlier it was suggested. Diamond: the best.")
    if any(each.choices for each in shown):
        caption += say(" Points of one choice are spread sideways.")
    if any(np.isnan(at).any() for at in places):
        caption += say(" A configuration is missing where a parameter does not act in it.")
    if len(shown) < len(found.searched.parameters):
        caption += say(
            " Shown are {shown} of {total} parameters.",
            shown=len(shown),
            total=len(found.searched.parameters),
        )
    return Picture(
        name="slices",
        section="slices",
        title=say("{metric} against each parameter", metric=sentence_case(metric)),
        caption=caption,
        text=say("; ").join(_slice_text(found, p, at) for p, at in zip(shown, places, strict=True)),
        figure=figure,
    )


def _slice_text(found: SearchFindings, parameter: Parameter, at: Float[np.ndarray, " n"]) -> str:
    """Returns where the best is, and how the objective goes with a number or differs by choice."""
    name, values = parameter.field.rpartition(".")[2], found.values[:, 0]
    metric = found.objectives[0].metric
    acts = np.isfinite(at)
    if not acts.any():
        return say("{name}: acts in no complete configuration", name=name)
    if parameter.choices:
        means = [
            say(
                "{choice} {value}",
                choice=choice,
                value=measured(float(values[at == k].mean()), metric),
            )
            for k, choice in enumerate(parameter.choices)
            if (at == k).any()
        ]
        return say("{name}: means {listed}", name=name, listed=say(", ").join(means))
    row = int(np.where(acts, found.losses[:, 0], np.inf).argmin())
    return say(
        "{name}: best {value} at {place}, {number} points from {low} to {high}",
        name=name,
        value=measured(float(values[row]), metric),
        place=number(float(at[row])),
        number=int(acts.sum()),
        low=number(float(at[acts].min())),
        high=number(float(at[acts].max())),
    )


def _contour(found: SearchFindings) -> Picture | None:
    numeric = [each for each in found.by_importance if not each.choices][:2]
    if len(numeric) < 2 or not found.has_variance:
        return None
    at = np.stack([places_of(each, found.complete) for each in numeric], axis=1)
    acts = np.isfinite(at).all(axis=1)
    if not acts.any():
        return None
    scales = tuple(widened(scale_of(p), at[acts, k]) for k, p in enumerate(numeric))
    one, two = scales
    points, values = at[acts], found.values[acts, 0]
    shares = np.stack([one.share(points[:, 0]), two.share(points[:, 1])], axis=1)
    guessed = surface(shares, values)
    if guessed is None:
        return None
    figure, (axes,) = draw(3.1)
    best = int(found.losses[acts, 0].argmin())
    grid = (one.at(guessed[0]), two.at(guessed[1]), guessed[2])
    figures_search.contour(axes, (one, two), points, grid, best)
    metric = found.objectives[0].metric
    return Picture(
        name="contour",
        section="slices",
        title=say(
            "{metric} over {one} and {two}",
            metric=sentence_case(metric.in_words),
            one=one.name,
            two=two.name,
        ),
        caption=say(
            "Points were measured; the lines are a smooth guess between them, whatever the other "
            "parameters were, and say nothing beyond the outermost points. Diamond: the best."
        ),
        text=_contour_text(metric, (one, two), points[best], values),
        figure=figure,
    )


def _contour_text(
    metric: Metric,
    scales: tuple[Scale, Scale],
    best: Float[np.ndarray, " 2"],
    values: Float[np.ndarray, " n"],
) -> str:
    return say(
        "From {low} to {high} over {number} points; best at {one} {place_one}, {two} {place_two}",
        low=measured(float(values.min()), metric),
        high=measured(float(values.max()), metric),
        number=len(values),
        one=scales[0].name,
        two=scales[1].name,
        place_one=number(float(best[0])),
        place_two=number(float(best[1])),
    )


def _parallel(found: SearchFindings) -> Picture | None:
    parameters = found.by_importance[:MOST_SLICES]
    if len(parameters) < 2:
        return None
    at = np.stack([places_of(each, found.complete) for each in parameters], axis=1)
    scales = [widened(scale_of(each), at[:, k]) for k, each in enumerate(parameters)]
    chosen = found.ranking[: min(MOST_BEST, max(len(found.complete) // 4, 1))]
    is_best = np.isin(np.arange(len(found.complete)), chosen)
    figure, (axes,) = draw(0.7 + 0.46 * len(scales))
    figures_search.parallel(axes, scales, at, is_best)
    records = [found.complete[k] for k in chosen[:3]]
    listed = say("; ").join(
        say(
            "number {number}, {values}",
            number=each.suggestion.number,
            values=values_text(each.suggestion.values),
        )
        for each in records
    )
    return Picture(
        name="parallel",
        section="slices",
        title=say("Every complete configuration as a line through its parameters"),
        caption=say(
            "In colour the best {number}, from the parameter that matters most downwards. A gap: "
            "the parameter does not act there.",
            number=len(chosen),
        ),
        text=say("The best: {listed}", listed=listed),
        figure=figure,
    )
