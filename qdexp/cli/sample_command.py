"""`qdexp sample`: clips of a trained network, from its checkpoint alone."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qdexp.cli.durations import in_words
from qdexp.cli.sample_codes import CodeReport
from qdexp.cli.sample_folder import META, SAMPLES, SampleFolder
from qdexp.cli.sample_options import Asked, Options, cautions, resolved
from qdexp.cli.sample_speed import Speeds
from qdexp.errors import CheckpointError, InterruptedRunError, QdexpError, RequestError
from qdexp.results.folders import FINAL_CHECKPOINT, numbered_checkpoints

if TYPE_CHECKING:
    import torch

    from qdexp.training.sampling import Sampler
    from qdexp.training.trained import Trained


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked on the command line.

    Args:
        checkpoint: The trained network.
        out: The folder for the samples.
        num_samples: How many.
        asked: The options that decide them.
        with_sheets: Whether a picture of every sample and its codes is drawn.
        with_codes: Whether the use of the codebook is analysed.
    """

    checkpoint: Path
    out: Path
    num_samples: int = 4
    asked: Asked
    with_sheets: bool = False
    with_codes: bool = False


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Some samples: latents (n, c, t, h, w), pixels of each, codes by call of the network."""

    first: int
    latents: "torch.Tensor"
    pixels: "list[torch.Tensor]"
    codes: "list[torch.Tensor]"


def sample(request: Request) -> None:
    """Makes the samples, writes them, prints how fast it was and what was asked of the codebook.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: Ctrl-C stopped it; nothing was written.
        QdexpError: Memory ran out, or the disk is full.
    """
    trained = _opened(request.checkpoint)
    options = resolved(request.asked, trained.configuration)
    _check_codes(request, trained)
    folder = SampleFolder(path=request.out.absolute(), identity=_identity(request, trained, options))
    folder.check()
    for caution in cautions(options, trained.configuration):
        typer.echo(f"warning: {caution}", err=True)
    try:
        with folder.writing() as unfinished:
            tables = _Session(request=request, trained=trained, options=options).run(unfinished)
    except KeyboardInterrupt:
        raise InterruptedRunError("stopped: nothing was written") from None
    for table in tables:
        typer.echo(f"{table}\n")
    typer.echo(f"samples: {folder.path}")


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One request, accepted."""

    request: Request
    trained: "Trained"
    options: Options

    def run(self, folder: Path) -> list[str]:
        """Writes everything into a folder; returns the tables to be printed."""
        from safetensors.torch import save

        speeds = Speeds(frames=self.options.batch * self.options.num_frames)
        model, steps = self.trained.configuration.model, self.options.steps
        codes = CodeReport(model, steps) if self.request.with_codes else None
        latents: list[torch.Tensor] = []
        sampler = self._sampler()
        for batch in self._batches(sampler, speeds):
            latents.append(batch.latents.cpu())
            if codes:
                codes.add(batch.codes)
            self._write_clips(batch, folder)
        import torch

        tensors = {"latents": torch.cat(latents).contiguous()}
        meta = _identity(self.request, self.trained, self.options) | _circumstances(sampler)
        (folder / SAMPLES).write_bytes(save(tensors, {META: json.dumps(meta)}))
        tables = [speeds.table()]
        if codes:
            tables += codes.write(folder, sampler.timesteps.tolist())
        return tables

    def _sampler(self) -> "Sampler":
        from qdexp.training.course import parametrisation_of
        from qdexp.training.opening import computing_device
        from qdexp.training.sampling import Sampler

        options, config = self.options, self.trained.configuration
        device = computing_device(config)
        steps = {"diffusion.sampling_steps": options.steps, "diffusion.sampling_eta": options.eta}
        sampler = Sampler.of(
            self.trained.model.to(device),
            config.replace(steps),
            parametrisation_of(config, device),
        )
        shape = (config.model.latent_channels, *options.latent_size)
        return replace(sampler, shape=shape, seed=options.seed)

    def _batches(self, sampler: "Sampler", speeds: Speeds) -> Iterator[_Batch]:
        """Makes batch after batch, each of full size: so no sample depends on how many there are.

        Raises:
            QdexpError: Memory ran out.
        """
        from qdexp.training.memory import has_run_out

        total, size = self.request.num_samples, self.options.batch
        try:
            self._warm_up(sampler)
            for first in range(0, total, size):
                batch = self._timed(sampler, first, speeds)
                yield _kept(batch, total - first)
                self._say_progress(min(first + size, total), speeds)
        except (RuntimeError, MemoryError) as error:
            if not has_run_out(error):
                raise
            raise QdexpError(
                f"out of memory: expected room for {size} clips of {self.options.num_frames} x "
                f"{self.options.height} x {self.options.width} at once; lower --batch, or the size"
            ) from error

    def _warm_up(self, sampler: "Sampler") -> None:
        """Does once, untimed, what takes longer the first time."""
        import torch

        typer.echo("warming up", err=True)
        sampler.warm_up(self.options.batch)
        still = torch.zeros(1, *sampler.shape, device=sampler.timesteps.device)
        self.trained.space.decode(still)
        _synchronise(sampler)

    def _timed(self, sampler: "Sampler", first: int, speeds: Speeds) -> _Batch:
        codes: list[torch.Tensor] = []
        _synchronise(sampler)
        began = time.perf_counter()
        latents = sampler.sample(
            range(first, first + self.options.batch),
            lambda _, prediction: codes.append(prediction.indices),
        )
        _synchronise(sampler)
        sampled = time.perf_counter()
        # One by one: the memory is one clip's, and no clip depends on its neighbours.
        pixels = [self.trained.space.decode(each[None])[0] for each in latents]
        _synchronise(sampler)
        speeds.sampling.append(sampled - began)
        speeds.decoding.append(time.perf_counter() - sampled)
        return _Batch(first=first, latents=latents, pixels=pixels, codes=codes)

    def _say_progress(self, done: int, speeds: Speeds) -> None:
        total, size = self.request.num_samples, self.options.batch
        per_batch = sum(speeds.sampling + speeds.decoding) / len(speeds.sampling)
        left = per_batch * -(-(total - done) // size)
        rest = f", {in_words(left)} left" if left else ""
        typer.echo(
            f"sampled {done} of {total}, {speeds.frames / per_batch:,.4g} frames/s{rest}", err=True
        )

    def _write_clips(self, batch: _Batch, folder: Path) -> None:
        from qdexp.data.clip_files import FRAMES_PER_SECOND, frames_of, gif, mp4

        # Only data of videos say how fast they are.
        speed = self.trained.configuration.fields().get("data.fps") or FRAMES_PER_SECOND
        for number, pixels in enumerate(batch.pixels):
            name = f"sample_{batch.first + number:03d}"
            frames = frames_of(pixels)
            (folder / f"{name}.mp4").write_bytes(mp4(frames, speed))
            (folder / f"{name}.gif").write_bytes(gif(frames, speed))
            if self.request.with_sheets:
                from qdexp_analysis.contact_sheet import save_contact_sheet

                model = self.trained.configuration.model
                codes = batch.codes[-1][number, ..., :1].cpu().numpy()
                save_contact_sheet(
                    frames,
                    codes[..., 0] if codes.size else None,
                    num_codes=model.num_embeddings,
                    latents_per_code=model.patch_size[0],
                    path=folder / f"{name}.png",
                )


def _kept(batch: _Batch, count: int) -> _Batch:
    return _Batch(
        first=batch.first,
        latents=batch.latents[:count],
        pixels=batch.pixels[:count],
        codes=[codes[:count] for codes in batch.codes],
    )


def _opened(path: Path) -> "Trained":
    """Reads the checkpoint.

    Raises:
        RequestError: It is none that can be sampled.
    """
    if path.is_dir():
        inside = [path / FINAL_CHECKPOINT, *numbered_checkpoints(path)]
        existing = [str(file) for file in inside if file.is_file()]
        hint = f"; did you mean {existing[0]}?" if existing else ""
        raise RequestError(f"--checkpoint: expected a file, found a folder: {path}{hint}")
    if not path.exists():
        raise RequestError(
            f"--checkpoint: expected a checkpoint, found nothing at {path}; `qdexp train` leaves "
            f"{FINAL_CHECKPOINT} in its folder"
        )
    from qdexp.training.trained import open_trained

    try:
        return open_trained(path)
    except CheckpointError as error:
        raise RequestError(f"--checkpoint: {path}: {error}") from None


def _check_codes(request: Request, trained: "Trained") -> None:
    if request.with_codes and trained.configuration.model.quantizer == "none":
        raise RequestError(
            "--analyze-codebook: expected a model with a codebook, found model.quantizer none"
        )


def _identity(request: Request, trained: "Trained", options: Options) -> dict[str, Any]:
    """Returns what the samples are a function of."""
    return {
        "checkpoint_sha256": trained.sha256,
        "num_samples": request.num_samples,
        **options.to_plain(),
    }


def _circumstances(sampler: "Sampler") -> dict[str, Any]:
    """Returns what else a reader of the samples may want to know."""
    import torch

    device = sampler.timesteps.device
    return {
        "sampler": "few steps" if sampler.is_few_step else "ddim",
        "timesteps": sampler.timesteps.tolist(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "num_threads": torch.get_num_threads(),
        "qdexp": version("qdexp"),
    }


def _synchronise(sampler: "Sampler") -> None:
    """Waits for the device, which is asked to work and works later."""
    import torch

    if sampler.timesteps.device.type == "cuda":
        torch.cuda.synchronize(sampler.timesteps.device)
