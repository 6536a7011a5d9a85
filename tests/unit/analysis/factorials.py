"""Full factorials whose numbers are made up."""

from typing import Any

import numpy as np
from qdexp_analysis.contrasts import Scores
from qdexp_analysis.design import Design, read_design
from qdexp_analysis.factor import read_factors

SIZE, RATE = "model.num_embeddings", "training.learning_rate"


def grid(**levels: tuple[Any, ...]) -> tuple[list[dict[str, Any]], Design]:
    """Returns the conditions and the design of a full factorial of a size and a quantizer."""
    fields = {"size": SIZE, "kind": "model.quantizer", "rate": RATE}
    factors = [
        {"field": fields[name], "levels": list(of), "baseline": of[0]}
        for name, of in levels.items()
    ]
    definition = {"design": "full_factorial", "factors": factors}
    conditions: list[dict[str, Any]] = [{}]
    for factor in factors:
        conditions = [c | {factor["field"]: x} for c in conditions for x in factor["levels"]]
    return conditions, read_design(definition, read_factors(definition), conditions)


def scores_of(values: np.ndarray) -> Scores:
    return Scores(
        values=values if values.ndim == 3 else values[:, :, None],
        diverged=np.zeros(values.shape[:2], dtype=bool),
        direction="lower",
    )


def noisy(means: list[float], *, seeds: int = 5, noise: float = 0.002) -> Scores:
    draw = np.random.default_rng(3)
    shared = draw.normal(0, 0.1, (1, seeds))
    return scores_of(np.array(means)[:, None] + shared + draw.normal(0, noise, (len(means), seeds)))
