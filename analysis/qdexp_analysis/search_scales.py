"""Where the values of parameters stand along the axes of a search's figures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord
from qdexp_analysis.appearance import shortened
from qdexp_analysis.figures_search import Scale

MOST_LETTERS = 12
"""Of the name of a choice on an axis."""


def scale_of(parameter: Parameter) -> Scale:
    """Returns a parameter's axis: its choices side by side, or its numbers."""
    name = shortened(parameter.field.rpartition(".")[2])
    if parameter.choices:
        names = (str(choice) for choice in parameter.choices)
        ticks = tuple((float(k), _short(each)) for k, each in enumerate(names))
        return Scale(name=name, ticks=ticks, low=0.0, high=max(len(ticks) - 1.0, 0.0))
    low, high = float(parameter.low or 0), float(parameter.high or 0)
    return Scale(name=name, ticks=(), low=low, high=high, is_log=parameter.log)


def places_of(parameter: Parameter, records: Sequence[SuggestionRecord]) -> Float[np.ndarray, " n"]:
    """Returns where each suggestion stands on a parameter's axis; nan where it does not act.

    A choice that the space does not have, as the baseline may, stands nowhere, nor does what is no
    number among numbers.
    """
    return np.array([_place(parameter, each) for each in records], dtype=float)


def widened(scale: Scale, places: Float[np.ndarray, " n"]) -> Scale:
    """Returns an axis that also reaches what lies outside of the space, as the baseline may."""
    known = places[np.isfinite(places)]
    if scale.ticks or not len(known):
        return scale
    low, high = min(scale.low, known.min()), max(scale.high, known.max())
    is_log = scale.is_log and low > 0
    return Scale(name=scale.name, ticks=(), low=float(low), high=float(high), is_log=is_log)


def _place(parameter: Parameter, record: SuggestionRecord) -> float:
    values = record.suggestion.values
    if parameter.field not in values:
        return np.nan
    value = values[parameter.field]
    if parameter.choices:
        found = [k for k, each in enumerate(parameter.choices) if each == value]
        return float(found[0]) if found else np.nan
    return float(value) if parameter.has_place_for(value) else np.nan


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
