"""The commands about one model: train, encode, presets; `sample` has a module of its own."""

from pathlib import Path
from typing import Annotated

import typer

from qdexp.cli import encode_options
from qdexp.cli.arguments import Settings


def train(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE", help="The configuration, as presets writes it."),
    ],
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="CHECKPOINT", help="A checkpoint to go on from."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Its folder [default: outputs/ and FILE's name]."
        ),
    ] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The seed.")] = 0,
) -> None:
    """Train one configuration; also under torchrun. The same command again goes on."""
    from qdexp.cli import train_command

    request = train_command.Request(
        config=config, settings=tuple(settings or ()), seed=seed, resume=resume, out=out
    )
    raise typer.Exit(train_command.train(request))


def encode(
    videos: encode_options.Videos,
    out: encode_options.Out,
    autoencoder: encode_options.Autoencoder = "pca3d",
    autoencoder_path: encode_options.AutoencoderPath = None,
    height: encode_options.Height = 64,
    width: encode_options.Width = 64,
    num_frames: encode_options.NumFrames = 17,
    fps: encode_options.Fps = None,
    stride: encode_options.Stride = 1,
    overlap: encode_options.Overlap = 0,
    fit: encode_options.Fit = "crop",
    held_out_share: encode_options.HeldOutShare = 0.1,
) -> None:
    """Encode videos into latents to train on. The same command again goes on."""
    from qdexp.cli import encode_command

    fields = {
        "autoencoder": autoencoder,
        "autoencoder_path": autoencoder_path,
        "height": height,
        "width": width,
        "num_frames": num_frames,
        "fps": fps,
        "stride": stride,
        "overlap": overlap,
        "fit": fit,
        "held_out_share": held_out_share,
    }
    request = encode_command.Request(videos=videos, out=out, fields=fields)
    raise typer.Exit(encode_command.encode(request))


def presets(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write them.")] = Path(
        "configs"
    ),
) -> None:
    """Write the preset configurations as JSON files."""
    from qdexp.cli import presets_command

    presets_command.write(out)
