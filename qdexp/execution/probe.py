"""A probe: a few real steps of one trial of each shape, in a process and a folder of their own.

The ledger never hears of it. What it measures is kept in the runs folder's cache.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.errors import RequestError
from qdexp.execution import machine
from qdexp.execution.estimate import Measured, Measurements
from qdexp.execution.measured import folder_bytes, keep_probe
from qdexp.execution.ports import Assignment, Dataset, Workspace
from qdexp.execution.shape import shape_of
from qdexp.experiment.plan import Plan, PlannedTrial
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Trial
from qdexp.results.folders import FINAL_CHECKPOINT, cache_folder, trial_folder

WARM_UP, COUNTED = 2, 8
"""Steps that are not counted, since the first ones are slower, and those that are."""

MOST_SECONDS = 60.0
"""A trainable of somebody else's is stopped at its first report after this long."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where probes run, and whom they tell."""

    runs: Path
    scratch: Path
    dataset: Dataset
    say: Callable[[str], None]


def probe(
    plan: Plan,
    measured: Measurements,
    runs: Path,
    dataset: Dataset,
    say: Callable[[str], None],
) -> int:
    """Probes each shape to run of which nothing is measured on such a machine; returns how many.

    Args:
        plan: What is to run.
        measured: What is known already.
        runs: The runs folder, in whose cache latents are made and measurements kept.
        dataset: Makes the latents.
        say: Hears, in words, what is probed, and which probe failed.

    Raises:
        RequestError: The measurements cannot be kept.
        DataError: The data are not what they should be.
    """
    wanted = _wanted(plan, measured)
    done = 0
    with tempfile.TemporaryDirectory(prefix="qdexp-probe-") as scratch:
        place = _Place(runs=runs, scratch=Path(scratch), dataset=dataset, say=say)
        for number, planned in enumerate(wanted, start=1):
            say(f"probe {number} of {len(wanted)}: {planned.label}")
            found = _probed(planned.trial, place)
            if found is None:
                continue
            try:
                keep_probe(runs, shape_of(planned.trial), found)
            except OSError as error:
                raise RequestError(
                    f"--probe: expected a cache that can be written, found {cache_folder(runs)}: "
                    f"{error.strerror}; choose another runs folder with --runs"
                ) from None
            done += 1
    return done


def _wanted(plan: Plan, measured: Measurements) -> list[PlannedTrial]:
    """Returns the first trial to run of each shape that nothing here is known of."""
    waiting: dict[str, PlannedTrial] = {}
    for planned in plan.to_run:
        waiting.setdefault(shape_of(planned.trial).steps, planned)
    return [
        planned
        for key, planned in waiting.items()
        if all(each.is_elsewhere for each in measured.steps.get(key, ()))
    ]


def _probed(trial: Trial, place: _Place) -> Measured | None:
    teacher = None
    if trial.teacher:
        teacher = _weights_of(trial.teacher, place)
        if teacher is None:
            return None
    short = _shortened(trial)
    facts = _run(short, place, teacher)
    if facts is None:
        return None
    folder = place.scratch / short.trial_id
    return measured_from(facts, trial, folder)


def _weights_of(teacher: Trial, place: _Place) -> Path | None:
    """Returns a checkpoint of a teacher: its own, or one of a few steps."""
    own = trial_folder(place.runs, teacher.trial_id) / FINAL_CHECKPOINT
    if own.exists():
        return own
    short = _shortened(teacher)
    made = place.scratch / short.trial_id / FINAL_CHECKPOINT
    if not made.exists():
        _run(short, place, None)
    return made if made.exists() else None


def _shortened(trial: Trial) -> Trial:
    """Returns the same training with few steps, each measured; one of somebody else's as it is."""
    if trial.trainable != DEFAULT_TRAINABLE:
        return trial
    is_student = trial.ours.training.objective == "dmd"
    length = "distillation.max_steps" if is_student else "training.max_steps"
    few = {length: WARM_UP + COUNTED, "training.log_every_steps": 1}
    return replace(trial, configuration=trial.configuration.replace(few))


def _run(trial: Trial, place: _Place, teacher: Path | None) -> dict[str, Any] | None:
    """Runs a trial in another process; returns what it measured, or says why it did not."""
    folder = place.scratch / trial.trial_id
    folder.mkdir(exist_ok=True)
    latents = None
    if isinstance(trial.configuration, Configuration):
        latents = place.dataset.prepare(trial.configuration.data, cache_folder(place.runs))
    workspace = Workspace(folder=folder, latents=latents, teacher=teacher)
    ended = subprocess.run(
        [sys.executable, "-m", "qdexp.execution.probing"],
        input=Assignment(trial=trial, workspace=workspace).to_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        place.say(f"the probe's process ended with {ended.returncode}: {last}")
        return None
    facts: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    if facts["problem"]:
        place.say(f"the probe did not complete: {facts['problem']}")
        return None
    return facts


def measured_from(facts: dict[str, Any], trial: Trial, folder: Path) -> Measured | None:
    """Returns what a probe's process tells of a trial, or None if it tells nothing of steps.

    Args:
        facts: What `probing` printed.
        trial: The trial that was probed, with all its steps.
        folder: What the probe left.
    """
    each: Sequence[float] = facts["step_seconds"][WARM_UP:] or facts["step_seconds"]
    if not each:
        return None
    mean = sum(each) / len(each)
    memory = facts["peak_memory_bytes"]
    if memory is None and not machine.num_gpus():
        memory = facts["resident_bytes"]
    return Measured(
        source="probe",
        step_seconds=mean,
        fastest=min(each),
        slowest=max(each),
        num_steps=len(each),
        other_seconds=max(0.0, facts["seconds"] - mean * facts["num_steps"]),
        peak_memory_bytes=memory,
        disk_bytes=_disk_bytes(trial, folder),
    )


def _disk_bytes(trial: Trial, folder: Path) -> int | None:
    """Returns what the whole trial will leave: a second checkpoint where it saves on the way."""
    left = folder_bytes(folder)
    final = folder / FINAL_CHECKPOINT
    if left is None or trial.trainable != DEFAULT_TRAINABLE or not final.exists():
        return left
    saves = trial.ours.num_steps > trial.ours.training.checkpoint_every_steps
    return left + (final.stat().st_size if saves else 0)
