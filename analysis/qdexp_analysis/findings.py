"""What an experiment found: everything that words, tables and figures say, computed once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qdexp.config.metric import Metric
from qdexp_analysis.code_use import CodesByBucket, CodeShares, code_shares, codes_by_bucket
from qdexp_analysis.comparability import (
    CLIP_ERRORS,
    Levels,
    clip_sources,
    refusal,
    scores,
    shared_levels,
)
from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge, paired
from qdexp_analysis.declared import COST
from qdexp_analysis.effects import Effect, factorial_effects
from qdexp_analysis.intervals import Estimate
from qdexp_analysis.left_out import left_out
from qdexp_analysis.planning import (
    clips_suffice,
    family_level,
    minimum_detectable,
    seeds_needed,
)
from qdexp_analysis.step_times import STEP_SECONDS, StepTimes, step_times
from qdexp_analysis.table import Experiment
from qdexp_analysis.trade_off import TradeOff, trade_off

PROVENANCE_KEYS = ("commit", "dirty", "versions", "hardware", "host", "device", "num_threads")


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What more trials could decide about a contrast.

    Args:
        minimum_detectable: The true difference found with 80 % power, or None if unknown.
        seeds_needed: Seeds that would find the smallest effect of interest, or None.
        obstacle: Why no number of seeds is given: it is above `MOST_SEEDS`, or no number is
            enough because the clips differ too much; None where neither is so.
    """

    minimum_detectable: float | None = None
    seeds_needed: int | None = None
    obstacle: Literal["seeds", "clips"] | None = None


@dataclass(frozen=True, kw_only=True)
class SecondaryMetric:
    """A metric shown without verdicts: exploratory, or a cost."""

    name: str
    scores: Scores
    estimates: tuple[Estimate | None, ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The answer to an experiment's question, as numbers.

    Args:
        experiment: What was asked, and what the ledger has.
        scores: The primary metric of every trial.
        refused: Why conditions are not ranked on it, or None.
        margin: The smallest effect of interest, or None.
        contrasts: The judged family; empty if refused, or without a baseline.
        prospects: What more trials could decide, for each contrast.
        effects: Factorial effects, for several factors, where the design has them.
        left_out: The full condition without each factor, against it; a family of its own.
        by_level: The metric that is shown by noise level: the primary one if it is a mean over
            levels, or the first of the others that is; None without any.
        levels: Its noise levels, if recorded; None otherwise.
        step_times: The times of training steps, or None where they were not measured.
        secondary: Other metrics that can be compared.
        not_comparable: Measured metrics that cannot be, with the reason.
        mixed: Provenance that differs between trials, by key.
    """

    experiment: Experiment
    scores: Scores
    refused: str | None
    margin: Margin | None
    contrasts: tuple[Contrast, ...]
    prospects: tuple[Prospect, ...]
    effects: tuple[Effect, ...]
    left_out: tuple[Contrast, ...]
    by_level: str | None
    levels: Levels | None
    step_times: StepTimes | None
    secondary: tuple[SecondaryMetric, ...]
    not_comparable: tuple[tuple[str, str], ...]
    mixed: dict[str, tuple[str, ...]]

    @property
    def clips_and_videos(self) -> tuple[int, int]:
        """How many clips the primary metric is a mean over, and from how many videos; or zeros."""
        sources = clip_sources(self.experiment)
        columns = self.scores.values.shape[2]
        if sources is not None and columns == len(set(sources.tolist())):
            return (len(sources), columns) if self.experiment.primary in CLIP_ERRORS else (0, 0)
        return (columns, columns) if columns > 1 else (0, 0)

    @property
    def primary(self) -> Metric:
        """The metric that the verdicts are about."""
        return self.experiment.metric(self.experiment.primary)

    @property
    def direction(self) -> str:
        """Which values of the primary metric are good."""
        return self.scores.direction

    @property
    def noise(self) -> str:
        """What differences may be made of."""
        return "noise between seeds" + ("" if self.experiment.is_own else " and clips")

    @property
    def num_left_out(self) -> int:
        """Noise levels that some condition was not trained on."""
        return 0 if self.levels is None else int((~self.levels.is_shared).sum())

    @property
    def has_mixed_machines(self) -> bool:
        """Tells whether trials ran on different machines, so that times do not compare."""
        return bool({"hardware", "host", "device"} & set(self.mixed))

    @cached_property
    def code_shares(self) -> CodeShares | None:
        """The share of the tokens that each code has, or None where nothing was counted."""
        return code_shares(self.experiment)

    @cached_property
    def codes_by_bucket(self) -> CodesByBucket | None:
        """The codes' use by groups of noise levels, or None where it is not known."""
        return codes_by_bucket(self.experiment)

    @cached_property
    def trade_off(self) -> TradeOff | None:
        """Quality against cost, or None where conditions are not ranked, or took no time."""
        cost = self.secondary_named(STEP_SECONDS)
        if cost is None or self.refused is not None:
            return None
        return trade_off(cost.scores, self.scores)

    def secondary_named(self, name: str) -> SecondaryMetric | None:
        """Returns a secondary metric, or None if it was not measured or cannot be compared."""
        return next((metric for metric in self.secondary if metric.name == name), None)


def find(experiment: Experiment) -> Findings:
    """Computes everything that a report says."""
    primary = scores(experiment, experiment.primary)
    refused = refusal(experiment, experiment.primary)
    margin = _margin(experiment)
    asked = (experiment.primary, *experiment.secondary)
    by_level = next((name for name in asked if name in CLIP_ERRORS), None)
    if experiment.is_own:
        by_level = None
    contrasts: tuple[Contrast, ...] = ()
    if refused is None and experiment.baseline is not None:
        contrasts = judge(primary, experiment.baseline, margin)
    measured = sorted(set(experiment.measurements["metric"]))
    refusals = {name: refusal(experiment, name) for name in measured}
    return Findings(
        experiment=experiment,
        scores=primary,
        refused=refused,
        margin=margin,
        contrasts=contrasts,
        prospects=tuple(_prospect(c, margin, len(contrasts)) for c in contrasts),
        effects=()
        if refused
        else factorial_effects(primary, experiment.conditions, experiment.design),
        left_out=() if refused else left_out(primary, experiment.design, margin),
        by_level=by_level,
        levels=shared_levels(experiment) if by_level else None,
        step_times=step_times(experiment),
        secondary=tuple(
            _secondary(experiment, name)
            for name in _in_order(experiment, measured)
            if refusals[name] is None or _is_shown_anyway(experiment, name)
        ),
        not_comparable=tuple(
            (name, reason)
            for name, reason in refusals.items()
            if reason is not None and not _is_listed_only(experiment, name)
        ),
        mixed=_mixed(experiment),
    )


def _is_listed_only(experiment: Experiment, name: str) -> bool:
    """Tells whether a metric is never meant to be ranked, so that it needs no reason."""
    declared = experiment.declared.find(name)
    return name.startswith(COST) or (declared is not None and declared.is_reference)


def _is_shown_anyway(experiment: Experiment, name: str) -> bool:
    """Tells whether a metric is shown although conditions are not ranked on it."""
    is_undeclared = experiment.declared.find(name) is None
    return is_undeclared or _is_listed_only(experiment, name)


def _margin(experiment: Experiment) -> Margin | None:
    stated = experiment.spec.definition["metrics"].get("smallest_effect")
    return Margin(**stated) if stated else None


def _prospect(contrast: Contrast, margin: Margin | None, num_contrasts: int) -> Prospect:
    if contrast.estimate is None or not contrast.estimate.errors:
        return Prospect()
    level = family_level(num_contrasts)
    detectable = max(minimum_detectable(error, level) for error in contrast.estimate.errors)
    if margin is None or contrast.verdict != "undecided":
        return Prospect(minimum_detectable=detectable)
    scale = abs(contrast.baseline_mean) if margin.is_relative else 1.0
    effect = margin.value * scale
    if not clips_suffice(contrast.differences, effect, level):
        return Prospect(minimum_detectable=detectable, obstacle="clips")
    needed = seeds_needed(contrast.differences, effect, level)
    obstacle = "seeds" if needed is None else None
    return Prospect(minimum_detectable=detectable, seeds_needed=needed, obstacle=obstacle)


def _in_order(experiment: Experiment, measured: list[str]) -> list[str]:
    """Returns metrics as reports list them: the spec's, then as declared, the primary left out."""
    order = dict.fromkeys((*experiment.secondary, *experiment.declared.in_order(measured)))
    return [name for name in order if name in measured and name != experiment.primary]


def _secondary(experiment: Experiment, name: str) -> SecondaryMetric:
    values = scores(experiment, name)
    declared = experiment.declared.find(name)
    # What others are read against differs between conditions by nothing that they do, and of what
    # nobody declared it is not known what a difference means.
    is_compared = declared is not None and not declared.is_reference
    baseline = experiment.baseline if is_compared else None
    others = range(len(experiment.conditions))
    return SecondaryMetric(
        name=name,
        scores=values,
        estimates=tuple(
            None if baseline in (None, k) else paired(values, k, baseline).estimate for k in others
        ),
    )


def _mixed(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    outcomes = [record.outcome for record in experiment.records if record.outcome is not None]
    found: dict[str, tuple[str, ...]] = {}
    for key in PROVENANCE_KEYS:
        values = {flat(o.provenance[key]) for o in outcomes if key in o.provenance}
        if len(values) > 1:
            found[key] = tuple(sorted(values))
    return found


def flat(value: object) -> str:
    """Returns a value of provenance in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
    return str(value)


def means_over_seeds(values: Scores) -> np.ndarray:
    """Returns the mean over completed seeds by condition; nan where none completed."""
    done = values.is_complete
    total = np.where(done, values.means, 0.0).sum(axis=1)
    return np.where(done.any(axis=1), total / np.maximum(done.sum(axis=1), 1), np.nan)
