"""What an experiment found: everything that words, tables and figures say, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qdexp.config.metric import Metric
from qdexp.experiment.looks import planned_schedule
from qdexp_analysis.code_use import CodesByBucket, CodeShares, code_shares, codes_by_bucket
from qdexp_analysis.comparability import (
    CLIP_ERRORS,
    Levels,
    clip_sources,
    ended,
    refusal,
    scores,
    shared_levels,
)
from qdexp_analysis.contrasts import Contrast, Margin, Scores
from qdexp_analysis.controls import Controls, controls_of
from qdexp_analysis.declared import COST
from qdexp_analysis.effects import Effect
from qdexp_analysis.exploratory import SecondaryMetric, secondary_metrics
from qdexp_analysis.factor_findings import FactorFindings, factor_findings, no_factors
from qdexp_analysis.history import Registration, course_of, registration_of
from qdexp_analysis.language import say
from qdexp_analysis.left_out import left_out
from qdexp_analysis.missing import Rate, rate
from qdexp_analysis.mixing import Mixture, mixtures
from qdexp_analysis.prospects import Prospect, prospect
from qdexp_analysis.sequence import Course, Judged, judge_in_course
from qdexp_analysis.step_times import STEP_SECONDS, StepTimes, step_times
from qdexp_analysis.table import Experiment
from qdexp_analysis.trade_off import TradeOff, trade_off


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
        left_out: The full condition without each factor, against it; a family of its own.
        by_level: The metric that is shown by noise level: the primary one if it is a mean over
            levels, or the first of the others that is; None without any.
        levels: Its noise levels, if recorded; None otherwise.
        step_times: The times of training steps, or None where they were not measured.
        secondary: Other metrics that can be compared.
        not_comparable: Measured metrics that cannot be, with the reason.
        mixed: What differs between trials of machines, code and data, by key.
        mixtures: The same, with whether every condition has its share.
        factors: What the factors do, beside the contrasts: effects, dose responses.
        course: How the experiment is looked at.
        seen: Seeds at each look whose trials all ended.
        registration: What was fixed before there were results, and what changed later.
        controls: What runs beside the family.
    """

    experiment: Experiment
    scores: Scores
    refused: str | None
    margin: Margin | None
    contrasts: tuple[Contrast, ...]
    prospects: tuple[Prospect, ...]
    left_out: tuple[Contrast, ...]
    by_level: str | None
    levels: Levels | None
    step_times: StepTimes | None
    secondary: tuple[SecondaryMetric, ...]
    not_comparable: tuple[tuple[str, str], ...]
    mixed: dict[str, tuple[str, ...]]
    factors: FactorFindings
    mixtures: tuple[Mixture, ...]
    course: Course
    seen: tuple[int, ...]
    registration: Registration
    controls: Controls

    def _repr_html_(self) -> str:
        """Shows the answer and the verdicts in a notebook."""
        from qdexp_analysis.notebook import experiment_html  # noqa: PLC0415 - it needs this module

        return experiment_html(self)

    @property
    def diverged_rates(self) -> tuple[Rate, ...]:
        """How often trials diverged, for each condition."""
        diverged = self.scores.diverged.sum(axis=1).tolist()
        ended = (self.scores.is_lost | self.scores.is_complete).sum(axis=1).tolist()
        return tuple(rate(count, total) for count, total in zip(diverged, ended, strict=True))

    @property
    def clips_and_videos(self) -> tuple[int, int]:
        """How many clips the primary metric is a mean over, and from how many videos; or zeros."""
        sources = clip_sources(self.experiment)
        columns = self.scores.values.shape[2]
        if sources is not None and columns == len(set(sources.tolist())):
            return (len(sources), columns) if self.experiment.primary in CLIP_ERRORS else (0, 0)
        return (columns, columns) if columns > 1 else (0, 0)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Factorial effects, for several factors, where the design has them."""
        return self.factors.effects

    @property
    def primary(self) -> Metric:
        """The metric that the verdicts are about."""
        return self.experiment.metric(self.experiment.primary)

    @property
    def direction(self) -> str:
        """Which values of the primary metric are good."""
        return self.scores.direction

    @property
    def planned_looks(self) -> tuple[int, ...]:
        """Seeds at the looks that the present spec plans; none where seeds are fixed."""
        return planned_schedule(self.experiment.spec.definition)

    @property
    def noise(self) -> str:
        """What differences may be made of."""
        if self.experiment.is_own:
            return say("noise between seeds")
        return say("noise between seeds and clips")

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
    course = course_of(experiment)
    primary = replace(scores(experiment, experiment.primary), looks=course.looks)
    refused = refusal(experiment, experiment.primary)
    margin = _margin(experiment)
    by_level = _by_level(experiment)
    judged = judged_family(experiment, course) if refused is None else None
    contrasts = judged.contrasts if judged else ()
    measured = sorted(set(experiment.measurements["metric"]))
    refusals = {name: refusal(experiment, name) for name in measured}
    mixed = mixtures(experiment)
    return Findings(
        experiment=experiment,
        scores=primary,
        refused=refused,
        margin=margin,
        contrasts=contrasts,
        prospects=tuple(prospect(c, margin, len(contrasts), course.looks) for c in contrasts),
        left_out=() if refused else left_out(primary, experiment.design, margin, course.looks),
        by_level=by_level,
        levels=shared_levels(experiment) if by_level else None,
        step_times=step_times(experiment),
        secondary=secondary_metrics(
            experiment,
            _shown(experiment, refusals),
            ranked=[name for name, reason in refusals.items() if reason is None],
        ),
        not_comparable=_not_comparable(experiment, refusals),
        mixed={each.key: each.values for each in mixed},
        factors=no_factors(experiment)
        if refused
        else factor_findings(experiment, primary, margin, contrasts),
        mixtures=mixed,
        course=course,
        seen=judged.seen if judged else (),
        registration=registration_of(experiment),
        controls=Controls() if refused else controls_of(experiment, margin),
    )


def _by_level(experiment: Experiment) -> str | None:
    """Returns the metric that is shown by noise level, if there is one."""
    if experiment.is_own:
        return None
    asked = (experiment.primary, *experiment.secondary)
    return next((name for name in asked if name in CLIP_ERRORS), None)


def judged_family(experiment: Experiment, course: Course) -> Judged | None:
    """Returns the contrasts with the baseline by the last look, or None without a baseline."""
    if experiment.baseline is None:
        return None
    values = scores(experiment, experiment.primary)
    margin = _margin(experiment)
    return judge_in_course(values, ended(experiment), experiment.baseline, margin, course)


def _is_listed_only(experiment: Experiment, name: str) -> bool:
    """Tells whether a metric is never meant to be ranked, so that it needs no reason."""
    declared = experiment.declared.find(name)
    return name.startswith(COST) or (declared is not None and declared.is_reference)


def _shown(experiment: Experiment, refusals: Mapping[str, str | None]) -> list[str]:
    """Returns the metrics beside the primary one that are shown, in a report's order."""
    return [
        name
        for name in _in_order(experiment, list(refusals))
        if refusals[name] is None or _is_shown_anyway(experiment, name)
    ]


def _not_comparable(
    experiment: Experiment, refusals: Mapping[str, str | None]
) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, reason)
        for name, reason in refusals.items()
        if reason is not None and not _is_listed_only(experiment, name)
    )


def _is_shown_anyway(experiment: Experiment, name: str) -> bool:
    """Tells whether a metric is shown although conditions are not ranked on it."""
    is_undeclared = experiment.declared.find(name) is None
    return is_undeclared or _is_listed_only(experiment, name)


def _margin(experiment: Experiment) -> Margin | None:
    stated = experiment.spec.definition["metrics"].get("smallest_effect")
    return Margin(**stated) if stated else None


def _in_order(experiment: Experiment, measured: list[str]) -> list[str]:
    """Returns metrics as reports list them: the spec's, then as declared, the primary left out."""
    order = dict.fromkeys((*experiment.secondary, *experiment.declared.in_order(measured)))
    return [name for name in order if name in measured and name != experiment.primary]


def means_over_seeds(values: Scores) -> np.ndarray:
    """Returns the mean over completed seeds by condition; nan where none completed."""
    done = values.is_complete
    total = np.where(done, values.means, 0.0).sum(axis=1)
    return np.where(done.any(axis=1), total / np.maximum(done.sum(axis=1), 1), np.nan)
