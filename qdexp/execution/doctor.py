"""The use case that compares the ledger with its mirror and with the disk, and mends both."""

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qdexp.execution.mirroring import Draw, begun_of, drawn, entry_of, whole
from qdexp.execution.ports import Checked, Mirror, Reported
from qdexp.results.folders import FINAL_CHECKPOINT, PICTURES, numbered_checkpoints, trial_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.sealed import is_whole
from qdexp.results.suggestions import numbers_of, suggestions_of

_TEMPORARY = (
    "trials/*/*.tmp",  # checkpoints
    "mlflow.db.new*",
    "reports/*/.*.new",
)
"""What a write that was killed leaves, under the runs folder."""


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What the doctor looks with.

    Args:
        mirror: What mirrors the ledger, or None if nothing does.
        draw: Writes an outcome's pictures into a folder and returns their paths.
        report: Writes the report of the experiment of a name.
    """

    mirror: Mirror | None
    draw: Draw
    report: Callable[[str], Reported]


def examine(runs: Path, instruments: Instruments) -> Checked:
    """Mends what can be mended in a runs folder that no driver uses; says what it found.

    Raises:
        LedgerInUseError: A driver is running.
        LedgerError: The ledger cannot be read or written.
    """
    with Recorder(runs) as recorder, Ledger(runs) as ledger:
        found = _temporary_files(runs) + _checkpoints(ledger)
        if instruments.mirror:
            found += _mirror(instruments.mirror, recorder, ledger, instruments)
    return found


def _temporary_files(runs: Path) -> Checked:
    mended: list[str] = []
    unmended: list[str] = []
    for file in sorted(file for pattern in _TEMPORARY for file in runs.glob(pattern)):
        if _is_being_written(file):
            continue
        try:
            file.unlink()
            mended.append(f"{file.relative_to(runs)}: left by a write that was killed: deleted")
        except OSError as error:
            unmended.append(f"{file.relative_to(runs)}: cannot be deleted: {error.strerror}")
    return Checked(mended=tuple(mended), unmended=tuple(unmended))


def _is_being_written(file: Path) -> bool:
    """Tells whether somebody has the file's folder locked, as a report's writer does."""
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _checkpoints(ledger: Ledger) -> Checked:
    """Looks at every checkpoint; a damaged one that another can replace is moved aside."""
    found = Checked()
    for folder in sorted((ledger.runs / "trials").glob("*/")):
        record = ledger.find(folder.name)
        for file in (*numbered_checkpoints(folder), folder / FINAL_CHECKPOINT):
            if file.exists() and not is_whole(file):
                found += _moved_aside(file, record)
    return found


def _moved_aside(file: Path, record: TrialRecord | None) -> Checked:
    trial = f"trial {file.parent.name}"
    if file.name == FINAL_CHECKPOINT and record and record.outcome and record.outcome.is_final:
        lost = (
            f"{trial}: its final weights are damaged ({file}); its outcome is in the ledger. To "
            f"have them again: `qdexp invalidate {file.parent.name} --because TEXT`, then run"
        )
        return Checked(unmended=(lost,))
    aside = file.with_name(f"{file.name}.damaged")
    try:
        file.rename(aside)
    except OSError as error:
        problem = f"{trial}: {file.name} is damaged, and cannot be renamed: {error.strerror}"
        return Checked(unmended=(problem,))
    moved = f"{trial}: {file.name} was damaged: renamed to {aside.name}, the one before counts"
    return Checked(mended=(moved,))


def _mirror(
    mirror: Mirror, recorder: Recorder, ledger: Ledger, instruments: Instruments
) -> Checked:
    experiments = ledger.experiments()
    if not experiments:
        return Checked()
    if silence := mirror.silence():
        return Checked(unmended=(silence,))
    found = Checked()
    for name in experiments:
        here = _experiment(name, mirror, ledger, instruments)
        if not here.unmended:
            shown = [m.trial_id for m in ledger.members(name) if m.is_asked_for and m.outcome]
            recorder.record_mirrored(name, mirror.place, shown)
        found += here
    return found


def _experiment(name: str, mirror: Mirror, ledger: Ledger, instruments: Instruments) -> Checked:
    page = ledger.runs / "reports" / name / "report.html"
    report = partial(instruments.report, name) if page.exists() else None
    found = mirror.check_experiment(entry_of(ledger.specs(name)[-1]), report)
    numbers = numbers_of(suggestions_of(ledger, name))
    for member in ledger.members(name):
        if not member.num_starts and not member.outcome:
            continue
        outcome = whole(member.outcome, ledger) if member.outcome else None
        files = partial(_pictures, outcome, ledger, instruments.draw)
        begun = begun_of(member, member.condition, {}, numbers.get(member.trial_id))
        folder = trial_folder(ledger.runs, member.trial_id)
        pictures = [picture for picture in PICTURES if (folder / picture).is_file()]
        found += mirror.check_trial(begun, outcome, files, pictures)
    return found


def _pictures(outcome: Outcome | None, ledger: Ledger, draw: Draw) -> Sequence[Path]:
    return drawn(outcome, ledger.runs, draw)[0] if outcome else ()
