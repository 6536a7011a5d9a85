"""`qdexp sample`: clips of a trained network, from its checkpoint alone."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qdexp.cli.durations import in_words
from qdexp.cli.run_command import signals_interrupt
from qdexp.cli.sample_codes import CodeReport
from qdexp.cli.sample_folder import SAMPLES, SampleFolder
from qdexp.cli.sample_options import Asked, Options, cautions, resolved
from qdexp.cli.sample_speed import LEAST_BATCHES, Speeds
from qdexp.errors import CheckpointError, DataError, InterruptedRunError, QdexpError, RequestError
from qdexp.results.folders import FINAL_CHECKPOINT, numbered_checkpoints

if TYPE_CHECKING:
    import torch

    from qdexp.training.sample_batches import SampledBatch
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
        autoencoder_path: Where the weights of `wan` are, if not where they were in training.
        with_sheets: Whether a picture of every sample and its codes is drawn.
        with_codes: Whether the use of the codebook is analysed.
    """

    checkpoint: Path
    out: Path
    num_samples: int = 4
    asked: Asked
    autoencoder_path: Path | None = None
    with_sheets: bool = False
    with_codes: bool = False


def sample(request: Request) -> None:
    """Makes the samples, writes them, prints how fast it was and what was asked of the codebook.

    Raises:
        RequestError: The request was wrong; nothing was written.
        InterruptedRunError: Ctrl-C stopped it; nothing was written.
        QdexpError: Memory ran out, or the disk is full.
    """
    trained = _with_weights_at(request.autoencoder_path, _opened(request.checkpoint))
    options = resolved(request.asked, trained.configuration)
    if request.with_codes and trained.configuration.model.quantizer == "none":
        raise RequestError(
            "--analyze-codebook: expected a model with a codebook, found model.quantizer none"
        )
    session = _Session(request=request, trained=trained, options=options)
    folder = SampleFolder(path=request.out.absolute(), identity=session.identity())
    folder.check()
    for caution in cautions(options, trained.configuration):
        typer.echo(f"warning: {caution}", err=True)
    with signals_interrupt(), _explained(options), folder.writing() as unfinished:
        tables = session.run(unfinished)
    for table in tables:
        typer.echo(f"{table}\n")
    typer.echo(f"samples: {folder.path}")


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One request, accepted."""

    request: Request
    trained: "Trained"
    options: Options

    def identity(self) -> dict[str, Any]:
        """Returns what the samples are a function of."""
        return {
            "checkpoint_sha256": self.trained.sha256,
            "num_samples": self.request.num_samples,
            **self.options.to_plain(),
        }

    def run(self, folder: Path) -> list[str]:
        """Writes everything into a folder; returns the tables to be printed."""
        from qdexp.training.sample_batches import (
            checkpoint_sampler,
            sample_batches,
            samples_file,
        )

        options, model = self.options, self.trained.configuration.model
        speeds = Speeds(frames=options.batch * options.num_frames)
        codes = CodeReport(model, options.steps) if self.request.with_codes else None
        sampler = checkpoint_sampler(
            self.trained,
            options.latent_size,
            steps=options.steps,
            eta=options.eta,
            seed=options.seed,
        )
        typer.echo("warming up", err=True)
        total = self.request.num_samples
        latents: list[torch.Tensor] = []
        decode = self.trained.space.decode
        for batch in sample_batches(sampler, decode, total=total, size=options.batch):
            latents.append(batch.latents)
            speeds.add(batch.sampling_seconds, batch.decoding_seconds)
            if codes:
                codes.add(batch.codes)
            self._write_clips(batch, folder)
            self._say_progress(batch.first + len(batch.clips), speeds)
        self._time_more(sampler, speeds)
        (folder / SAMPLES).write_bytes(samples_file(latents, self.identity(), sampler))
        return [speeds.table(), *(codes.write(folder, sampler.steps) if codes else ())]

    def _time_more(self, sampler: "Sampler", speeds: Speeds) -> None:
        """Times batches that are thrown away, until there are enough for a spread."""
        from qdexp.training.sample_batches import time_batch

        missing = LEAST_BATCHES - len(speeds.sampling)
        if missing > 0:
            typer.echo(f"timing more batches, which are thrown away: {missing}", err=True)
        for _ in range(missing):
            speeds.add(*time_batch(sampler, self.trained.space.decode, size=self.options.batch))

    def _write_clips(self, batch: "SampledBatch", folder: Path) -> None:
        from qdexp.data.clip_files import gif, mp4, playback_speed
        from qdexp.training.sample_batches import last_codes

        speed = playback_speed(self.trained.configuration)
        model = self.trained.configuration.model
        for number, frames in enumerate(batch.clips):
            name = f"sample_{batch.first + number:03d}"
            (folder / f"{name}.mp4").write_bytes(mp4(frames, speed))
            (folder / f"{name}.gif").write_bytes(gif(frames, speed))
            if self.request.with_sheets:
                from qdexp_analysis.contact_sheet import save_contact_sheet

                save_contact_sheet(
                    frames,
                    last_codes(batch, number),
                    num_codes=model.num_embeddings,
                    latents_per_token=model.patch_size[0],
                    path=folder / f"{name}.png",
                )

    def _say_progress(self, done: int, speeds: Speeds) -> None:
        total = self.request.num_samples
        left = speeds.seconds_per_batch * -(-(total - done) // self.options.batch)
        rest = f", {in_words(left)} left" if left else ""
        pace = speeds.frames / speeds.seconds_per_batch
        typer.echo(f"sampled {done} of {total}, {pace:,.4g} frames/s{rest}", err=True)


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
        problem = str(error).removeprefix(path.name)  # it begins with the name, without a folder
        raise RequestError(f"--checkpoint: {path}{problem}") from None


def _with_weights_at(folder: Path | None, trained: "Trained") -> "Trained":
    """Returns a trained network that decodes with the weights in a folder, if one was asked for.

    Raises:
        RequestError: Its autoencoder has no weights of its own.
    """
    from qdexp.data.wan import Wan

    autoencoder = trained.space.autoencoder
    if folder is None:
        return trained
    if not isinstance(autoencoder, Wan):
        kind = trained.configuration.data.autoencoder
        raise RequestError(
            f"--autoencoder-path: expected none with {kind}, found {folder}: the checkpoint has "
            "all of it"
        )
    moved = replace(autoencoder, folder=folder)
    return replace(trained, space=replace(trained.space, autoencoder=moved))


@contextmanager
def _explained(options: Options) -> Generator[None]:
    """Turns what can stop sampling into words."""
    from qdexp.training.memory import has_run_out

    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError("stopped: nothing was written") from None
    except DataError as error:
        raise DataError(
            str(error).replace("data.autoencoder_path", "--autoencoder-path")
        ) from error
    except (RuntimeError, MemoryError) as error:
        if not has_run_out(error):
            raise
        raise QdexpError(
            f"out of memory: expected room for {options.batch} clips of {options.num_frames} x "
            f"{options.height} x {options.width} at once; lower --batch, or the size"
        ) from error
