"""What is known of experiments and of their trials: `qdexp.status` and `qdexp.show`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.experiment.looks import planned_schedule
from qdexp.results.best import best_of_search
from qdexp.results.folders import runs_folder, trial_folder
from qdexp.results.ledger import Ledger, SpecRecord, TrialRecord
from qdexp.results.records import OtherOutcome
from qdexp.results.standing import begun_now, state_of, step_of

if TYPE_CHECKING:
    from qdexp.results.outcome import Series


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """How far one trial of an experiment is.

    Args:
        record: What the ledger knows of it.
        state: Its outcome's status, or `waiting`, `running`, `interrupted`.
        step: Steps that are safe.
    """

    record: TrialRecord
    state: str
    step: int


@dataclass(frozen=True, kw_only=True)
class ExperimentStatus:
    """How far an experiment is.

    Args:
        name: Its name.
        trials: The trials that it asks for now.
        looks: Seeds at each look, where seeds are added until all is decided; empty elsewhere.
        best: The best that it found so far, in words, if it is a search.
    """

    name: str
    trials: tuple[TrialStatus, ...]
    looks: tuple[int, ...] = ()
    best: str = ""

    @property
    def num_seeds(self) -> int:
        """Seeds that it asks for now."""
        return len({each.record.trial.seed for each in self.trials})


@dataclass(frozen=True, kw_only=True)
class ShownTrial:
    """One trial, whole.

    Args:
        record: What the ledger knows of it.
        state: Its outcome's status, or `waiting`, `running`, `interrupted`.
        experiments: The experiments that ask, or once asked, for it.
        history: Earlier values of metrics, by name.
        folder: Where its large files are, if it has some.
        spec: The text of the spec that asked for its last outcome, if that was noted.
        changes: Changes of the code that were not committed then, as a diff, or None.
        others: Results of other machines that are not the same, and count nowhere.
        set_aside: Folders of invalidated outcomes, each with the reason.
    """

    record: TrialRecord
    state: str
    experiments: tuple[str, ...]
    history: "dict[str, Series]"
    folder: Path
    spec: SpecRecord | None
    changes: str | None
    others: tuple[OtherOutcome, ...]
    set_aside: tuple[tuple[str, str], ...]


def status(
    name: str | None = None, *, runs: Path | str | None = None
) -> tuple[ExperimentStatus, ...]:
    """Returns how far an experiment is, or all of them.

    Raises:
        NotFoundError: There is no such experiment.
    """
    with Ledger(runs_folder(runs)) as ledger:
        if name:
            ledger.specs(name)
        names = [name] if name else ledger.experiments()
        begun = begun_now(ledger, names)
        return tuple(
            ExperimentStatus(
                name=each,
                trials=tuple(
                    TrialStatus(
                        record=record,
                        state=state_of(record, begun),
                        step=step_of(record, ledger.runs),
                    )
                    for record in ledger.members(each)
                    if record.is_asked_for
                ),
                looks=planned_schedule(ledger.specs(each)[-1].definition),
                best=best_of_search(ledger, each),
            )
            for each in names
        )


def show(trial: str, *, runs: Path | str | None = None) -> ShownTrial:
    """Returns the trial whose id begins with `trial`.

    Raises:
        NotFoundError: The prefix does not name one trial.
    """
    with Ledger(runs_folder(runs)) as ledger:
        record = ledger.trial(trial)
        ran = record.outcome.provenance if record.outcome else {}
        experiments = tuple(ledger.experiments_of(record.trial_id))
        return ShownTrial(
            record=record,
            state=state_of(record, begun_now(ledger, experiments)),
            experiments=experiments,
            history=ledger.history(record.trial_id),
            folder=trial_folder(ledger.runs, record.trial_id),
            spec=ledger.spec(str(ran["spec"])) if "spec" in ran else None,
            changes=ledger.text(str(ran["diff"])) if "diff" in ran else None,
            others=tuple(ledger.others(record)),
            set_aside=tuple(ledger.set_aside(record.trial_id)),
        )
