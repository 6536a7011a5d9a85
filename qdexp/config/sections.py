"""The sections for diffusion and evaluation: every field with its meaning."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qdexp.config.section import Section

FilePath = Annotated[
    str | None,
    AfterValidator(lambda path: path and str(Path(path).expanduser().absolute())),
]
"""A file of the user's; made absolute at once, since workers have other working directories."""

Sha256 = Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")]


class DiffusionConfig(Section):
    """The forward process and the timesteps that are trained."""

    num_train_timesteps: int = Field(
        default=1000,
        ge=10,
        le=10_000,
        description="Timesteps of the schedule; t = 0 has least noise.",
    )
    min_step: int = Field(
        default=20, ge=0, le=9_999, description="Least timestep trained, inclusive."
    )
    max_step: int = Field(
        default=980, ge=0, le=9_999, description="Greatest timestep trained, inclusive."
    )
    beta_schedule: Literal["linear", "cosine"] = Field(
        default="linear",
        description="linear (Ho et al., 2020) or cosine (Nichol and Dhariwal, 2021).",
    )
    zero_terminal_snr: bool = Field(
        default=False,
        description="Rescale the schedule so that its last timestep is pure noise (Lin et al., "
        "2023, algorithm 1).",
    )
    prediction_type: Literal["x0", "epsilon", "v"] = Field(
        default="x0",
        description="What the network predicts: the clean latents, the noise, or v (Salimans and "
        "Ho, 2022).",
    )
    sampling_steps: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Network evaluations of one sample: DDIM's, and those a student is made for.",
    )
    sampling_eta: float = Field(
        default=0.0, ge=0, le=1, description="DDIM's eta: 0 is deterministic, 1 is DDPM's noise."
    )

    @model_validator(mode="after")
    def _range_is_inside_the_schedule(self) -> Self:
        if not self.min_step < self.max_step < self.num_train_timesteps:
            raise ValueError(
                "expected diffusion.min_step < diffusion.max_step < diffusion.num_train_timesteps, "
                f"found {self.min_step}, {self.max_step}, {self.num_train_timesteps}"
            )
        if self.zero_terminal_snr and self.prediction_type == "epsilon":
            raise ValueError(
                "diffusion.prediction_type: expected x0 or v with zero_terminal_snr, found epsilon:"
                " pure noise says nothing about the clean latents"
            )
        if self.sampling_steps > self.max_step - self.min_step + 1:
            raise ValueError(
                "diffusion.sampling_steps: expected at most as many as trained timesteps, found "
                f"{self.sampling_steps} for {self.min_step} to {self.max_step}"
            )
        return self


class EvaluationConfig(Section):
    """What is measured on held-out clips, and how much of it."""

    num_clips: int = Field(
        default=64, ge=2, le=100_000, description="Held-out clips measured at the end."
    )
    num_levels: int = Field(
        default=16, ge=2, le=256, description="Noise levels, evenly spaced in log-SNR from -4 to 5."
    )
    curve_steps: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 50, 100, 150),
        strict=False,
        description="Steps at which eval.* is also measured, on a subset; later ones are ignored.",
    )
    curve_clips: int = Field(default=4, ge=1, le=100_000, description="Clips of that subset.")
    curve_levels: int = Field(default=4, ge=1, le=256, description="Noise levels of that subset.")
    codebook_tokens: int = Field(
        default=65_536,
        ge=1,
        description="Tokens over which codebook usage and perplexity are counted.",
    )
    num_samples: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Clips sampled at the end for the measures of samples; 0 measures none.",
    )
    backbone: Literal["pixels-pca", "i3d", "torchscript"] = Field(
        default="pixels-pca",
        description="What makes features of clips for eval.kernel_distance and eval.frechet: "
        "principal components of pixels, the standard I3D file, or any TorchScript file.",
    )
    backbone_path: FilePath = Field(default=None, description="The backbone's file.")
    backbone_sha256: Sha256 = Field(
        default=None, description="That file's SHA-256; for i3d the standard file's unless given."
    )
    classifier: Literal["none", "digits", "c3d", "inception"] = Field(
        default="none",
        description="What labels clips for eval.inception_score: a classifier of moving digits "
        "trained on the spot, or the standard C3D or Inception file.",
    )
    classifier_path: FilePath = Field(default=None, description="The classifier's file.")
    classifier_sha256: Sha256 = Field(default=None, description="That file's SHA-256.")
    classifier_splits: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Equal parts of the samples over which inception scores are averaged.",
    )

    @model_validator(mode="after")
    def _networks_have_their_files(self) -> Self:
        for what, without in (
            ("backbone", ("pixels-pca",)),
            ("classifier", ("none", "digits")),
        ):
            kind = getattr(self, what)
            path, sha256 = (getattr(self, f"{what}_{part}") for part in ("path", "sha256"))
            if kind in without and (path or sha256):
                raise ValueError(
                    f"evaluation.{what}: expected a network with a file for evaluation.{what}_path "
                    f"and evaluation.{what}_sha256, found {kind}, which has none"
                )
            if kind not in without and kind != "i3d" and path and not sha256:
                raise ValueError(
                    f"evaluation.{what}_sha256: expected the SHA-256 of {path}, which says what is "
                    f"measured, found none: set what `sha256sum {path}` prints"
                )
        return self

    @model_validator(mode="after")
    def _samples_can_be_compared(self) -> Self:
        if self.num_samples == 1:
            raise ValueError(
                "evaluation.num_samples: expected 0, or at least 2, of which a distance can be "
                "measured, found 1"
            )
        if self.num_samples and self.classifier_splits > self.num_samples:
            raise ValueError(
                "evaluation.classifier_splits: expected at most evaluation.num_samples, found "
                f"{self.classifier_splits} and {self.num_samples}"
            )
        return self

    shown_clips: int = Field(
        default=4,
        ge=0,
        le=16,
        description="Clips sampled at the end to be looked at, beside as many held-out ones; 0: "
        "none.",
    )

    @model_validator(mode="after")
    def _subset_is_contained(self) -> Self:
        for part, whole in (("curve_clips", "num_clips"), ("curve_levels", "num_levels")):
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(
                    f"evaluation.{part}: expected at most evaluation.{whole}, found "
                    f"{getattr(self, part)} and {getattr(self, whole)}"
                )
        if list(self.curve_steps) != sorted(set(self.curve_steps)):
            raise ValueError(
                f"evaluation.curve_steps: expected rising steps, found {list(self.curve_steps)}"
            )
        return self
