"""What a run says at its end, on stdout: counts, what did not complete and what to do, the time."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qdexp.cli.durations import in_words
from qdexp.experiment.counting import counted
from qdexp.experiment.trial import condition_label
from qdexp.results.ledger import Ledger
from qdexp.results.overview import Standing, standings
from qdexp.results.suggestions import suggestions_of

MOST_GROUPS = 10
"""Reasons that are told, the most frequent ones; all of them are in the report."""

_TO_DO = {
    "exception": "mend it and give the same command: it is tried again",
    "out_of_memory": "make it smaller or give it more memory: the same command tries again",
    "timeout": "raise its budget in the spec: the same command goes on from its last checkpoint",
    "worker_lost": "the same command tries again",
}

_OF_SEARCH = "the search was told, and does not run it again"


@dataclass(kw_only=True)
class _Group:
    """Trials that ended alike."""

    standing: Standing
    trial_ids: list[str] = field(default_factory=list[str])


def ending(name: str, runs: Path, *, num_run: int, seconds: float) -> Iterator[str]:
    """Yields the summary of an experiment after a run of it.

    Args:
        name: The experiment.
        runs: The runs folder.
        num_run: Outcomes that the run recorded.
        seconds: How long it took.
    """
    with Ledger(runs) as ledger:
        asked = {
            trial_id: json.loads(condition)
            for trial_id, condition in ledger.rows(
                "SELECT trial_id, condition FROM members WHERE experiment = ? AND asked_for"
                " ORDER BY position, trial_id",
                name,
            )
        }
        known = standings(ledger, asked)
        found = {trial_id: known[trial_id] for trial_id in asked}
        counts = Counter(each.status or "without an outcome" for each in found.values())
        said = ", ".join(f"{number} {status}" for status, number in counts.most_common())
        ran = f"{num_run} of them now, in {in_words(seconds)}" if num_run else "nothing to run"
        yield f"{name}: {counted(len(asked), 'trial')}: {said} ({ran})"
        groups = _groups(found)
        records = suggestions_of(ledger, name)
        told = {each for record in records if record.told for each in record.trial_ids}
        for group in groups[:MOST_GROUPS]:
            first = group.trial_ids[0]
            record = ledger.find(first)
            seed = f", seed {record.trial.seed}" if record else ""
            to_do = _OF_SEARCH if first in told else _to_do(group.standing)
            yield _told(group, f"{condition_label(asked[first])}{seed}", to_do)
        if len(groups) > MOST_GROUPS:
            yield f"and {len(groups) - MOST_GROUPS} other reasons: `qdexp status {name}` has them"


def _groups(found: dict[str, Standing]) -> list[_Group]:
    """Returns the trials that did not complete, together with those of the same reason.

    Pruned ones, whose reasons all differ, are together, and last: nothing is wrong.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for trial_id, standing in found.items():
        if standing.status not in (None, "completed"):
            reason = "" if standing.status == "pruned" else standing.reason
            key = (str(standing.status), reason)
            groups.setdefault(key, _Group(standing=standing)).trial_ids.append(trial_id)
    return sorted(
        groups.values(),
        key=lambda group: (group.standing.status == "pruned", -len(group.trial_ids)),
    )


def _told(group: _Group, label: str, to_do: str) -> str:
    standing, number = group.standing, len(group.trial_ids)
    which = label if number == 1 else f"{number} trials, the first {label}"
    show = f"`qdexp show {group.trial_ids[0][:8]}` has the whole story"
    return f"{standing.status}: {which}: {standing.reason} ({to_do}; {show})"


def _to_do(standing: Standing) -> str:
    if standing.status == "diverged":
        return "a result: it is counted, and not run again"
    return _TO_DO.get(standing.kind or "", "the same command tries again")
