"""The specs that `qdexp ablate` makes: a path to a winner, and the winner without each change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.ablation_path import Round
from qdexp.experiment.changes import Changes
from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.identity import canonical_json
from qdexp.experiment.spec_text import spec_text


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The configuration that a path leads to.

    Args:
        values: Its values by field; all others are the baseline's.
        in_words: What it is: ``suggestion 17 of the search search_quantizer``.
        search: The search that it is from, or None.
        suggestion: Its number there, or None.
        no_gain: By which values it is no better than the baseline, in words, or nothing.
    """

    values: Mapping[str, Any]
    in_words: str
    search: str | None = None
    suggestion: int | None = None
    no_gain: str = ""


@dataclass(frozen=True, kw_only=True)
class PathDraft:
    """All of a path's spec but its rounds.

    Args:
        source: What it shares its settings with.
        winner: Where it leads.
        levels: The baseline's value and the winner's of every change.
        seeds: The seeds of what stays on the path.
        is_raced: Whether candidates that are clearly worse are dropped before they have all seeds.
    """

    source: Source
    winner: Winner
    levels: Mapping[str, Sequence[Any]]
    seeds: tuple[int, ...]
    is_raced: bool

    @property
    def name(self) -> str:
        """The experiment's name."""
        return derived_name(self.source.name, "path")

    def origin(self) -> dict[str, Any]:
        """Returns what the ledger keeps of where the path comes from and how it is walked."""
        of = self.winner
        return {
            **({"search": of.search} if of.search is not None else {}),
            **({"suggestion": of.suggestion} if of.suggestion is not None else {}),
            "racing": self.is_raced,
            "seeds": list(self.seeds),
        }

    def is_of(self, definition: Mapping[str, Any]) -> bool:
        """Tells whether a path's definition, as the ledger keeps it, is of this very path."""
        written: Mapping[str, Any] = definition.get("path") or {}
        of = self.source.content(self.name, "?", self.levels)
        factors: Sequence[Mapping[str, Any]] = definition["factors"]
        theirs = {
            "preset": definition["preset"],
            "set": definition["set"],
            "primary": definition["metrics"]["primary"],
            "trainable": definition["trainable"],
            "levels": {each["field"]: each["levels"] for each in factors},
            **{key: value for key, value in written.items() if key != "rounds"},
        }
        ours = {
            "preset": of.get("preset"),
            "set": of.get("set", {}),
            "primary": of["metrics"]["primary"],
            "trainable": self.source.definition["trainable"],
            "levels": dict(self.levels),
            **self.origin(),
        }
        return canonical_json(theirs) == canonical_json(ours)

    def text(self, rounds: Sequence[Round], num_seeds: int) -> str:
        """Returns the YAML that asks for what these rounds list, on the first so many seeds."""
        conditions: list[dict[str, Any]] = []
        for each in (c for one in rounds for c in one.candidates if c.is_listed):
            changed = {f: v for f, v in each.condition.items() if v != self.levels[f][0]}
            if changed not in conditions:
                conditions.append(changed)
        question = f"Which changes from the baseline to {self.winner.in_words} carry its gain?"
        content = self.source.content(self.name, question, self.levels) | {
            "design": "listed",
            "conditions": conditions,
            "path": self.origin() | {"rounds": [_written(each) for each in rounds]},
            "seeds": list(self.seeds[:num_seeds]),
        }
        return spec_text(content, self._comment())

    def _comment(self) -> list[str]:
        lines = [
            f"Made by `qdexp ablate`: from the baseline of {self.source.name} to "
            f"{self.winner.in_words}, one change after another.",
            "Each round makes every change that is left on top of those made before, and keeps the "
            "best mean over the seeds.",
        ]
        if self.is_raced:
            lines.append(
                "Candidates that were clearly worse were dropped early and are not listed."
            )
        return [*lines, *self.source.where_its_trainable_is]


def _written(round_: Round) -> dict[str, Any]:
    kept = {"kept": list(round_.kept.change)} if round_.kept else {}
    return {**kept, "candidates": [list(each.change) for each in round_.candidates]}


def left_out_text(source: Source, winner: Winner, changes: Changes, seeds: Sequence[int]) -> str:
    """Returns the YAML of an experiment that sets each change of a winner back, one by one.

    Changes without which the others cannot be run are set back with them.

    Args:
        source: What it shares its settings with.
        winner: The full condition.
        changes: What differs; two or more of them.
        seeds: The seeds.
    """
    groups = _joined([changes.smallest_possible(each) for each in changes.fields])
    zipped = [list(each) for each in groups if len(each) > 1]
    question = f"What does each change from the baseline to {winner.in_words} give to the whole?"
    content = source.content(derived_name(source.name, "left_out"), question, changes.levels) | {
        **({"zip": zipped} if zipped else {}),
        "design": "leave_one_out",
        "seeds": list(seeds),
    }
    comment = [
        f"Made by `qdexp ablate --leave-one-out`: {winner.in_words}, and it without each of its "
        f"changes from the baseline of {source.name}."
    ]
    return spec_text(content, [*comment, *source.where_its_trainable_is])


def _joined(groups: Sequence[Collection[str]]) -> list[tuple[str, ...]]:
    """Returns groups that overlap as one."""
    joined: list[set[str]] = []
    for group in groups:
        touching = [each for each in joined if each & set(group)]
        joined = [each for each in joined if each not in touching]
        joined.append(set(group).union(*touching))
    order = [field for group in groups for field in group]
    return [tuple(sorted(each, key=order.index)) for each in joined]
