"""What trials took: from the ledger, and from probes, which are kept in a file beside latents."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from qdexp.execution.estimate import Measured, Measurements
from qdexp.execution.shape import Shape, shape_of
from qdexp.experiment.trial import Trial
from qdexp.results.folders import cache_folder, trial_folder
from qdexp.results.ledger import Ledger
from qdexp.results.machine import cpu_model
from qdexp.results.overview import CompletedTrial, newest_completed
from qdexp.results.provenance import duration

NEWEST = 1000
"""Completed trials that are looked at, the last ones: an estimate needs not all of a ledger."""

ENOUGH = 30
"""Trials of one shape that are taken, the last ones."""

_PROBES = "probes.json"
_VERSION = 1


def measurements(ledger: Ledger, wanted: Iterable[Trial]) -> Measurements:
    """Returns what is measured of the shapes of trials that are wanted.

    Past trials of this kind of machine count first, then a probe, then trials of other machines.
    """
    shapes = {shape.steps for shape in map(shape_of, wanted)}
    here: dict[str, list[tuple[Shape, CompletedTrial]]] = {}
    elsewhere: dict[str, list[tuple[Shape, CompletedTrial]]] = {}
    cpu = cpu_model()
    for done in newest_completed(ledger, NEWEST) if shapes else ():
        shape = shape_of(done.trial)
        if shape.steps not in shapes or not done.step:
            continue
        hardware: dict[str, Any] = done.provenance.get("hardware") or {}
        found = here if hardware.get("cpu", cpu) == cpu else elsewhere
        if len(found.setdefault(shape.steps, [])) < ENOUGH:
            found[shape.steps].append((shape, done))
    probes = _read(ledger.runs)
    steps: dict[str, list[Measured]] = {}
    whole: dict[str, list[Measured]] = {}
    for key in shapes:
        past = here.get(key) or ([] if key in probes else elsewhere.get(key, []))
        is_elsewhere = key not in here
        for shape, done in past:
            taken = replace(
                _taken(ledger, done, is_alone=len(past) == 1), is_elsewhere=is_elsewhere
            )
            steps.setdefault(key, []).append(taken)
            whole.setdefault(shape.whole, []).append(taken)
        if not past and key in probes:
            probed, shape_whole = probes[key]
            steps[key] = [probed]
            whole.setdefault(shape_whole, []).append(probed)
    return Measurements(steps=steps, whole=whole)


def gpu_memory_bytes(ledger: Ledger, trial: Trial) -> float | None:
    """Returns the most memory of a GPU that a trial of this shape held, or None if none is known.

    What trials without a GPU held of the machine's memory says nothing; a probe's says so where
    there is a GPU.
    """
    shape = shape_of(trial).steps
    held = [
        done.measurements["cost.peak_memory_bytes"]
        for done in newest_completed(ledger, NEWEST)
        if done.provenance.get("device", "cpu") != "cpu"
        and "cost.peak_memory_bytes" in done.measurements
        and shape_of(done.trial).steps == shape
    ]
    probed = _read(ledger.runs).get(shape)
    if probed and probed[0].peak_memory_bytes is not None:
        held.append(probed[0].peak_memory_bytes)
    return max(held, default=None)


def keep_probe(runs: Path, shape: Shape, probed: Measured) -> None:
    """Keeps what a probe measured, in place of an earlier one of the same shape.

    Raises:
        OSError: The runs folder cannot be written.
    """
    path = _path(runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: {"whole": whole, **asdict(each)} for key, (each, whole) in _read(runs).items()}
    kept[shape.steps] = {"whole": shape.whole, **asdict(probed)}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps({"version": _VERSION, "shapes": kept}, indent=1), encoding="utf-8")
    beside.replace(path)


def _path(runs: Path) -> Path:
    return cache_folder(runs) / _PROBES


def _read(runs: Path) -> dict[str, tuple[Measured, str]]:
    """Returns the probes by shape; a file that is not of this version counts as none."""
    try:
        content = json.loads(_path(runs).read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return {}
        found: dict[str, tuple[Measured, str]] = {}
        for key, facts in content["shapes"].items():
            whole = facts.pop("whole")
            found[key] = (Measured(**facts), whole)
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return found


def _taken(ledger: Ledger, done: CompletedTrial, *, is_alone: bool) -> Measured:
    """Returns what a completed trial took; the parts of its training tell only where it is alone.

    A trial that went on from a checkpoint says how long all its steps took, not how long starting
    and measuring twice did: of those only what it measured is counted.
    """
    measured = done.measurements
    facts = done.provenance
    wall = duration(facts) or 0.0
    training = measured.get("cost.train_seconds")
    if training is None:
        training, other = wall, 0.0
    elif facts.get("resumed_from_step") is None:
        other = max(0.0, wall - training)
    else:
        other = measured.get("cost.eval_seconds", 0.0)
    step = training / done.step
    fastest = slowest = step
    if is_alone:
        series = ledger.history(done.trial_id).get("cost.step_seconds")
        if series and series.values:
            fastest, slowest = min(*series.values, step), max(*series.values, step)
    memory = measured.get("cost.peak_memory_bytes")
    return Measured(
        source="trial",
        step_seconds=step,
        fastest=fastest,
        slowest=slowest,
        num_steps=done.step,
        other_seconds=other,
        peak_memory_bytes=None if memory is None else int(memory),
        disk_bytes=folder_bytes(trial_folder(ledger.runs, done.trial_id)),
    )


def folder_bytes(folder: Path) -> int | None:
    """Returns the size of a folder's files, or None if there is no such folder."""
    if not folder.is_dir():
        return None
    total = 0
    for path in folder.iterdir():
        with suppress(OSError):  # it may be replaced just now
            total += path.stat().st_size if path.is_file() else 0
    return total
