"""A plan knows what the ledger knows: in few questions, and every change by its name."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from qdexp.config.data_config import DataConfig
from qdexp.execution.planning import plan_of
from qdexp.experiment import identity
from qdexp.experiment import trial as trials
from qdexp.experiment.plan import Plan
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec import Spec
from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name, trial_folder
from qdexp.results.ledger import Ledger, Row
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.schema import LEDGER_FILE
from tests.unit.execution.fakes import SPEC, FakeDataset


class Digits(FakeDataset):
    """Clips that nobody may prepare."""

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        raise AssertionError(f"{config} was prepared in {cache}")


class Made:
    """A runs folder whose experiments were recorded, and completed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def spec(self, text: str = SPEC) -> Spec:
        path = self.folder / "spec.yaml"
        path.write_text(text)
        return read_spec(path)

    def complete(self, text: str = SPEC) -> None:
        spec, plan = self.spec(text), self.plan(text)
        with Recorder(self.runs) as recorder:
            asked = [(planned.trial, planned.condition) for planned in plan.trials]
            recorder.record_plan((spec.file, spec.text, spec.definition()), asked)
            for planned in plan.to_run:
                trial_id = planned.trial.trial_id
                recorder.record_outcome(Outcome(trial_id=trial_id, status="completed", step=200))

    def plan(self, text: str = SPEC) -> Plan:
        with Ledger(self.runs) as ledger:
            return plan_of(self.spec(text), ledger, Digits())

    def invalidate(self, trial_id: str) -> None:
        with closing(sqlite3.connect(self.runs / LEDGER_FILE)) as connection, connection:
            connection.execute(
                "INSERT INTO invalidations (outcome_id, invalidated_at, because)"
                " SELECT outcome_id, 1.0, 'the disk lied' FROM outcomes"
                " WHERE trial_id = ?",
                (trial_id,),
            )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture
def next_revision(monkeypatch: pytest.MonkeyPatch) -> int:
    number = identity.RESULTS_REVISION + 1
    for module in (identity, trials):
        monkeypatch.setattr(module, "RESULTS_REVISION", number)
    return number


def test_code_whose_numbers_moved_makes_trials_stale_and_says_from_where(
    made: Made, request: pytest.FixtureRequest
) -> None:
    made.complete()
    number: int = request.getfixturevalue("next_revision")
    planned = made.plan().trials[0]
    changed = f"RESULTS_REVISION changed from {number - 1} to {number}"
    assert (planned.state, planned.reason, planned.changes) == ("stale", changed, (changed,))
    both = made.plan(SPEC.replace("200}", "200, model.dropout: 0.5}")).trials[0]
    assert both.changes == ("model.dropout changed from 0.0 to 0.5", changed)


def test_revision_that_was_never_noted_is_said_to_be(
    made: Made, request: pytest.FixtureRequest
) -> None:
    made.complete()
    with closing(sqlite3.connect(made.runs / LEDGER_FILE)) as connection, connection:
        connection.execute("UPDATE trials SET revision = NULL")
    request.getfixturevalue("next_revision")
    assert "from which was not noted" in made.plan().trials[0].reason


def test_invalidated_outcome_is_stale_says_why_and_begins_anew(made: Made) -> None:
    made.complete()
    trial = made.plan().trials[0].trial
    made.invalidate(trial.trial_id)
    planned, *others = made.plan().trials
    assert (planned.state, planned.reason) == ("stale", "invalidated: the disk lied")
    assert {each.state for each in others} == {"cached"}
    folder = trial_folder(made.runs, trial.trial_id)
    folder.mkdir(parents=True)
    (folder / checkpoint_name(20)).touch()
    begun = made.plan().trials[0]
    assert (begun.state, begun.reason) == (
        "resumable",
        "from step 20 (invalidated: the disk lied)",
    )


def test_nothing_goes_on_from_an_invalidated_trial(made: Made) -> None:
    made.complete()
    shorter = made.plan().trials[0].trial.trial_id
    folder = trial_folder(made.runs, shorter)
    folder.mkdir(parents=True)
    (folder / FINAL_CHECKPOINT).touch()
    longer = SPEC.replace("200", "400")
    assert made.plan(longer).trials[0].state == "resumable"
    made.invalidate(shorter)
    assert made.plan(longer).trials[0].state != "resumable"


def test_plan_names_the_other_experiments_that_ask_for_a_trial(made: Made) -> None:
    made.complete()
    others = SPEC.replace("name: sizes", "name: others").replace("[64, 128]", "[64, 256]")
    made.complete(others)
    shared = {p.condition["model.num_embeddings"]: p.shared_with for p in made.plan().trials}
    assert shared == {64: ("others",), 128: ()}
    made.complete(
        others.replace("[64, 256]", "[256, 512]").replace("baseline: 64", "baseline: 256")
    )
    assert not any(planned.shared_with for planned in made.plan().trials)


@pytest.mark.parametrize("knows", ["nothing", "all", "former"])
def test_questions_to_the_ledger_are_as_many_for_two_seeds_as_for_forty(
    made: Made, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    asked: list[str] = []
    rows = Ledger.rows

    def counted(self: Ledger, query: str, *values: str | int) -> list[Row]:
        asked.append(query)
        return rows(self, query, *values)

    counts: list[int] = []
    for seeds in (2, 40):
        text = SPEC.replace("seeds: 2", f"seeds: {seeds}")
        if knows != "nothing":
            made.complete(text)
        if knows == "former":
            text = text.replace("200}", "200, data.seed: 7}")
        monkeypatch.setattr(Ledger, "rows", counted)
        assert len(made.plan(text).trials) == 2 * seeds
        counts.append(len(asked))
        asked.clear()
        monkeypatch.setattr(Ledger, "rows", rows)
    assert counts[0] == counts[1] <= 5


def test_configuration_is_hashed_once_for_all_its_seeds(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(made.spec(), seeds=tuple(range(50)))
    hashed: list[int] = []
    effective = identity.effective
    monkeypatch.setattr(identity, "effective", lambda fields: hashed.append(1) or effective(fields))
    asked = spec.trials(["d", "d"])
    assert len({trial.trial_id for trial, _ in asked}) == 100
    assert len(hashed) == 2
