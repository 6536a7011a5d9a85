"""A search over what teachers taught: each is trained once, before its students, despite kills."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aftermath import is_timing
from fault_session import Faults
from killed_runs import ForkServer, Kill

from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import suggestions_of

pytestmark = pytest.mark.slow

SPEC = """\
name: distilled
question: Which codebook learns most from its teacher?
preset: tiny
set:
  model.hidden_dim: 16
  model.num_layers: 1
  model.num_heads: 2
  model.embedding_dim: 8
  training.objective: dmd
  training.max_steps: 6
  training.log_every_steps: 2
  training.checkpoint_every_steps: 2
  training.warmup_steps: 1
  diffusion.sampling_steps: 3
  distillation.max_steps: 4
  distillation.fake_updates: 2
  data.num_train_clips: 8
  data.num_eval_clips: 4
  data.num_frames: 5
  data.height: 32
  data.width: 32
  evaluation.num_clips: 2
  evaluation.num_levels: 4
  evaluation.curve_steps: [0, 3]
  evaluation.curve_clips: 2
  evaluation.codebook_tokens: 256
space:
  model.num_embeddings: {choices: [32, 64, 128]}
  distillation.learning_rate: {low: 0.00001, high: 0.001, log: true}
seeds: 2
sampler: {name: random, seed: 0}
budget: {trials: 4}
"""
COMMAND = ["search", "distilled.yaml", "--executor", "inline", "--no-report", "--no-tracking"]


def prepared(folder: Path) -> Path:
    folder.mkdir()
    (folder / "distilled.yaml").write_text(SPEC)
    return folder


def measured(runs: Path) -> dict[str, Any]:
    """Returns what does not depend on kills: what was told, and every number of every trial."""
    with Ledger(runs) as ledger:
        members = ledger.members("distilled")
        told = [(each.suggestion, each.told) for each in suggestions_of(ledger, "distilled")]
    assert all(each.outcome for each in members)
    numbers = {
        each.trial_id: {k: v for k, v in each.outcome.measurements.items() if not is_timing(k)}
        for each in members
        if each.outcome
    }
    return {"told": told, **numbers}


def assert_teachers_come_first(runs: Path) -> None:
    """Two seeds have two teachers; each trial has one outcome, and a student waits for it."""
    with Ledger(runs) as ledger:
        trials = [each.trial for each in ledger.members("distilled")]
    students = [each for each in trials if each.teacher]
    teachers = {each.teacher.trial_id for each in students if each.teacher}
    assert (len(students), len(teachers), len(trials)) == (4, 2, 6)
    with closing(sqlite3.connect(runs / "ledger.sqlite")) as read:
        began = dict(read.execute("SELECT trial_id, min(started_at) FROM starts GROUP BY 1"))
        ended = read.execute("SELECT trial_id, status, recorded_at FROM outcomes").fetchall()
    assert sorted(each for each, *_ in ended) == sorted(each.trial_id for each in trials)
    assert {status for _, status, _ in ended} == {"completed"}
    at = {trial_id: moment for trial_id, _, moment in ended}
    for each in students:
        assert each.teacher
        assert at[each.teacher.trial_id] <= began[each.trial_id]


def test_teacher_is_trained_once_and_students_after_it(
    server: ForkServer, faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("teacher")
    whole, killed = prepared(tmp_path / "whole"), prepared(tmp_path / "killed")
    ended = server.run(COMMAND, whole)
    assert ended.code == 0, ended.said
    assert_teachers_come_first(whole / "runs")
    # In the middle of a teacher's training, and then of a student's.
    for nth, kind in ((1, "rename checkpoint.pt"), (3, "ledger.sqlite starts")):
        moment = chance.choice(("before", "after"))
        kill = Kill(signal="SIGKILL", kind=kind, nth=nth, moment=moment)
        again = server.run(COMMAND, killed, kill)
        assert again.code == -9, f"{kill}\n{again.said}"
        faults.note(f"search over a teacher: {kill}")
    last = server.run(COMMAND, killed)
    assert last.code == 0, last.said
    assert_teachers_come_first(killed / "runs")
    assert measured(killed / "runs") == measured(whole / "runs")
