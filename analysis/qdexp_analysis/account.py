"""The account of every planned trial: what completed, what did not and why, where it ran."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from qdexp.results.ledger import TrialRecord
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings
from qdexp_analysis.labels import condition_text
from qdexp_analysis.language import say, word
from qdexp_analysis.mixing import flat
from qdexp_analysis.quantities import NONE, measured
from qdexp_analysis.standing import INVALIDATED, MISSING, reason_of, status_of
from qdexp_analysis.table import Experiment

Row = dict[str, Any]

_UNSHOWN = ("pid", "started_at", "finished_at", "seconds", "resumed_from_step", "experiment")
_OPEN = (MISSING, INVALIDATED, "cancelled", "pruned")
_OF_A_RUN = ("session", "command", "driver", "spec")
"""What differs between runs of one experiment without a meaning for its results."""


def unfinished(findings: Findings) -> str:
    """Returns a warning if planned trials have no final outcome, or nothing."""
    experiment = findings.experiment
    statuses = [status_of(record) for record in experiment.all_records]
    open_ones = sum(status in _OPEN for status in statuses)
    if not open_ones:
        return _waiting_for_a_look(findings)
    text = say(
        "Unfinished: {open_ones} of {number} planned trials have no result yet, so "
        "every verdict may still change. The same command again runs what is missing.",
        open_ones=open_ones,
        number=len(statuses),
    )
    num_contrasts = len(findings.contrasts)
    if num_contrasts < 2 or all(contrast.estimate for contrast in findings.contrasts):
        return text
    return say(
        "{text} Holm's correction and the detectable differences already count all "
        "{num_contrasts} planned contrasts, those without a result included.",
        text=text,
        num_contrasts=num_contrasts,
    )


def _waiting_for_a_look(findings: Findings) -> str:
    """Returns a warning if a look is to come that nothing was asked for yet, or nothing."""
    undecided = [c for c in findings.contrasts if c.verdict == "undecided"]
    reached = findings.seen[-1] if findings.seen else 0
    coming = [number for number in findings.course.looks.schedule if number > reached]
    if not findings.course.is_adaptive or not undecided or not coming:
        return ""
    number = len(undecided)
    what = say("1 contrast is") if number == 1 else say("{number} contrasts are", number=number)
    return say(
        "Unfinished: {what} undecided after {reached} seeds, and the next look is at "
        "{coming}. The same command again runs what is missing.",
        what=what,
        reached=reached,
        coming=coming[0],
    )


def progress(experiment: Experiment) -> str:
    """Returns the share of the planned trials that have a result, in percent."""
    statuses = [status_of(record) for record in experiment.all_records]
    done = sum(status not in _OPEN for status in statuses)
    return f"{100 * done / max(len(statuses), 1):.1f}"


def counts_text(experiment: Experiment) -> str:
    """Returns ``9 trials (8 completed, 1 diverged)``, and the teachers that they learn from."""
    number, counted = len(experiment.records), _counted(experiment.records)
    if number == 1:
        text = say("1 trial ({counted})", counted=counted)
    else:
        text = say("{number} trials ({counted})", number=number, counted=counted)
    if experiment.controls:
        controls = experiment.controls
        text += say(
            ", {number} control trials ({counted})",
            number=len(controls),
            counted=_counted(controls),
        )
    if not experiment.teachers:
        return text
    teachers = say(
        "{number} teacher trials ({counted})",
        number=len(experiment.teachers),
        counted=_counted(experiment.teachers),
    )
    return say("{text}, and {teachers} that students learn from", text=text, teachers=teachers)


def _counted(records: Sequence[TrialRecord]) -> str:
    counts = Counter(status_of(record) for record in records)
    return say(", ").join(
        say("{count} {status}", count=count, status=word(status))
        for status, count in counts.items()
    )


def completion(experiment: Experiment, condition: int) -> str:
    """Returns ``3/3``, or ``1/3 (diverged 2)``."""
    statuses = Counter(status_of(record) for record in experiment.records_at(condition))
    completed, total = statuses.pop("completed", 0), statuses.total()
    others = say(", ").join(
        say("{status} {count}", status=word(status), count=count)
        for status, count in statuses.items()
    )
    return (
        f"{completed}/{completed + total}"
        if not others
        else say(
            "{completed}/{total} ({others})",
            completed=completed,
            total=completed + total,
            others=others,
        )
    )


def incomplete_pairs(findings: Findings) -> list[str]:
    """Returns a sentence for each contrast some of whose pairs are not complete."""
    return [
        say(
            "{condition}: {number} of {planned} seeds have both this condition and the "
            "baseline; the others enter no contrast.",
            condition=findings.experiment.labels.text(c.condition),
            number=len(c.seeds),
            planned=planned,
        )
        for c in findings.contrasts
        if c.is_paired and len(c.seeds) < (planned := num_planned(findings, c))
    ]


def num_planned(findings: Findings, contrast: Contrast) -> int:
    """Returns the seeds for which a contrast has trials: not all where what is decided ends."""
    if findings.course.is_adaptive:
        return len(findings.experiment.records_at(contrast.condition))
    return len(findings.experiment.seeds)


def failures(experiment: Experiment) -> list[Row]:
    """Returns the trials that ended otherwise than completed, with their reasons."""
    return [
        {
            "trial_id": record.trial_id,
            "label": condition_text(record.condition),
            "seed": record.trial.seed,
            "status": status_of(record),
            "step": record.outcome.step if record.outcome else NONE,
            "reason": reason_of(record),
            "kind": _kind(record),
        }
        for record in experiment.all_records
        if reason_of(record)
    ]


def _kind(record: TrialRecord) -> str:
    failure = record.outcome and record.outcome.failure
    return word((failure.kind or "").replace("_", " ")) if failure else ""


def warnings(experiment: Experiment) -> list[tuple[str, str]]:
    """Returns what trials warned of, such as a collapsed codebook, each with its trial."""
    return [
        (
            say(
                "{condition}, seed {seed}",
                condition=condition_text(record.condition),
                seed=record.trial.seed,
            ),
            warning,
        )
        for record in experiment.all_records
        if record.outcome is not None
        for warning in (*record.outcome.warnings, *experiment.others[record.trial_id])
    ]


def provenance(experiment: Experiment) -> list[Row]:
    """Returns what trials ran with: every distinct value of each key."""
    found: dict[str, list[str]] = {}
    for record in experiment.all_records:
        for key, value in _shown(record.outcome.provenance if record.outcome else {}).items():
            values = found.setdefault(key, [])
            if value not in values:
                values.append(value)
    return [
        {
            "key": word(key.replace("_", " ")),
            "values": values,
            "is_mixed": len(values) > 1 and key not in _OF_A_RUN,
        }
        for key, values in found.items()
    ]


def _shown(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Returns provenance for readers: what ran, and on what; neither processes nor times.

    Hardware has a line for each part; versions, which may repeat a package, share one.
    """
    rest = {key: value for key, value in recorded.items() if key not in _UNSHOWN}
    versions, hardware = rest.pop("versions", {}), rest.pop("hardware", {})
    if rest.pop("dirty", False) and "commit" in rest:
        changes = f" {str(rest.pop('diff'))[:8]}" if "diff" in rest else ""
        rest["commit"] = say(
            "{commit} with uncommitted changes{changes}", commit=rest["commit"], changes=changes
        )
    if versions:
        rest["versions"] = flat(versions)
    return {key: flat(value) for key, value in (hardware | rest).items() if key not in versions}


def trial_table(findings: Findings) -> list[Row]:
    """Returns every planned trial by condition and seed, with its value and id."""
    experiment = findings.experiment
    means, metric = findings.scores.means, experiment.metric(experiment.primary)
    rows: list[Row] = []
    for position in range(len(experiment.conditions)):
        by_seed = {record.trial.seed: record for record in experiment.records_at(position)}
        cells: list[Row | None] = []
        for column, seed in enumerate(experiment.seeds):
            record = by_seed.get(seed)
            value = float(means[position, column])
            cells.append(
                record
                and {
                    "trial_id": record.trial_id,
                    "status": status_of(record),
                    "value": measured(value, metric),
                }
            )
        rows.append({"label": experiment.labels.text(position), "cells": cells})
    return rows
