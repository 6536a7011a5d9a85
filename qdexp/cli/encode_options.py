"""The options of `qdexp encode`; their ranges are those of the configuration's fields."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Videos = Annotated[Path, typer.Argument(metavar="VIDEOS", help="A folder of videos, or one video.")]
Out = Annotated[Path, typer.Option("--out", metavar="LATENTS", help="The folder to write.")]
Autoencoder = Annotated[
    Literal["pca3d", "wan"],
    typer.Option(help="pca3d: components fitted to the videos; wan: AutoencoderKLWan."),
]
AutoencoderPath = Annotated[
    str | None,
    typer.Option("--autoencoder-path", metavar="DIR", help="The folder of the weights of wan."),
]
Height = Annotated[int, typer.Option("--height", metavar="PIXELS", help="Rows of a frame.")]
Width = Annotated[int, typer.Option("--width", metavar="PIXELS", help="Columns of a frame.")]
NumFrames = Annotated[
    int, typer.Option("--num-frames", metavar="N", help="Frames of a clip, 1 + 4k.")
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", metavar="RATE", help="Take frames by time, so many a second."),
]
Stride = Annotated[int, typer.Option("--stride", metavar="N", help="Take every n-th frame.")]
Overlap = Annotated[
    int, typer.Option("--overlap", metavar="N", help="Frames that neighbouring clips share.")
]
Fit = Annotated[
    Literal["crop", "letterbox"], typer.Option("--fit", help="Cut what is over, or add bars.")
]
HeldOutShare = Annotated[
    float, typer.Option("--held-out-share", metavar="SHARE", help="Share of the videos held out.")
]
