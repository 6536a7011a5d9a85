"""The clips that trials left to be looked at: which are shown, and what is said of the others."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from qdexp.results.folders import REAL_CLIPS, SAMPLED_CLIPS, trial_folder
from qdexp.results.ledger import TrialRecord
from qdexp_analysis.labels import condition_text
from qdexp_analysis.language import say
from qdexp_analysis.table import Experiment

MOST_BYTES = 2_000_000
"""Of all animations of a page; the conditions after that are named with their files."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A row of clips that move.

    Args:
        label: Whose they are.
        alt: What the picture shows, for those who cannot see it.
        moving: The animation, as a data URI.
        still: Its first frame, for those whom motion disturbs, and for paper.
        width: Pixels.
        height: Pixels.
        position: The condition's, or None for real clips.
        seed: The trial's, that it comes from.
        trial_id: The trial's.
        file: Its path under the runs folder.
    """

    label: str
    alt: str
    moving: str
    still: str
    width: int
    height: int
    position: int | None
    seed: int
    trial_id: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Clips:
    """What a report shows of an experiment's clips.

    Args:
        shown: Real clips first, then one row for each condition that has them.
        missing: A sentence for each condition whose clips are not shown.
        seeds: The seeds that the shown ones are of.
    """

    shown: tuple[Clip, ...]
    missing: tuple[str, ...]
    seeds: tuple[int, ...]


def clips(experiment: Experiment, runs: Path) -> Clips:
    """Finds the clips of each condition's first seed that has some; a user's training has none."""
    if experiment.is_own:
        return Clips(shown=(), missing=(), seeds=())
    real: dict[str, Clip] = {}
    sampled: list[Clip] = []
    missing: list[str] = []
    room = MOST_BYTES
    for position in range(len(experiment.conditions)):
        named = experiment.labels.text(position)
        records = experiment.records_at(position)
        record, clip = _first(records, position, say("samples of {named}", named=named), runs)
        if record is None or clip is None:
            missing.append(say("{named}: {why}.", named=named, why=_why_missing(records)))
            continue
        room -= len(clip.moving)
        if room < 0:
            missing.append(
                say(
                    "{named}: left out to keep this page small; see {file}.",
                    named=named,
                    file=clip.file,
                )
            )
            continue
        sampled.append(clip)
        beside = _read(record, REAL_CLIPS, None, say("held-out clips"), runs)
        if beside is not None and beside.moving not in real:
            real[beside.moving] = beside
            room -= len(beside.moving)
    return Clips(
        shown=(*_distinct(list(real.values()), experiment), *sampled),
        missing=tuple(missing),
        seeds=tuple(sorted({clip.seed for clip in sampled})),
    )


def _first(
    records: Sequence[TrialRecord], position: int, what: str, runs: Path
) -> tuple[TrialRecord | None, Clip | None]:
    for record in records:
        if record.outcome is None or record.outcome.status != "completed":
            continue  # what lies there would be of an attempt before
        clip = _read(record, SAMPLED_CLIPS, position, what, runs)
        if clip is not None:
            return record, clip
    return None, None


def _why_missing(records: Sequence[TrialRecord]) -> str:
    if not any(r.outcome and r.outcome.status == "completed" for r in records):
        return say("no trial has completed")
    return say(
        "no trial left {file} in its folder (it is written where "
        "evaluation.shown_clips is above 0); `qdexp sample` makes clips of a trial's "
        "final checkpoint",
        file=SAMPLED_CLIPS,
    )


def _read(
    record: TrialRecord, name: str, position: int | None, what: str, runs: Path
) -> Clip | None:
    """Returns the clips in a trial's file, or None if there is none that can be read."""
    path = trial_folder(runs, record.trial_id) / name
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["GIF"]) as image:
            first = io.BytesIO()
            image.save(first, format="GIF")
            width, height = image.size
    except (OSError, UnidentifiedImageError):
        return None
    is_real = position is None
    return Clip(
        label=say("Held-out clips") if is_real else condition_text(record.condition),
        alt=say("Animation: {what}", what=what)
        if is_real
        else say("Animation: {what}, seed {seed}", what=what, seed=record.trial.seed),
        moving=_uri(content),
        still=_uri(first.getvalue()),
        width=width,
        height=height,
        position=position,
        seed=record.trial.seed,
        trial_id=record.trial_id,
        file=path.relative_to(runs).as_posix(),
    )


def _distinct(real: list[Clip], experiment: Experiment) -> list[Clip]:
    """Returns real clips; where conditions have their own, each says whose it is."""
    if len(real) < 2:
        return real
    names = {each.trial_id: condition_text(each.condition) for each in experiment.records}
    return [
        replace(clip, label=say("Held-out clips of {condition}", condition=names[clip.trial_id]))
        for clip in real
    ]


def _uri(content: bytes) -> str:
    return f"data:image/gif;base64,{base64.b64encode(content).decode()}"
