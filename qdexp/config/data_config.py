"""The section for data: every field with its meaning."""

from typing import Literal, Self

from pydantic import Field, model_validator

from qdexp.config.section import Section

READING_FIELDS = ("fps", "stride", "overlap", "fit", "held_out_share")
"""Fields that say how videos are read; latents that are there already were read in one way."""


LEAST_HELD_OUT = 2
"""Held-out clips that evaluation needs."""

FRAME_SIZES = range(32, 2049, 8)
"""Heights and widths that there can be."""


class DataConfig(Section):
    """The clips and the autoencoder that makes latents of them."""

    kind: Literal["moving_digits", "video_folder", "latents"] = Field(
        default="moving_digits",
        description="Where clips come from: made, a folder of videos, or what qdexp encode wrote.",
    )
    path: str | None = Field(
        default=None, min_length=1, description="The folder of the videos, or of the latents."
    )
    num_train_clips: int = Field(default=512, ge=1, le=10_000_000, description="Clips to train on.")
    num_eval_clips: int = Field(default=64, ge=1, le=100_000, description="Clips held out.")
    num_frames: int = Field(default=17, ge=1, le=1025, description="Frames of a clip, 1 + 4k.")
    height: int = Field(
        default=64,
        ge=FRAME_SIZES.start,
        le=FRAME_SIZES[-1],
        multiple_of=FRAME_SIZES.step,
        description="Rows of a frame, pixels.",
    )
    width: int = Field(
        default=64,
        ge=FRAME_SIZES.start,
        le=FRAME_SIZES[-1],
        multiple_of=FRAME_SIZES.step,
        description="Columns, pixels.",
    )
    fps: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Frames per second of a clip, taken by time; without it every frame counts.",
    )
    stride: int = Field(
        default=1, ge=1, le=1000, description="Take every n-th frame, whatever its time."
    )
    overlap: int = Field(
        default=0, ge=0, le=1024, description="Frames that neighbouring clips of a video share."
    )
    fit: Literal["crop", "letterbox"] = Field(
        default="crop",
        description="Fill the frame and cut what is over, or show all with black bars.",
    )
    held_out_share: float = Field(
        default=0.1, gt=0, lt=1, description="Share of the videos that is held out."
    )
    seed: int = Field(
        default=0, ge=0, description="Which clips are generated; not the trial's seed."
    )
    autoencoder: Literal["pca3d", "wan"] = Field(
        default="pca3d",
        description="Pixels to latents and back: fitted components, or AutoencoderKLWan.",
    )
    autoencoder_path: str | None = Field(
        default=None, min_length=1, description="The folder of the weights of wan."
    )

    @model_validator(mode="after")
    def _frames_fit_the_autoencoder(self) -> Self:
        if self.num_frames % 4 != 1:
            below = self.num_frames - (self.num_frames - 1) % 4
            raise ValueError(
                f"data.num_frames: expected 1 + 4k, found {self.num_frames}; the nearest are "
                f"{below} and {below + 4}"
            )
        return self

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        if self.kind == "moving_digits":
            self._refuse_reading()
        elif self.path is None:
            what = "videos" if self.kind == "video_folder" else "latents, as qdexp encode writes it"
            raise ValueError(f"data.path: expected the folder of the {what}, found none")
        if self.autoencoder == "pca3d" and self.autoencoder_path is not None:
            raise ValueError(
                f"data.autoencoder_path: expected none with pca3d, found {self.autoencoder_path}; "
                "did you mean data.autoencoder=wan?"
            )
        if self.autoencoder == "wan" and self.autoencoder_path is None and self.kind != "latents":
            raise ValueError(
                "data.autoencoder_path: expected the folder of AutoencoderKLWan's weights "
                "(config.json and a safetensors file), found none"
            )
        return self

    @model_validator(mode="after")
    def _clips_can_be_cut(self) -> Self:
        if self.fps is not None and self.stride != 1:
            raise ValueError(
                f"data.stride: expected 1 with data.fps, found {self.stride}; frames are taken by "
                "time or by number"
            )
        if self.overlap >= self.num_frames:
            raise ValueError(
                f"data.overlap: expected less than data.num_frames, found {self.overlap} and "
                f"{self.num_frames}"
            )
        return self

    def _refuse_reading(self) -> None:
        for name in ("path", *READING_FIELDS):
            if getattr(self, name) != DataConfig.model_fields[name].default:
                raise ValueError(
                    f"data.{name}: expected nothing with data.kind moving_digits, found "
                    f"{getattr(self, name)}; did you mean data.kind=video_folder?"
                )
