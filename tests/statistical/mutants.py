"""Wrong analyses, each a known mistake, put in the place of the right one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from checks import CHECKS, Check
from qdexp_analysis import contrasts, planning
from qdexp_analysis.contrasts import Contrast, Margin
from qdexp_analysis.intervals import Estimate, StandardError, estimate
from qdexp_analysis.scores import Scores
from scipy import special

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A mistake and where it must show.

    Args:
        patch: Puts it in.
        caught_by: The check that it must fail: the name in `CHECKS`, and which world.
    """

    patch: Patch
    caught_by: tuple[str, int]

    @property
    def check(self) -> Check:
        """The check that it must fail."""
        name, position = self.caught_by
        return next(checks for key, checks in CHECKS.items() if key.startswith(name))[position]


def _z_for_t(patch: pytest.MonkeyPatch) -> None:
    def interval(
        error: StandardError, mean: float, confidence: float = 0.95
    ) -> tuple[float, float]:
        half = float(special.ndtri((1 + confidence) / 2)) * error.value
        return mean - half, mean + half

    def p_two_sided(error: StandardError, mean: float) -> float:
        return float(2 * special.ndtr(-abs(mean) / error.value))

    patch.setattr(StandardError, "interval", interval)
    patch.setattr(StandardError, "p_two_sided", p_two_sided)


def _unpaired(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contrasts, "_contrast", contrasts._unpaired)  # pyright: ignore[reportPrivateUsage]


def _wrong_seeds(patch: pytest.MonkeyPatch) -> None:
    right = contrasts.paired

    def joined(scores: Scores, condition: int, baseline: int) -> Contrast:
        values = scores.values.copy()
        values[condition] = np.roll(values[condition], 1, axis=0)
        return right(replace(scores, values=values), condition, baseline)

    patch.setattr(contrasts, "paired", joined)


def _no_holm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contrasts, "holm", lambda p_values: list(p_values))


def _one_sided(patch: pytest.MonkeyPatch) -> None:
    def p_equivalent(
        contrast: Contrast, scores: Scores, baseline: int, margin: Margin | None
    ) -> float | None:
        assert margin is not None
        control = scores.values[baseline][list(contrast.seeds)]
        return estimate(margin.around(float(control.mean())) + contrast.differences).p_greater

    patch.setattr(contrasts, "_p_equivalent", p_equivalent)


def _pooled(patch: pytest.MonkeyPatch) -> None:
    """Takes the error from an analysis of variance over all conditions and seeds."""
    right = contrasts.paired

    def pooled(scores: Scores, condition: int, baseline: int) -> Contrast:
        found, means = right(scores, condition, baseline), scores.means
        k, s = means.shape
        rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
        df = (k - 1) * (s - 1)
        error = StandardError(value=float(np.sqrt(2 * (rest**2).sum() / df / s)), df=df)
        assert found.estimate is not None
        return replace(found, estimate=replace(found.estimate, same_clips=error))

    patch.setattr(contrasts, "paired", pooled)


def _dropped_divergences(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scores, "informatively_missing", lambda scores, _: np.zeros_like(scores.diverged))


def _no_clip_error(patch: pytest.MonkeyPatch) -> None:
    def errors(found: Estimate) -> Sequence[StandardError]:
        return () if found.same_clips is None else (found.same_clips,)

    patch.setattr(Estimate, "errors", property(errors))


def _rest_counted_twice(patch: pytest.MonkeyPatch) -> None:
    def no_rest(values: np.ndarray) -> float:
        return 0.0 * len(values)

    patch.setattr("qdexp_analysis.intervals.rest_of_mean", no_rest)


def _always_undecided(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contrasts, "_verdict", lambda *_: "undecided")


def _p_always_1(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contrasts, "holm", lambda p_values: [1.0 for _ in p_values])


def _plug_in_deviation(patch: pytest.MonkeyPatch) -> None:
    def plug_in(differences: np.ndarray) -> float:
        return float(differences.mean(axis=1).var(ddof=1))

    patch.setattr(planning, "upper_variance", plug_in)


WITHOUT_EFFECT = "'better' or 'worse' anywhere without any effect"
AT_THE_MARGIN = "'equivalent' anywhere at a margin of 2:"
POWER = "power minus"
UNIFORM = "distance of null p values"
COVERAGE = "a contrast's own 95 % interval covers"

MUTANTS: Mapping[str, Mutant] = {
    "z for t": Mutant(patch=_z_for_t, caught_by=(WITHOUT_EFFECT, 0)),
    "z for t, in an interval": Mutant(patch=_z_for_t, caught_by=(COVERAGE, 0)),
    "unpaired": Mutant(patch=_unpaired, caught_by=(UNIFORM, 1)),
    "unpaired, in power": Mutant(patch=_unpaired, caught_by=(POWER, 1)),
    "seeds joined wrongly": Mutant(patch=_wrong_seeds, caught_by=(UNIFORM, 1)),
    "seeds joined wrongly, in power": Mutant(patch=_wrong_seeds, caught_by=(POWER, 2)),
    "Holm off": Mutant(patch=_no_holm, caught_by=(WITHOUT_EFFECT, 3)),
    "Holm off, in equivalence": Mutant(patch=_no_holm, caught_by=(AT_THE_MARGIN, 1)),
    "one-sided TOST": Mutant(patch=_one_sided, caught_by=(AT_THE_MARGIN, 0)),
    "pooled ANOVA": Mutant(patch=_pooled, caught_by=(WITHOUT_EFFECT, 7)),
    "dropped divergences": Mutant(
        patch=_dropped_divergences, caught_by=("'better' or 'worse' anywhere where trials", 1)
    ),
    "clips' error left out": Mutant(patch=_no_clip_error, caught_by=(WITHOUT_EFFECT, 10)),
    "clips' error left out, in an interval": Mutant(patch=_no_clip_error, caught_by=(COVERAGE, 5)),
    "the rest counted twice": Mutant(patch=_rest_counted_twice, caught_by=(COVERAGE, 6)),
    "always undecided": Mutant(patch=_always_undecided, caught_by=(POWER, 0)),
    "p always 1": Mutant(patch=_p_always_1, caught_by=(UNIFORM, 0)),
    "never equivalent": Mutant(patch=_p_always_1, caught_by=("'equivalent' where it is true", 0)),
    "seeds from the plug-in deviation": Mutant(
        patch=_plug_in_deviation, caught_by=("suggested seeds", 0)
    ),
}
"""Every mistake that the checks must see, and the check that sees it."""
