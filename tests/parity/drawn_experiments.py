"""Values that are drawn, and their effects as the report has them."""

import itertools

import numpy as np
from qdexp_analysis.contrasts import Contrast, Scores
from qdexp_analysis.design import read_design
from qdexp_analysis.effects import Effect, factorial_effects
from qdexp_analysis.factor import read_factors
from qdexp_analysis.slopes import DoseResponse, dose_responses
from scipy import stats

Levels = dict[str, tuple[object, ...]]
TWO_BY_TWO: Levels = {"model.num_embeddings": (64, 256), "training.learning_rate": (0.001, 0.01)}


def conditions_of(levels: Levels) -> list[dict[str, object]]:
    return [
        dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())
    ]


def effects_of(
    values: np.ndarray, levels: Levels
) -> tuple[tuple[Effect, ...], tuple[DoseResponse, ...]]:
    """Returns the effects and dose responses of a full factorial's values (conditions, seeds)."""
    definition = {
        "design": "full_factorial",
        "factors": [
            {"field": field, "levels": list(of), "baseline": of[0]} for field, of in levels.items()
        ],
    }
    conditions = conditions_of(levels)
    design = read_design(definition, read_factors(definition), conditions)
    scores = scores_of(values)
    effects = factorial_effects(scores, conditions, design)
    return effects, dose_responses(scores, conditions, design, None, effects)


def scores_of(values: np.ndarray) -> Scores:
    return Scores(
        values=values[:, :, None], diverged=np.zeros(values.shape, dtype=bool), direction="lower"
    )


def drawn(num_conditions: int, num_seeds: int = 5) -> np.ndarray:
    draw = np.random.default_rng([num_conditions, num_seeds])
    return 1 + draw.normal(0, 0.1, (num_conditions, num_seeds)) + draw.normal(0, 0.3, num_seeds)


def t_test(values: np.ndarray, alternative: str = "two-sided") -> tuple[float, float]:
    """Returns scipy's t and p of a mean of 0."""
    t, p = np.array(stats.ttest_1samp(values, 0, alternative=alternative)).tolist()
    return t, p


def t_of(contrast: Contrast) -> float:
    assert contrast.estimate is not None
    assert contrast.estimate.same_clips is not None
    return contrast.estimate.mean / contrast.estimate.same_clips.value
