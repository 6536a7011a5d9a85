"""The options of `qdexp sample` as typer reads them."""

from pathlib import Path
from typing import Annotated

import typer

Checkpoint = Annotated[
    Path, typer.Option("--checkpoint", metavar="FILE", help="The trained model.")
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where latents, MP4 and GIF files go.")
]
NumSamples = Annotated[
    int, typer.Option("--num-samples", metavar="N", min=1, max=100_000, help="How many clips.")
]
NumFrames = Annotated[
    int | None,
    typer.Option(
        "--num-frames", metavar="T", help="Frames of a clip, 1 + 4k [default: as trained]."
    ),
]
Height = Annotated[
    int | None, typer.Option("--height", metavar="H", help="Pixels [default: as trained].")
]
Width = Annotated[
    int | None, typer.Option("--width", metavar="W", help="Pixels [default: as trained].")
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", metavar="S", min=1, help="Network calls of a sample [default: as trained]."
    ),
]
Eta = Annotated[
    float | None,
    typer.Option("--eta", metavar="E", min=0, max=1, help="DDIM's; 0 is deterministic."),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Which noise the clips start from.")
]
Batch = Annotated[
    int,
    typer.Option("--batch", metavar="B", min=1, max=4096, help="Clips that are made together."),
]
AutoencoderPath = Annotated[
    Path | None,
    typer.Option(
        "--autoencoder-path", metavar="DIR", help="The folder of the weights of wan, if they moved."
    ),
]
Visualize = Annotated[
    bool, typer.Option("--visualize", help="Draw a contact sheet of every clip and its codes.")
]
AnalyzeCodebook = Annotated[
    bool, typer.Option("--analyze-codebook", help="Count the codes, overall and by timestep.")
]


def sample(
    checkpoint: Checkpoint,
    out: Out,
    num_samples: NumSamples = 4,
    num_frames: NumFrames = None,
    height: Height = None,
    width: Width = None,
    steps: Steps = None,
    eta: Eta = None,
    seed: Seed = 0,
    batch: Batch = 4,
    autoencoder_path: AutoencoderPath = None,
    visualize: Visualize = False,
    analyze_codebook: AnalyzeCodebook = False,
) -> None:
    """Make clips with a trained model, from its checkpoint alone.

    The first clips of a larger request are the same bytes.
    """
    from qdexp.cli import sample_command, sample_options

    asked = sample_options.Asked(
        num_frames=num_frames,
        height=height,
        width=width,
        steps=steps,
        eta=eta,
        seed=seed,
        batch=batch,
    )
    request = sample_command.Request(
        checkpoint=checkpoint,
        out=out,
        num_samples=num_samples,
        asked=asked,
        autoencoder_path=autoencoder_path,
        with_sheets=visualize,
        with_codes=analyze_codebook,
    )
    sample_command.sample(request)
