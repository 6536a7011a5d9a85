"""How to run an experiment again: the command line that its present spec came from."""

import json
import shlex
from typing import Any

from ruamel.yaml import YAML

from qdexp.experiment.looks import planned_schedule
from qdexp.results.ledger import SpecRecord
from qdexp_analysis.language import say

DEFAULT_SEEDS = 3
"""Seeds of a spec that names none."""

DEFAULT_SEEDS_OF_SEARCH = 1
"""Seeds of a search's spec that names none."""


def run_command(spec: SpecRecord) -> str:
    """Returns ``qdexp run FILE`` with the ``--set`` and ``--seeds`` that its text lacks.

    ``qdexp search FILE`` for a search, with its ``--trials``, too.
    """
    written: dict[str, Any] = YAML(typ="safe", pure=True).load(spec.text)
    in_text: dict[str, Any] = written.get("set") or {}
    is_search = "search" in spec.definition
    words = ["qdexp", "search" if is_search else "run", spec.file]
    for field, value in spec.definition["set"].items():
        if field not in in_text or in_text[field] != value:
            words += ["--set", f"{field}={_scalar(value)}"]
    seeds = written.get("seeds", DEFAULT_SEEDS_OF_SEARCH if is_search else DEFAULT_SEEDS)
    if spec.definition["seeds"] != _seeds(seeds, spec.definition):
        words += ["--seeds", str(len(spec.definition["seeds"]))]
    if is_search:
        budget: dict[str, Any] = written.get("budget") or {}
        trials: int | None = spec.definition["search"]["budget"]["trials"]
        if budget.get("trials") != trials:
            words += ["--trials", str(trials)]
    return shlex.join(words)


def settings_text(spec: SpecRecord) -> str:
    """Returns which seeds were asked for, and what was set for all conditions."""
    looks = planned_schedule(spec.definition)
    seeds = ", ".join(map(str, spec.definition["seeds"]))
    if looks:
        seeds = say(
            "up to {most}, from 0, at looks after {listed}",
            most=looks[-1],
            listed=", ".join(map(str, looks)),
        )
    fields = [f"{field} = {_scalar(value)}" for field, value in spec.definition["set"].items()]
    return say(
        "Seeds: {seeds}. Set for all conditions: {fields}.",
        seeds=seeds,
        fields=", ".join(fields) or say("nothing"),
    )


def _seeds(written: int | list[int] | dict[str, Any], definition: dict[str, Any]) -> list[int]:
    """Returns the seeds that a text asks for; those until all is decided are as it says."""
    if isinstance(written, dict):
        return definition["seeds"] if "looks" in definition else []
    return list(range(written)) if isinstance(written, int) else written


def _scalar(value: object) -> str:
    """Returns a value as ``--set`` reads it: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)
