"""What is asked of `ablate`, read and checked: from where to where, by which changes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.config.presets import PRESETS, preset
from qdexp.errors import ConfigurationError, RequestError, SpecError, nearest
from qdexp.experiment.base_reader import first_named, of_set
from qdexp.experiment.configuration_file import read_configuration
from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.document import keys_in_words
from qdexp.experiment.identity import WITHOUT_EFFECT
from qdexp.experiment.reader import parse_overrides, read_spec
from qdexp.experiment.spec import Budget, Resources
from qdexp.experiment.trial import DEFAULT_TRAINABLE
from qdexp.results.folders import runs_folder
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.config.configuration import Configuration
    from qdexp.experiment.changes import Changes
    from qdexp.experiment.path_text import PathDraft, Winner
    from qdexp.experiment.spec import Spec

NUM_SEEDS = 5
"""Seeds of what stays on a path, where neither a search nor the command says how many."""

METRIC = "eval.denoising_loss"
"""What a configuration's changes are judged on unless the command says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What is to be explained.

    Args:
        changes: What differs between the baseline and the winner.
        draft: The path's spec without its rounds.
        shared: A spec that has the baseline and the winner: what all specs of the path share.
    """

    changes: "Changes"
    draft: "PathDraft"
    shared: "Spec"


@dataclass(frozen=True, kw_only=True)
class AblationRequest:
    """What is asked of `ablate`.

    Args:
        subject: A search's name, or the file of a configuration.
        baseline: A preset's name or the file of a configuration; of a search it is the search's.
        suggestion: The number of the one to explain of a search, or None for its winner.
        metric: What changes are judged on, over the search's own.
        settings: ``FIELD=VALUE`` texts, set in the baseline and in the winner.
        fields: The same as values, over `settings`.
        num_seeds: Seeds of what stays on the path, or None for as many as the search confirms with.
        is_raced: Whether candidates that are clearly worse are dropped before they have all seeds.
        runs: The runs folder, or None for the default.
    """

    subject: str
    baseline: str | None = None
    suggestion: int | None = None
    metric: str | None = None
    settings: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    num_seeds: int | None = None
    is_raced: bool = False
    runs: Path | str | None = None

    @property
    def runs_folder(self) -> Path:
        """The absolute runs folder."""
        return runs_folder(self.runs)

    def read(self) -> Ablation:
        """Returns what is to be explained; writes nothing.

        Raises:
            RequestError: There is no such search, file or preset, or nothing differs.
        """
        source, winner = self._of_file() if self._is_file else self._of_search()
        overrides = parse_overrides(self.settings, self.num_seeds, self.fields).fields
        source = self._adjusted(source, overrides)
        winner = replace(winner, values={**winner.values, **overrides})
        try:
            return _ablation(source, winner, self._seeds(source), is_raced=self.is_raced)
        except SpecError as error:
            raise self._at_its_option(error, source, overrides) from None

    def _at_its_option(
        self, error: SpecError, source: Source, overrides: Mapping[str, Any]
    ) -> RequestError:
        """Returns the error of a spec that nobody wrote where it comes from: from which option."""
        problem = error.problem
        if error.keys == keys_in_words(("metrics", "primary")):
            others = "" if self.metric is None else f" ({_metrics_in_words(source)})"
            return RequestError(f"--metric: {problem.removeprefix('metrics: ')}{others}")
        if (field := first_named(problem, overrides)) is not None:
            return of_set(field, problem)
        return RequestError(f"{self.subject}: {problem}")

    @cached_property
    def _is_file(self) -> bool:
        path = Path(self.subject)
        return path.suffix in (".json", ".yaml", ".yml") or path.is_file()

    def _of_search(self) -> "tuple[Source, Winner]":
        from qdexp.results.winners import source_of, winner_of

        if self.baseline is not None:
            problem = (
                f"expected none with a search, whose baseline is its own, found {self.baseline}"
            )
            raise RequestError(f"--baseline: {problem}")
        with Ledger(self.runs_folder) as ledger:
            source = source_of(ledger, self.subject)
            winner = winner_of(ledger, source, self.suggestion)
        if winner.no_gain and self.metric is None:
            raise RequestError(
                "expected a winner that is better than its baseline, found "
                f"{winner.no_gain}: there is no gain to explain; `qdexp search` with more --trials "
                "looks further"
            )
        return source, winner

    def _of_file(self) -> "tuple[Source, Winner]":
        from qdexp.experiment.path_text import Winner

        path = Path(self.subject)
        if self.suggestion is not None:
            problem = f"expected none with a configuration's file, found {self.suggestion}"
            raise RequestError(f"--suggestion: {problem}: it is one of a search's")
        if self.baseline is None:
            presets = ", ".join(PRESETS)
            problem = f"expected a preset ({presets}) or a configuration's file beside {path}"
            raise RequestError(f"--baseline: {problem}, found none")
        winner, baseline = read_configuration(path), _baseline(self.baseline)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_-") or "configuration"
        source = Source(definition=_definition(name, baseline), baseline=baseline.fields())
        values = {f: v for f, v in winner.fields().items() if f not in WITHOUT_EFFECT}
        return source, Winner(values=values, in_words=f"the configuration {path.name}")

    def _adjusted(self, source: Source, overrides: Mapping[str, Any]) -> Source:
        """Returns the source with what the command sets in it.

        Raises:
            ConfigurationError: A field is none of its configuration's.
        """
        for each in overrides:
            if each not in source.baseline:
                hint = nearest(each, source.baseline)
                raise ConfigurationError(
                    f"--set: expected a field of its configuration, found '{each}'{hint}"
                )
        definition = dict(source.definition)
        definition["set"] = {**definition["set"], **overrides}
        if self.metric is not None:
            definition["metrics"] = {**definition["metrics"], "primary": self.metric}
        baseline = {**source.baseline, **overrides}
        return replace(source, definition=definition, baseline=baseline)

    def _seeds(self, source: Source) -> tuple[int, ...]:
        """Returns the seeds of the path: those of the confirmation first, none of the search's."""
        search: Mapping[str, Any] | None = source.definition.get("search")
        confirm: Mapping[str, Any] = (search or {}).get("confirm") or {}
        fresh: list[int] = list(confirm.get("seeds", ()))
        used = set(source.definition["seeds"]) if search else set[int]()
        number = self.num_seeds or len(fresh) or NUM_SEEDS
        others = (each for each in range(number + len(used) + len(fresh)) if each not in used)
        fresh += [each for each in others if each not in fresh]
        return tuple(fresh[:number])


def _baseline(name: str) -> "Configuration":
    if name in PRESETS:
        return preset(name)
    if not Path(name).exists():
        problem = f"expected a preset ({', '.join(PRESETS)}) or a configuration's file, found "
        raise RequestError(
            f"--baseline: {problem}'{name}', which is neither{nearest(name, PRESETS)}"
        )
    return read_configuration(Path(name))


def _metrics_in_words(source: Source) -> str:
    """Returns what may be judged instead of a metric that cannot be."""
    search: Mapping[str, Any] | None = source.definition.get("search")
    if search is None:
        return f"without it changes are judged on {METRIC}"
    names = [each["metric"] for each in search["objectives"]]
    names = dict.fromkeys([*names, *source.definition["metrics"]["secondary"]])
    return f"the search {source.name} has {', '.join(names)}"


def _definition(name: str, baseline: "Configuration") -> dict[str, Any]:
    """Returns what is shared with a configuration that nothing but its fields is known of."""
    fields = baseline.fields()
    differing = {
        each: {f: v for f, v in fields.items() if preset(each).fields()[f] != v} for each in PRESETS
    }
    nearest = min(PRESETS, key=lambda each: len(differing[each]))
    return {
        "name": name,
        "preset": nearest,
        "set": differing[nearest],
        "metrics": {"primary": METRIC, "secondary": [], "smallest_effect": None},
        "resources": asdict(Resources()),
        "budget": asdict(Budget()),
        "trainable": DEFAULT_TRAINABLE,
    }


def _ablation(
    source: Source, winner: "Winner", seeds: tuple[int, ...], *, is_raced: bool
) -> Ablation:
    from qdexp.experiment.path_text import PathDraft

    values = {f: value for f, value in winner.values.items() if value != source.baseline[f]}
    _check_changes(values, winner)
    shared = _shared_spec(source, values)
    (_, baseline), _ = shared.grid.conditions
    changes = _changes(source, shared, baseline, values)
    _check_changes(changes.fields, winner)
    draft = PathDraft(
        source=source, winner=winner, levels=changes.levels, seeds=seeds, is_raced=is_raced
    )
    return Ablation(changes=changes, draft=draft, shared=shared)


def _check_changes(changes: Sequence[str] | Mapping[str, Any], winner: "Winner") -> None:
    if not changes:
        problem = f"expected what differs from its baseline, found that {winner.in_words} does not"
        raise RequestError(f"{problem}: there is nothing to explain")


def _shared_spec(source: Source, values: Mapping[str, Any]) -> "Spec":
    """Returns a spec with the baseline and the winner, read as every spec is."""
    from qdexp.experiment.declaration import declaration_of

    if source.definition["trainable"] != DEFAULT_TRAINABLE:
        declaration_of(source.definition["trainable"], Path(source.folder or "."))
    content = source.content(
        derived_name(source.name, "path"), "What differs?", source.levels([values])
    )
    return read_spec(content | {"design": "listed", "conditions": [dict(values)], "seeds": 1})


def _changes(source: Source, shared: "Spec", baseline: Any, values: Mapping[str, Any]) -> "Changes":  # noqa: ANN401
    from qdexp.experiment.changes import Changes
    from qdexp.experiment.named_fields import OURS
    from qdexp.experiment.where import parse_where

    named = shared.own.fields() if shared.own else OURS
    search: Mapping[str, Any] = source.definition.get("search") or {}
    space: Mapping[str, Any] = search.get("space") or {"parameters": (), "where": None}
    acts = {
        each["field"]: parse_where(each["when"], named)
        for each in space["parameters"]
        if each.get("when")
    }
    if space["where"] is None:
        return Changes(baseline, values, acts=acts)
    return Changes(baseline, values, holds=parse_where(space["where"], named), acts=acts)
