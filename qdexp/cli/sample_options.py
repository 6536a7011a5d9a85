"""How samples are made: what was asked, checked against what a trained network can do."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.errors import RequestError

FRAMES_PER_LATENT = 4
PIXELS_PER_LATENT = 8


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `qdexp sample` that decide samples; None is what it was trained with."""

    num_frames: int | None = None
    height: int | None = None
    width: int | None = None
    steps: int | None = None
    eta: float | None = None
    seed: int = 0
    batch: int = 4


@dataclass(frozen=True, kw_only=True)
class Options:
    """What samples are a function of, beside the checkpoint and their number.

    Args:
        num_frames: Frames of a clip.
        height: Rows of a frame, pixels.
        width: Columns, pixels.
        steps: Network evaluations of one sample.
        eta: DDIM's; 0 for a student, which adds noise anew at every step.
        seed: Which noise.
        batch: Clips that are always made together: their number changes last bits.
    """

    num_frames: int
    height: int
    width: int
    steps: int
    eta: float
    seed: int
    batch: int

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """Frames, rows and columns of a sample's latent."""
        return (
            1 + (self.num_frames - 1) // FRAMES_PER_LATENT,
            self.height // PIXELS_PER_LATENT,
            self.width // PIXELS_PER_LATENT,
        )

    def to_plain(self) -> dict[str, Any]:
        """Returns all of them by name."""
        return asdict(self)


def resolved(asked: Asked, config: Configuration) -> Options:
    """Returns the options with the checkpoint's own where nothing was asked.

    Raises:
        RequestError: The network cannot do it; the message says what it can.
    """
    model, data, diffusion = config.model, config.data, config.diffusion
    frames, rows, columns = model.patch_size
    options = Options(
        num_frames=_size(
            "--num-frames",
            data.num_frames if asked.num_frames is None else asked.num_frames,
            # 1 + 4k frames are 1 + k latent frames, which patches must tile
            range(4 * frames - 3, 4 * frames * model.max_frames - 2, 4 * frames),
        ),
        height=_size(
            "--height",
            data.height if asked.height is None else asked.height,
            range(8 * rows, 8 * rows * model.max_grid + 1, 8 * rows),
        ),
        width=_size(
            "--width",
            data.width if asked.width is None else asked.width,
            range(8 * columns, 8 * columns * model.max_grid + 1, 8 * columns),
        ),
        steps=diffusion.sampling_steps if asked.steps is None else asked.steps,
        eta=_eta(asked.eta, config),
        seed=asked.seed,
        batch=asked.batch,
    )
    trained = diffusion.max_step - diffusion.min_step + 1
    if options.steps > trained:
        raise RequestError(
            f"--steps: expected at most {trained}, the timesteps that were trained "
            f"({diffusion.min_step} to {diffusion.max_step}), found {options.steps}"
        )
    return options


def _size(option: str, value: int, possible: range) -> int:
    if value in possible:
        return value
    below = [size for size in possible if size < value][-1:]
    above = [size for size in possible if size > value][:1]
    nearest = " and ".join(str(size) for size in below + above)
    more = "nearest are" if len(below + above) > 1 else "nearest is"
    if len(possible) == 1:
        raise RequestError(
            f"{option}: expected {possible[0]}, all that this model can do, found {value}"
        )
    raise RequestError(
        f"{option}: expected {possible[0]}, {possible[1]} and so on in steps of {possible.step} "
        f"up to {possible[-1]}, which is what this model can do, found {value}; the {more} "
        f"{nearest}"
    )


def _eta(asked: float | None, config: Configuration) -> float:
    if config.training.objective != "dmd":
        return config.diffusion.sampling_eta if asked is None else asked
    if asked:
        raise RequestError(
            f"--eta: expected none for a distilled student, found {asked}: it adds noise anew at "
            "every step, which is what it was trained for"
        )
    return 0.0


def cautions(options: Options, config: Configuration) -> Iterator[str]:
    """Yields what can be done but was not trained."""
    model, data, diffusion = config.model, config.data, config.diffusion
    if config.training.objective == "dmd" and options.steps != diffusion.sampling_steps:
        yield (
            f"this student was made for {diffusion.sampling_steps} steps; with {options.steps} it "
            "meets noise that it was not trained on"
        )
    trained = (data.num_frames, data.height, data.width)
    asked = (options.num_frames, options.height, options.width)
    if any(a > t for a, t in zip(asked, trained, strict=True)):
        kind = (
            "their positions beyond that are as they were before training"
            if model.positions == "learned"
            else "rotary positions reach further, but nothing was learned there"
        )
        yield (
            f"trained on {trained[0]} frames of {trained[1]} x {trained[2]}, sampling {asked[0]} "
            f"of {asked[1]} x {asked[2]}: {kind}"
        )
