"""A search's suggestions as the ledger has them: whatever is added here is there first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from qdexp.errors import ConfigurationError, RequestError
from qdexp.execution.planning import fingerprint_of, with_teachers
from qdexp.execution.ports import Dataset
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import (
    Origin,
    Suggestion,
    SuggestionRecord,
    TimeSpent,
    Told,
    add_rung,
    add_suggestion,
    add_teacher,
    add_telling,
    add_time_spent,
    changed_between,
    numbers_of,
    suggestions_of,
    time_spent,
)


class Candidates:
    """The trials of a search's configurations, and which of them were suggested.

    Args:
        spec: The search.
        dataset: Fingerprints the data.
    """

    def __init__(self, spec: SearchSpec, dataset: Dataset) -> None:
        self._spec = spec
        self._dataset = dataset
        self._fingerprints: dict[str, str] = {}
        self._baseline = spec.baseline.fields()

    def trials(self, values: Condition) -> list[Trial]:
        """Returns the trials of a configuration, a seed each.

        Raises:
            ConfigurationError: Its values do not go together.
        """
        configuration = self._spec.configuration(values)
        data = repr([(k, v) for k, v in configuration.fields().items() if k.startswith("data.")])
        if data not in self._fingerprints:
            self._fingerprints[data] = fingerprint_of(configuration, self._dataset)
        return [
            Trial(
                configuration=configuration,
                seed=seed,
                data_fingerprint=self._fingerprints[data],
                trainable=self._spec.spec.trainable,
            )
            for seed in self._spec.spec.seeds
        ]

    def trial_id(self, values: Condition) -> str | None:
        """Returns the id of a configuration's first trial, or None if it is not allowed."""
        if not self._spec.space.holds({**self._baseline, **values}):
            return None
        try:
            return self.trials(values)[0].trial_id
        except ConfigurationError:
            return None


class Study:
    """What a search knows, in memory as in the ledger.

    Args:
        name: The search.
        recorder: The ledger's writer.
        ledger: The ledger.
    """

    def __init__(self, name: str, recorder: Recorder, ledger: Ledger) -> None:
        self.name = name
        self._recorder = recorder
        self.records = suggestions_of(ledger, name)
        self.spent = time_spent(ledger, name)
        self.number_of = numbers_of(self.records)

    @property
    def open(self) -> list[SuggestionRecord]:
        """The suggestions that have not ended."""
        return [record for record in self.records if record.told is None]

    def add(
        self,
        values: Condition,
        origin: Origin,
        trials: Sequence[Trial],
        attributes: Mapping[str, object] | None = None,
    ) -> SuggestionRecord:
        """Adds a suggestion with its trials, and what these learn from."""
        number = len(self.records)
        # As the ledger gives it back: what is suggested next must not depend on a kill between.
        suggestion = Suggestion(
            number=number,
            values=json.loads(json.dumps(dict(values))),
            origin=origin,
            attributes=json.loads(json.dumps(dict(attributes or {}))),
        )
        with self._recorder.transaction() as write:
            for teacher, _ in with_teachers([(each, values) for each in trials])[: -len(trials)]:
                add_teacher(write, self.name, number, teacher)
            suggested_at = add_suggestion(write, self.name, suggestion, trials)
        record = SuggestionRecord(
            suggestion=suggestion,
            suggested_at=suggested_at,
            trial_ids=tuple(each.trial_id for each in trials),
            told=None,
            rungs={},
        )
        self.records.append(record)
        self.number_of |= dict.fromkeys(record.trial_ids, number)
        return record

    def tell(self, number: int, told: Told) -> None:
        """Adds how a suggestion ended."""
        with self._recorder.transaction() as write:
            told_at = add_telling(write, self.name, number, told)
        self.records[number] = replace(self.records[number], told=told, told_at=told_at)

    def add_rung(self, trial_id: str, step: int, value: float) -> None:
        """Adds what a trial reached at a step, the first time that it does."""
        record = self.records[self.number_of[trial_id]]
        rungs = {trial: dict(values) for trial, values in record.rungs.items()}
        if step in rungs.setdefault(trial_id, {}):
            return
        with self._recorder.transaction() as write:
            add_rung(write, self.name, trial_id, step, value)
        rungs[trial_id][step] = value
        self.records[record.suggestion.number] = replace(record, rungs=rungs)

    def rungs(self, trial_id: str) -> Mapping[int, float]:
        """Returns what a trial reached, by step; nothing for a teacher."""
        number = self.number_of.get(trial_id)
        return {} if number is None else self.records[number].rungs.get(trial_id, {})

    def others_at(self, trial_id: str, step: int) -> list[float]:
        """Returns what the other trials of the same seed reached at a step."""
        place = self.records[self.number_of[trial_id]].trial_ids.index(trial_id)
        others = (record.trial_ids[place] for record in self.records)
        reached = (self.rungs(other) for other in others if other != trial_id)
        return [values[step] for values in reached if step in values]

    def add_time(self, more: TimeSpent) -> None:
        """Adds how long trials ran since the last time."""
        if more.seconds:
            with self._recorder.transaction() as write:
                add_time_spent(write, self.name, more)
            self.spent += more


def check_goes_on(spec: SearchSpec, candidates: Candidates, ledger: Ledger) -> None:
    """Accepts a search that is new, or the same as the one of its name in the ledger.

    Raises:
        RequestError: Another experiment has its name, or its suggestions were others' answers.
    """
    if spec.name not in ledger.experiments():
        return
    former = ledger.specs(spec.name)[-1].definition
    if "search" not in former:
        raise RequestError(
            f"{spec.spec.file}: expected a name that no ablation has, found '{spec.name}', which "
            "is one in this ledger: give the search another name"
        )
    parts = changed_between(former, json.loads(json.dumps(spec.definition())))
    changed = [f"its {part} changed" for part in parts]
    changed += _changes_of_trials(spec, candidates, ledger)
    if changed:
        raise RequestError(
            f"{spec.spec.file}: expected the search '{spec.name}' as it was begun, found that "
            f"{'; '.join(changed)}: give it another name, and it begins with what this one "
            "measured where that still counts"
        )


def _changes_of_trials(spec: SearchSpec, candidates: Candidates, ledger: Ledger) -> Iterator[str]:
    """Yields how a search's baseline differs from the trials that it was begun with."""
    first = suggestions_of(ledger, spec.name)[:1]
    wanted = candidates.trials(spec.spec.baseline)
    if not first or first[0].trial_ids == tuple(trial.trial_id for trial in wanted):
        return
    begun = [ledger.trial(each).trial for each in first[0].trial_ids]
    seeds = [each.seed for each in begun]
    if seeds != list(spec.spec.seeds):
        yield f"its seeds were {_listed(seeds)} and are {_listed(spec.spec.seeds)}"
    was, now = begun[0].configuration.fields(), wanted[0].configuration.fields()
    different = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    yield from (f"{name} was {was.get(name)} and is {now.get(name)}" for name in different)
    if not different and seeds == list(spec.spec.seeds):
        yield "its data or code changed"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
