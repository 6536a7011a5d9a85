"""The ledger keeps what it is given, whole, and lets one writer in."""

import multiprocessing
import os
import signal
import sqlite3
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.presets import preset
from qdexp.errors import LedgerError, LedgerInUseError, NotFoundError
from qdexp.experiment.trial import Trial
from qdexp.results import schema
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Array, Failure, Outcome, Series
from qdexp.results.recorder import Recorder

TRIAL = Trial(configuration=preset("tiny"), seed=0, data_fingerprint="d")
CONDITION = {"model.num_embeddings": 8192}
COMPLETED = Outcome(
    trial_id=TRIAL.trial_id,
    status="completed",
    step=200,
    measurements={"eval.denoising_loss": 0.25},
    history={"train.loss": Series(steps=(10, 20), values=(1.0, 0.5))},
    arrays={"eval.clip_errors": Array(shape=(2, 3), values=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))},
    warnings=("codebook collapsed",),
    provenance={"commit": "abc"},
)
FAILED = Outcome(
    trial_id=TRIAL.trial_id,
    status="failed",
    step=7,
    failure=Failure(reason="ValueError: no", kind="exception", step=7, traceback="..."),
)
floats = st.floats(allow_nan=False)


def asked(recorder: Recorder, *trials: Trial, text: str = "text") -> None:
    definition = {"name": "sizes", "question": "?"}
    recorder.record_plan(("spec.yaml", text, definition), [(t, CONDITION) for t in trials])


def test_outcome_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        recorder.record_start(TRIAL.trial_id, 5.0)
        recorder.record_outcome(COMPLETED)
        (record,) = ledger.members("sizes")
        assert record.trial == TRIAL
        assert record.condition == CONDITION
        assert (record.num_starts, record.started_at) == (1, 5.0)
        assert record.outcome is not None
        assert record.outcome.measurements == COMPLETED.measurements
        assert record.outcome.warnings == COMPLETED.warnings
        assert record.outcome.provenance == COMPLETED.provenance
        assert ledger.history(TRIAL.trial_id) == COMPLETED.history
        assert ledger.arrays(TRIAL.trial_id) == COMPLETED.arrays


def test_last_outcome_counts_and_former_ones_stay(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        recorder.record_outcome(FAILED)
        (record,) = ledger.members("sizes")
        assert record.outcome == FAILED
        recorder.record_outcome(COMPLETED)
        (record,) = ledger.members("sizes")
        assert record.outcome is not None
        assert record.outcome.status == "completed"
    with sqlite3.connect(tmp_path / schema.LEDGER_FILE) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (2,)
    connection.close()


def test_trial_no_longer_asked_for_stays_known(tmp_path: Path) -> None:
    other = Trial(configuration=preset("tiny"), seed=1, data_fingerprint="d")
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL, other)
        asked(recorder, other, text="changed")
        asked_for = {m.trial_id: m.is_asked_for for m in ledger.members("sizes")}
        assert asked_for == {TRIAL.trial_id: False, other.trial_id: True}
        assert [spec.text for spec in ledger.specs("sizes")] == ["text", "changed"]


def test_same_spec_again_is_recorded_once(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        asked(recorder, TRIAL)
        assert len(ledger.specs("sizes")) == 1


def test_trial_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        assert ledger.trial(TRIAL.trial_id[:5]).trial == TRIAL
        for unknown in ("zzz", "", "%", "_"):
            with pytest.raises(NotFoundError, match="expected the beginning of one trial's id"):
                ledger.trial(unknown)


def test_unknown_experiment_names_the_nearest(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        with pytest.raises(NotFoundError, match="did you mean 'sizes'"):
            ledger.specs("size")


def test_folder_without_a_ledger_reads_as_empty_and_stays_untouched(tmp_path: Path) -> None:
    with Ledger(tmp_path / "none") as ledger:
        assert ledger.experiments() == []
    assert not (tmp_path / "none").exists()


def test_outcome_counts_as_mirrored_where_it_was_until_there_is_another(tmp_path: Path) -> None:
    other = Trial(configuration=preset("tiny"), seed=1, data_fingerprint="d")
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL, other)
        recorder.record_outcome(COMPLETED)
        recorder.record_mirrored("sizes", "http://host", [TRIAL.trial_id, other.trial_id])
        assert ledger.unmirrored("sizes", "http://host") == []
        assert [record.trial for record in ledger.unmirrored("sizes", "")] == [TRIAL]
        assert ledger.places() == ["http://host"]
        recorder.record_outcome(COMPLETED)
        assert [record.trial for record in ledger.unmirrored("sizes", "http://host")] == [TRIAL]


def test_readers_of_a_finished_run_leave_nothing_behind(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        asked(recorder, TRIAL)
    before = sorted(path.name for path in tmp_path.iterdir())
    with Ledger(tmp_path) as ledger:
        assert ledger.experiments() == ["sizes"]
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert before == ["driver.lock", schema.LEDGER_FILE]


def test_reader_sees_what_is_recorded_while_it_reads_and_after(tmp_path: Path) -> None:
    Recorder(tmp_path).close()
    with Ledger(tmp_path) as ledger:
        with Recorder(tmp_path) as recorder:
            asked(recorder, TRIAL)
            assert ledger.experiments() == ["sizes"]
            recorder.record_outcome(COMPLETED)
        assert ledger.trial(TRIAL.trial_id).outcome is not None
        with Recorder(tmp_path) as recorder:
            recorder.record_outcome(FAILED)
        record = ledger.trial(TRIAL.trial_id)
        assert record.outcome is not None
        assert record.outcome.status == "failed"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_is_read(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        asked(recorder, TRIAL)
    connection = sqlite3.connect(tmp_path / schema.LEDGER_FILE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    tmp_path.chmod(0o555)
    try:
        with Ledger(tmp_path) as ledger:
            assert ledger.experiments() == ["sizes"]
    finally:
        tmp_path.chmod(0o755)


def test_ledger_whose_writer_died_before_its_first_commit_reads_as_empty(tmp_path: Path) -> None:
    (tmp_path / schema.LEDGER_FILE).touch()
    with Ledger(tmp_path) as ledger:
        assert ledger.experiments() == []
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        asked(recorder, TRIAL)
        assert ledger.experiments() == ["sizes"]


def test_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    with Recorder(tmp_path), pytest.raises(LedgerInUseError, match=f"process {os.getpid()} on"):
        Recorder(tmp_path)
    Recorder(tmp_path).close()


def test_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / schema.LEDGER_FILE).write_text("not a database at all, but long enough" * 10)
    with pytest.raises(LedgerError, match="expected a ledger"):
        Ledger(tmp_path)


def test_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    Recorder(tmp_path).close()
    connection = sqlite3.connect(tmp_path / schema.LEDGER_FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="expected ledger version 3 or older, found 99"):
        Ledger(tmp_path)


def _write_until_killed(folder: Path, ready: Event) -> None:
    recorder = Recorder(folder)
    asked(recorder, TRIAL)
    while True:
        recorder.record_outcome(COMPLETED)
        ready.set()


@pytest.mark.parametrize("attempt", range(3))
def test_writer_killed_while_writing_leaves_only_whole_outcomes(
    tmp_path: Path, attempt: int
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60), f"attempt {attempt}: the writer never wrote"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Recorder(tmp_path) as recorder, Ledger(tmp_path) as ledger:
        (record,) = ledger.members("sizes")
        assert record.outcome is not None
        assert ledger.arrays(TRIAL.trial_id) == COMPLETED.arrays
        recorder.record_outcome(COMPLETED)


@given(st.lists(st.tuples(st.integers(0, 2**62), floats)))
def test_series_survives_its_block(points: list[tuple[int, float]]) -> None:
    series = Series(steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))
    assert schema.series_from_block(schema.block_from_series(series)) == series


@given(st.lists(floats, max_size=50))
def test_array_survives_its_block(values: list[float]) -> None:
    numbers = Array(shape=(1, len(values)), values=tuple(values))
    assert schema.array_from_block(schema.block_from_array(numbers)) == numbers
