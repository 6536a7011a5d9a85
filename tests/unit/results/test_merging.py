# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""Ledgers merge: everything once, nothing of ours lost, disagreements seen."""

import json
from dataclasses import replace
from pathlib import Path

from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder


def test_imported_ledger_reads_as_the_other_one(machines, here, there) -> None:
    first, second = machines.trial(0), machines.trial(1)
    there.asks(first, second)
    there.ends(machines.failed(first), machines.completed(first))
    done = here.imports(there)
    assert here.rows() == there.rows()
    assert (done.merged.num_experiments, done.merged.num_new_trials) == (1, 2)
    assert done.merged.num_outcomes == 2
    with Ledger(here.runs) as ours, Ledger(there.runs) as theirs:
        assert ours.members("sizes") == theirs.members("sizes")
        assert ours.history(first.trial_id) == theirs.history(first.trial_id)
        assert ours.arrays(first.trial_id) == theirs.arrays(first.trial_id)
        assert ours.unmirrored("sizes") == ours.members("sizes")[:1]


def test_importing_again_changes_nothing(machines, here, there) -> None:
    mine, shared, other = (machines.trial(seed) for seed in range(3))
    here.asks(mine, shared)
    here.ends(machines.completed(mine), machines.completed(shared, 0.25))
    there.asks(shared, other, text="theirs")
    there.ends(machines.failed(shared), machines.completed(shared, 0.5))
    there.ends(machines.completed(other))
    there.invalidates(other)
    here.imports(there)
    before = here.rows()
    again = here.imports(there)
    assert here.rows() == before
    assert again.merged.num_outcomes == again.merged.num_new_trials == 0
    assert len(again.merged.disagreements) == 1


def test_equal_result_of_both_machines_is_one(machines, here, there) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    there.asks(trial)
    slower = machines.completed(trial)
    slower.measurements["cost.step_seconds"] = 7.0
    slower.measurements["eval.fps"] = 3.0
    there.ends(slower)
    done = here.imports(there)
    assert done.merged.num_equal == 1
    assert done.merged.disagreements == []
    assert len(here.rows()["outcomes"]) == 1


def test_disagreeing_results_are_reported_and_ours_counts(machines, here, there) -> None:
    trial = machines.trial()
    here.runs_trial(trial, loss=0.25)
    there.runs_trial(trial, loss=0.5)
    done = here.imports(there)
    (found,) = done.merged.disagreements
    assert found.trial_id == trial.trial_id
    assert [(n.name, n.one, n.other) for n in found.numbers] == [("eval.denoising_loss", 0.25, 0.5)]
    assert here.counts(trial) == 0.25
    with Ledger(here.runs) as ledger:
        (other,) = ledger.others(ledger.trial(trial.trial_id))
    assert other.outcome == machines.completed(trial, 0.5)
    assert other.origin == str(there.runs)


def test_results_that_ended_differently_disagree(machines, here, there) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    there.asks(trial)
    there.ends(replace(machines.failed(trial), status="diverged"))
    (found,) = here.imports(there).merged.disagreements
    assert (found.here, found.there) == ("completed", "diverged")


def test_their_result_counts_where_ours_only_failed(machines, here, there) -> None:
    trial = machines.trial()
    here.asks(trial)
    here.ends(machines.failed(trial))
    there.runs_trial(trial)
    here.imports(there)
    assert here.counts(trial) == 0.25
    assert len(here.rows()["outcomes"]) == 2


def test_their_failure_does_not_hide_our_result(machines, here, there) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    there.asks(trial)
    there.ends(machines.failed(trial, "first"), machines.failed(trial, "second"))
    here.imports(there)
    assert here.counts(trial) == 0.25
    rows = sorted(here.rows()["outcomes"])
    assert [json.loads(row[7])["reason"] if row[7] else row[3] for row in rows] == [
        "first",
        "second",
        "completed",
    ]
    here.ends(machines.completed(trial, 0.75))
    assert here.counts(trial) == 0.75


def test_outcome_invalidated_there_counts_no_more_here(machines, here, there) -> None:
    trial = machines.trial()
    there.runs_trial(trial)
    here.imports(there)
    here.keeps(trial, "final_checkpoint.pt")
    with Recorder(here.runs) as recorder:
        recorder.record_mirrored("sizes", "", [trial.trial_id])
    there.invalidates(trial, "the fan was off")
    done = here.imports(there)
    assert done.merged.num_invalidated == 1
    assert here.knows(trial).invalidated == "the fan was off"
    assert not here.folder(trial).exists()
    assert Path(f"{here.folder(trial)}.invalidated-1", "final_checkpoint.pt").exists()
    with Ledger(here.runs) as ledger:
        assert [record.trial_id for record in ledger.unmirrored("sizes")] == [trial.trial_id]


def test_outcome_invalidated_here_is_not_brought_back(machines, here, there) -> None:
    trial = machines.trial()
    there.runs_trial(trial)
    there.keeps(trial, "final_checkpoint.pt")
    here.imports(there)
    here.invalidates(trial)
    done = here.imports(there)
    assert here.counts(trial) is None
    assert not here.folder(trial).exists()
    assert done.copied.num_files == 0


def test_rerun_after_their_invalidation_counts(machines, here, there) -> None:
    trial = machines.trial()
    there.runs_trial(trial)
    here.imports(there)
    there.invalidates(trial)
    there.ends(machines.completed(trial, 0.5))
    there.keeps(trial, "final_checkpoint.pt", b"second")
    here.imports(there)
    assert here.counts(trial) == 0.5
    assert (here.folder(trial) / "final_checkpoint.pt").read_bytes() == b"second"


def test_our_spec_stays_the_present_one(machines, here, there) -> None:
    mine, other = machines.trial(0), machines.trial(1)
    here.runs_trial(mine, text="ours")
    there.runs_trial(other, text="theirs")
    done = here.imports(there)
    assert done.merged.keeping_their_spec == ["sizes"]
    with Ledger(here.runs) as ledger:
        assert [spec.text for spec in ledger.specs("sizes")] == ["theirs", "ours"]
        asked = {member.trial_id: member.is_asked_for for member in ledger.members("sizes")}
    assert asked == {mine.trial_id: True, other.trial_id: False}


def test_provenance_texts_travel(machines, here, there) -> None:
    trial = machines.trial()
    there.asks(trial)
    with Recorder(there.runs) as recorder:
        facts = recorder.record_facts({"diff": "diff --git a b\n+x\n"})
        recorder.record_outcome(machines.completed(trial, **facts))
    here.imports(there)
    with Ledger(here.runs) as ledger:
        assert ledger.text(facts["diff"]) == "diff --git a b\n+x\n"


def test_timings_that_a_users_training_declares_are_not_compared(machines, here, there) -> None:
    trial = machines.trial()
    own = {"metrics": [{"name": "mine.seconds", "is_timing": True}, {"name": "mine.error"}]}
    for machine, seconds, error in ((here, 1.0, 0.5), (there, 2.0, 0.5)):
        with Recorder(machine.runs) as recorder:
            definition = {"name": "sizes", "question": "?", "own": own}
            recorder.record_plan(("f", "text", definition), [(trial, {"a": 1})])
        measured = {"mine.seconds": seconds, "mine.error": error}
        machine.ends(replace(machines.completed(trial), measurements=measured))
    done = here.imports(there)
    assert done.merged.num_equal == 1
    assert done.merged.disagreements == []
