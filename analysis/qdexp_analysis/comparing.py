"""Two experiments beside each other, or two conditions of one or of two.

Only numbers that mean the same are subtracted: see `definitions`. Differences are paired by seed.
They are exploratory: nobody stated before which would be looked at, so nothing is a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qdexp.errors import NotFoundError
from qdexp.experiment.trial import Condition
from qdexp.results.ledger import TrialRecord
from qdexp_analysis.aggregates import Pooled
from qdexp_analysis.comparability import CLIP_ERRORS, refusal, scores, shared_levels
from qdexp_analysis.contrasts import Contrast, Scores, paired
from qdexp_analysis.definitions import differing, meaning
from qdexp_analysis.factor_findings import across
from qdexp_analysis.loading import LoadedExperiment, load
from qdexp_analysis.mixing import Mixture, mixtures_of
from qdexp_analysis.table import Experiment


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One metric of one pair of conditions.

    Args:
        metric: Its name.
        condition: What is compared: ``num_embeddings 4096``, or both where they are not the same.
        means: The two means over the seeds that have both.
        contrast: The second minus the first; `baseline_mean` is the first's.
    """

    metric: str
    condition: str
    means: tuple[float, float]
    contrast: Contrast


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two sides have in common, and in what they differ.

    Args:
        names: The two sides, as they were asked for.
        fields: Configuration fields in which they differ: name, values of the one and the other.
        num_shared_trials: Trials that are both sides' own: the same content, run once.
        rows: Every metric that means the same on both sides, for every pair of conditions.
        not_comparable: Metrics that both measured, each with the reason.
        unmatched: Why no pair of conditions was found, or nothing.
        experiments: The two, perhaps the same twice.
        mixtures: What trials of the two sides were run with that was not the same for all.
        pooled: Every other condition against the baseline over both, where the two are the same
            conditions and seeds on two data sets, by A's primary metric; empty elsewhere.
    """

    names: tuple[str, str]
    fields: tuple[tuple[str, str, str], ...]
    num_shared_trials: int
    rows: tuple[Compared, ...]
    not_comparable: tuple[tuple[str, str], ...]
    unmatched: str
    experiments: tuple[LoadedExperiment, LoadedExperiment]
    mixtures: tuple[Mixture, ...]
    pooled: tuple[Pooled, ...]


@dataclass(frozen=True, kw_only=True)
class _Side:
    """An experiment, and the conditions of it that are asked for."""

    experiment: LoadedExperiment
    positions: tuple[int, ...]

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The trials of these conditions."""
        return tuple(r for k in self.positions for r in self.experiment.records_at(k))


def compare(one: str, other: str, runs: Path | str | None = None) -> Comparison:
    """Compares two experiments, or two conditions.

    Args:
        one: ``NAME``, or one condition of it: ``NAME:num_embeddings=4096,...``. A name may be the
            path of a ledger that has one experiment.
        other: Likewise.
        runs: The runs folder; ``$QDEXP_RUNS`` or ``runs`` unless given.

    Raises:
        NotFoundError: There is no such experiment, or no such condition.
        LedgerError: The ledger cannot be read.
    """
    sides = (_side(one, runs), _side(other, runs))
    pairs = _pairs(*sides)
    rows: list[Compared] = []
    refused: dict[str, str] = {}
    for metric in _measured_by_both(*sides):
        reason = _reason(metric, sides, pairs)
        if reason:
            refused[metric] = reason
        else:
            values = (scores(sides[0].experiment, metric), scores(sides[1].experiment, metric))
            rows += [_compared(metric, sides, pair, values) for pair in pairs]
    return Comparison(
        names=(one, other),
        fields=tuple(_fields(sides, pairs)),
        num_shared_trials=len(_trial_ids(sides[0]) & _trial_ids(sides[1])),
        rows=tuple(row for row in rows if row.contrast.seeds),
        not_comparable=tuple(refused.items()),
        unmatched="" if any(row.contrast.seeds for row in rows) else _unmatched(pairs, refused),
        experiments=(sides[0].experiment, sides[1].experiment),
        mixtures=mixtures_of({k: side.records for k, side in enumerate(sides)}, with_data=False),
        pooled=_pooled(*sides),
    )


def _side(asked: str, runs: Path | str | None) -> _Side:
    name, _, levels = asked.partition(":")
    experiment = load(name, runs)
    if not levels:
        return _Side(experiment=experiment, positions=tuple(range(len(experiment.conditions))))
    wanted = [each.partition("=") for each in levels.split(",")]
    found = [
        position
        for position, condition in enumerate(experiment.conditions)
        if all(_has(condition, field.strip(), text.strip()) for field, _, text in wanted)
    ]
    if len(found) != 1:
        known = "; ".join(
            ",".join(f"{field.rpartition('.')[2]}={level}" for field, level in condition.items())
            for condition in experiment.conditions
        )
        raise NotFoundError(
            f"expected one condition of {name}, found {len(found)} for '{levels}'; it has: {known}"
        )
    return _Side(experiment=experiment, positions=(found[0],))


def _has(condition: Condition, field: str, text: str) -> bool:
    named = [value for name, value in condition.items() if field in (name, name.rpartition(".")[2])]
    return any(str(value) == text for value in named)


def _pairs(one: _Side, other: _Side) -> list[tuple[int, int]]:
    """Returns conditions to compare: those named, those of equal levels, or the two baselines."""
    if len(one.positions) == len(other.positions) == 1:
        return [(one.positions[0], other.positions[0])]
    mine, theirs = one.experiment.conditions, other.experiment.conditions
    equal = [(i, j) for i in one.positions for j in other.positions if mine[i] == theirs[j]]
    bases = (one.experiment.baseline, other.experiment.baseline)
    if not equal and bases[0] in one.positions and bases[1] in other.positions:
        assert bases[0] is not None
        assert bases[1] is not None
        return [(bases[0], bases[1])]
    return equal


def _measured_by_both(one: _Side, other: _Side) -> list[str]:
    names = one.experiment.measured & other.experiment.measured
    first = one.experiment.primary
    ordered = [name for name in one.experiment.declared.in_order(names) if name != first]
    return [*([first] if first in names else []), *ordered]


def _reason(metric: str, sides: tuple[_Side, _Side], pairs: Sequence[tuple[int, int]]) -> str:
    """Returns why the two sides' numbers do not mean the same, or nothing."""
    experiments = [side.experiment for side in sides]
    if experiments[0].declared.find(metric) != experiments[1].declared.find(metric):
        return "the two experiments declare it differently"
    for i, j in pairs:
        records = (experiments[0].records_at(i)[:1], experiments[1].records_at(j)[:1])
        declared = experiments[0].metric(metric)
        fields = differing(*(meaning(declared, each) for each in records))
        if fields:
            listed = "; ".join(f"{name}: {a} and {b}" for name, a, b in fields)
            return f"its meaning differs ({listed})"
    if metric in CLIP_ERRORS and not experiments[0].is_own and not _same_levels(*experiments):
        return "the two are measured over different noise levels, those that all conditions share"
    own = [refusal(each, metric) for each in experiments if each.declared.find(metric) is None]
    return next((reason for reason in own if reason), "")


def _same_levels(one: Experiment, other: Experiment) -> bool:
    levels = (shared_levels(one), shared_levels(other))
    if levels[0] is None or levels[1] is None:
        return levels[0] is levels[1]
    shown = [each.log_snr[each.is_shared] for each in levels if each is not None]
    return shown[0].shape == shown[1].shape and bool(np.allclose(shown[0], shown[1]))


def _compared(
    metric: str, sides: tuple[_Side, _Side], pair: tuple[int, int], values: tuple[Scores, Scores]
) -> Compared:
    experiments = [side.experiment for side in sides]
    seeds = [seed for seed in experiments[0].seeds if seed in experiments[1].seeds]
    rows = [
        each.values[position][[experiment.seeds.index(seed) for seed in seeds]]
        for each, position, experiment in zip(values, pair, experiments, strict=True)
    ]
    if rows[0].shape != rows[1].shape:  # not measured on as many clips
        rows = [row.mean(axis=1, keepdims=True) for row in rows]
    both = Scores(
        values=np.stack(rows),
        diverged=np.zeros((2, len(seeds)), dtype=bool),
        direction=values[0].direction,
    )
    contrast = paired(both, 1, 0)
    change = contrast.estimate.mean if contrast.estimate else np.nan
    labels = [each.labels.text(k) for each, k in zip(experiments, pair, strict=True)]
    return Compared(
        metric=metric,
        condition=labels[0] if labels[0] == labels[1] else f"{labels[0]} and {labels[1]}",
        means=(contrast.baseline_mean, contrast.baseline_mean + change),
        contrast=contrast,
    )


def _fields(
    sides: tuple[_Side, _Side], pairs: Sequence[tuple[int, int]]
) -> list[tuple[str, str, str]]:
    if not pairs:
        return []
    (i, j) = pairs[0]
    one, other = (
        side.experiment.records_at(k)[0].trial.configuration.fields()
        for side, k in zip(sides, (i, j), strict=True)
    )
    return [
        (name, str(one.get(name)), str(other.get(name)))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def _trial_ids(side: _Side) -> set[str]:
    return {record.trial_id for record in side.records}


def _pooled(one: _Side, other: _Side) -> tuple[Pooled, ...]:
    """Returns what conditions gain over both data sets, if the sides are whole, and have two."""
    sides = (one, other)
    if any(len(side.positions) < len(side.experiment.conditions) for side in sides):
        return ()
    mine, theirs = ({r.trial.data_fingerprint for r in side.records} for side in sides)
    experiments = [side.experiment for side in sides]
    return () if mine & theirs else across(experiments, one.experiment.primary)


def _unmatched(pairs: Sequence[tuple[int, int]], refused: object) -> str:
    if not pairs:
        return "They have no condition in common, and not both have a baseline."
    if refused:
        return "No metric means the same in both."
    return "No seed completed in both."
