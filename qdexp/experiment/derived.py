"""Experiments that follow from a search: the same question's settings, with conditions listed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.heading import MAX_NAME
from qdexp.experiment.spec_text import duration_text, share_text
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Condition


def derived_name(name: str, suffix: str) -> str:
    """Returns ``NAME_confirm`` or the like; of a name that would be too long, its beginning.

    A hash of the whole name keeps those of two long ones apart.
    """
    whole = f"{name}_{suffix}"
    if len(whole) <= MAX_NAME:
        return whole
    end = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}_{suffix}"
    return name[: MAX_NAME - len(end)] + end


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a derived experiment comes from.

    Args:
        definition: The source's definition, as the ledger keeps it; of a search or of anything
            that has `preset`, `set`, `metrics`, `resources`, `budget` and `trainable`.
        baseline: All fields of its baseline's configuration, plain.
        folder: Where its own trainable may lie, or empty.
    """

    definition: Mapping[str, Any]
    baseline: Mapping[str, Any]
    folder: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.definition["name"])

    @property
    def where_its_trainable_is(self) -> tuple[str, ...]:
        """A line for people who run the derived spec elsewhere; none for qdexp's own training."""
        if self.definition["trainable"] == DEFAULT_TRAINABLE:
            return ()
        trainable = self.definition["trainable"]
        return (f"Run it where {trainable} can be imported: in {self.folder or 'its folder'}.",)

    def content(
        self, name: str, question: str, levels: Mapping[str, Sequence[Any]]
    ) -> dict[str, Any]:
        """Returns a spec's beginning and what it shares with the source, its design left open.

        Args:
            name: Its name.
            question: Its question.
            levels: The levels of every factor, the baseline's first.
        """
        of = self.definition
        fixed = {field: value for field, value in of["set"].items() if field not in levels}
        own = of["trainable"] != DEFAULT_TRAINABLE
        return {
            "name": name,
            "question": question,
            **({"trainable": of["trainable"]} if own else {}),
            **({"preset": of["preset"]} if of["preset"] is not None else {}),
            **({"set": fixed} if fixed else {}),
            "factors": {
                field: {"levels": list(each), "baseline": each[0]} for field, each in levels.items()
            },
            "metrics": self._metrics(),
            "resources": _resources(of["resources"]),
            **_budget(of["budget"]),
        }

    def levels(self, conditions: Sequence[Condition]) -> dict[str, list[Any]]:
        """Returns what differs from the baseline in any of the conditions, with its levels.

        Args:
            conditions: Values by field; those that one does not name have the baseline's.
        """
        found: dict[str, list[Any]] = {}
        for condition in conditions:
            for field, value in condition.items():
                if value == self.baseline[field]:
                    continue
                levels = found.setdefault(field, [self.baseline[field]])
                if value not in levels:
                    levels.append(value)
        order = list(self.baseline)
        return dict(sorted(found.items(), key=lambda each: order.index(each[0])))

    def _metrics(self) -> dict[str, Any]:
        of: Mapping[str, Any] = self.definition["metrics"]
        search: Mapping[str, Any] = self.definition.get("search") or {}
        objectives: Sequence[Mapping[str, Any]] = search.get("objectives") or ()
        beside = dict.fromkeys([*(each["metric"] for each in objectives), *of["secondary"]])
        beside.pop(of["primary"], None)
        effect = of["smallest_effect"]
        return {
            "primary": of["primary"],
            **({"secondary": list(beside)} if beside else {}),
            **({"smallest_effect": _effect(effect)} if effect else {}),
        }


def _effect(effect: Mapping[str, Any]) -> str | float:
    value: float = effect["value"]
    return share_text(value) if effect["is_relative"] else value


def _resources(of: Mapping[str, Any]) -> dict[str, Any]:
    return {**of, "gpus": "auto" if of["gpus"] is None else of["gpus"]}


def _budget(of: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the limit of a trial; that of a whole run is the source's alone."""
    return {"budget": {"trial": duration_text(of["trial"])}} if of["trial"] else {}
