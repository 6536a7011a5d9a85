"""A few clips of a trial to look at: its samples, and held-out clips beside them."""

# pyright: basic

from pathlib import Path

from torch import Tensor

from qdexp.data.clip_files import Frames, frames_of, gif, playback_speed, side_by_side
from qdexp.evaluation.denoising_error import HeldOutClips
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.results.folders import REAL_CLIPS, SAMPLED_CLIPS
from qdexp.training.course import Course
from qdexp.training.sampling import sampled_latents


def shown_clips(
    model: QuantizedDiffusionPredictor, course: Course, held_out: HeldOutClips
) -> dict[str, bytes]:
    """Returns animated GIFs by file name, each with `evaluation.shown_clips` clips in a row.

    The samples start from the same noise in every trial. The held-out clips went through the
    autoencoder too, so that both are seen through it.
    """
    count = course.config.evaluation.shown_clips
    if not count:
        return {}
    rows = {
        SAMPLED_CLIPS: sampled_latents(model, course, count),
        REAL_CLIPS: held_out.latents[:count],
    }
    speed = playback_speed(course.config)
    return {
        name: gif(side_by_side(_frames(latents, held_out)), speed) for name, latents in rows.items()
    }


def write_clips(clips: dict[str, bytes], folder: Path) -> str | None:
    """Writes GIFs; returns a warning where that fails: they are no result."""
    try:
        for name, content in clips.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        return f"the clips to look at could not be written: {error}"
    return None


def _frames(latents: Tensor, held_out: HeldOutClips) -> list[Frames]:
    return [frames_of(held_out.decode(latent[None])[0]) for latent in latents]
