"""The samplers of a search and their options, without the library that has most of them.

Options bear Optuna's names. Left out is what Optuna is about to remove, what takes a function or
an object, and what would only warn. CMA-ES is left out: it pickles its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from qdexp.experiment.search_spec import SamplerName


@dataclass(frozen=True, kw_only=True)
class Option:
    """What an option may be: true or false, or a number from `least` to `most`."""

    kind: type[bool] | type[int] | type[float]
    least: float = 0
    most: float = float("inf")

    @property
    def in_words(self) -> str:
        """What messages call it."""
        if self.kind is bool:
            return "true or false"
        to = "" if self.most == float("inf") else f" to {self.most:g}"
        return f"a {'whole ' if self.kind is int else ''}number from {self.least:g}{to}"

    def allows(self, value: object) -> bool:
        """Tells whether it may have a value."""
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        kinds = int if self.kind is int else int | float
        return isinstance(value, kinds) and self.least <= value <= self.most


_SHARE = Option(kind=float, most=1)

SAMPLERS: Mapping[SamplerName, Mapping[str, Option]] = {
    "tpe": {
        "n_startup_trials": Option(kind=int),
        "n_ei_candidates": Option(kind=int, least=1),
        "group": Option(kind=bool),
        "constant_liar": Option(kind=bool),
    },
    "gp": {
        "n_startup_trials": Option(kind=int, least=1),
        "deterministic_objective": Option(kind=bool),
    },
    "nsga2": {
        "population_size": Option(kind=int, least=2),
        "mutation_prob": _SHARE,
        "crossover_prob": _SHARE,
        "swapping_prob": _SHARE,
    },
    "quasi_random": {},
    "random": {},
    "grid": {},
}
