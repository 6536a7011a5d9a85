"""The content of a search's report, and the same as data and as a frame."""

from typing import Any

import pandas as pd

from qdexp_analysis.account import provenance
from qdexp_analysis.columns import column_of
from qdexp_analysis.frames import contrast_frame, no_contrasts
from qdexp_analysis.language import say
from qdexp_analysis.look_words import time_text
from qdexp_analysis.reproduction import run_command, settings_text
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_sections import sections
from qdexp_analysis.search_words import (
    answer,
    budget_text,
    counts,
    ending_of,
    reason_of,
    sampler_text,
    unfinished,
)
from qdexp_analysis.searched import Searched

COLUMNS = ("number", "origin", "ending", "reason", "trials", "hours")
"""Of the frame of suggestions, before the objectives and the parameters."""


def search_document(found: SearchFindings) -> dict[str, Any]:
    """Returns everything that a template needs, under the names that templates use."""
    experiment = found.searched.experiment
    ended = sum(each.told is not None for each in found.searched.history)
    return {
        "name": experiment.name,
        "question": experiment.question,
        "as_of": time_text(experiment.as_of),
        "answer": answer(found),
        "unfinished": unfinished(found.searched),
        "progress": f"{100 * ended / max(len(found.searched.history), 1):.1f}",
        "counts": counts(found),
        "budget": budget_text(found),
        "sampler": sampler_text(found.searched),
        "metrics": say(", ").join(each.metric.name for each in found.objectives),
        "sections": sections(found),
        "provenance": provenance(experiment),
        "spec_file": experiment.spec.file,
        "spec_text": experiment.spec.text,
        "command": run_command(experiment.spec),
        "settings": settings_text(experiment.spec),
    }


def suggestion_frame(searched: Searched, found: SearchFindings) -> pd.DataFrame:
    """Returns one row for each suggestion, in order.

    Columns: number, origin, ending (complete, pruned, failed, open), reason, trials (their ids),
    hours (of its trials; none where they were there before), on_front, one for each objective (nan
    unless complete), and one for each parameter (empty where it does not act).
    """
    taken = (*COLUMNS, "on_front", *(o.metric.name for o in found.objectives))
    columns = {p.field: column_of(p.field, taken) for p in searched.parameters}
    places = {each.suggestion.number: k for k, each in enumerate(found.complete)}
    rows: list[dict[str, Any]] = []
    for each in searched.history:
        made, at = each.suggestion, places.get(each.suggestion.number)
        rows.append(
            {
                "number": made.number,
                "origin": made.origin,
                "ending": ending_of(found, each),
                "reason": reason_of(found, each),
                "trials": " ".join(each.trial_ids),
                "hours": searched.seconds_of(each) / 3600,
                "on_front": at is not None and bool(found.on_front[at]),
                **{
                    o.metric.name: float("nan") if at is None else float(found.values[at, k])
                    for k, o in enumerate(found.objectives)
                },
                **{column: made.values.get(field, "") for field, column in columns.items()},
            }
        )
    return pd.DataFrame(rows, columns=[*taken, *columns.values()])


def judged_frame(found: SearchFindings) -> pd.DataFrame:
    """Returns the contrasts of the experiments that check and explain a search, one below another.

    A search itself judges nothing.
    """
    findings = [found.confirmed and found.confirmed.findings, found.path and found.path.findings]
    frames = [contrast_frame(each) for each in (*findings, found.left_out) if each]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else no_contrasts()
