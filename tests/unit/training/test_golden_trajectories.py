"""The first numbers of a tiny trial of each objective: moved by nothing but a new revision."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.config.metrics import metric
from qdexp.config.revision import RESULTS_REVISION
from qdexp.evaluation.denoising_error import noise_levels
from qdexp.training import measurement, randomness
from qdexp.training.checkpoint import Checkpoint, save
from qdexp.training.course import Course
from qdexp.training.opening import cluster_codebook
from qdexp.training.record import Record
from qdexp.training.sample_measurement import RealClips, open_networks
from qdexp.training.stepping import take_step
from qdexp.training.training_state import TrainingState

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]

GOLDEN_REVISION = 3
GOLDEN_LOSSES = {
    "diffusion": [
        1.5213264758039062,
        1.4338666058471659,
        1.4193238209410226,
        1.5290617184340194,
        1.4467740172595662,
        1.4385828751177292,
    ],
    "dmd": [
        0.006217733217405786,
        0.006491617092420304,
        0.00840659766467329,
        0.016127864201721513,
        0.03861515683705916,
        0.1119658946070797,
    ],
}
GOLDEN_MEASUREMENTS = {
    "diffusion": {
        "eval.codebook_usage": 0.546875,
        "eval.entropy": 3.1523878506998604,
        "eval.perplexity": 23.391854201217633,
        "eval.denoising_loss": 1.3649162315438899,
        "eval.quantized_loss": 1.3649162315438899,
        "eval.unquantized_loss": 1.532085419227701,
        "eval.pixel_error": 0.9436512509976729,
        "eval.kernel_distance.pixels-pca.n4.r8.f5.s1.32x32": 2.6491233632086484,
        "eval.kernel_distance_floor.pixels-pca.n4.r8.f5.s1.32x32": -0.5643585516225684,
        "eval.frechet.pixels-pca.n4.r8.f5.s1.32x32": 8.23617554787253,
        "eval.frechet_floor.pixels-pca.n4.r8.f5.s1.32x32": 5.172142552718778,
    },
    "dmd": {
        "eval.codebook_usage": 0.953125,
        "eval.entropy": 3.921405590049219,
        "eval.perplexity": 50.471336952717664,
        "eval.denoising_loss": 1.4909958916692627,
        "eval.quantized_loss": 1.4909958916692627,
        "eval.unquantized_loss": 1.5670066100415252,
        "eval.pixel_error": 0.9131357356875728,
        "eval.kernel_distance.pixels-pca.n4.r8.f5.s1.32x32": 0.8706183591951806,
        "eval.kernel_distance_floor.pixels-pca.n4.r8.f5.s1.32x32": -0.5643585516225684,
        "eval.frechet.pixels-pca.n4.r8.f5.s1.32x32": 5.271569332948492,
        "eval.frechet_floor.pixels-pca.n4.r8.f5.s1.32x32": 5.172142552718778,
    },
}
DMD = {
    "training__objective": "dmd",
    "diffusion__sampling_steps": 2,
    "distillation__fake_updates": 2,
    "model__codebook_init": "kmeans",
}


@pytest.fixture
def trained(
    make_config: MakeConfig, start: Start, tmp_path: Path
) -> Callable[[str], tuple[list[float], dict[str, float]]]:
    def trained(objective: str) -> tuple[list[float], dict[str, float]]:
        proof = {
            "training__precision": "fp64",
            "evaluation__num_samples": 4,
            "data__num_train_clips": 24,  # three parts of eight real clips
        }
        teacher = None
        changes: dict[str, object] = {}
        if objective == "dmd":
            changes, teacher = DMD, tmp_path / "teacher.pt"
            state, course = start(make_config(model__quantizer="none", **proof))
            for _ in range(2):
                take_step(state, course, Record())
            found = Checkpoint(
                trajectory_id="",
                configuration={},
                step=2,
                state=state.tensors(),
                record={},
                latent_space={},
            )
            save(found, teacher)
        state, course = start(make_config(**proof, **changes), teacher=teacher)
        cluster_codebook(state, course)
        losses = [take_step(state, course, Record())["train.loss"] for _ in range(6)]
        return losses, measured(state, course)

    return trained


def measured(state: TrainingState, course: Course) -> dict[str, float]:
    evaluation = course.config.evaluation
    clips = randomness.noise(98, step=0, shape=(4, *course.config.latent_shape))
    real = RealClips(
        latents=randomness.noise(97, step=0, shape=(24, *course.config.latent_shape)),
        decode=as_pixels,
    )
    on = measurement.HeldOut(
        course=course,
        clips=measurement.with_noise(clips.to(course.dtype), as_pixels),
        levels=noise_levels(course.parametrisation.schedule, evaluation.num_levels),
        sources=torch.arange(4),
        real=real,
        networks=open_networks(course, real),
    )
    scalars = measurement.final_measurement(state.model, on).scalars
    return {name: value for name, value in scalars.items() if not metric(name).is_timing}


def as_pixels(latents):  # noqa: ANN001, ANN201 - tensors (b, 16, t, h, w) to (b, 3, t, h, w)
    return latents[:, :3]


@pytest.mark.parametrize("objective", ["diffusion", "dmd"])
def test_the_golden_trajectory_moves_only_with_the_revision(
    trained: Callable[[str], tuple[list[float], dict[str, float]]], objective: str
) -> None:
    losses, final = trained(objective)

    assert GOLDEN_REVISION == RESULTS_REVISION, "commit the numbers of the new revision"
    assert losses == pytest.approx(GOLDEN_LOSSES[objective], rel=1e-9), "raise RESULTS_REVISION"
    expected = pytest.approx(GOLDEN_MEASUREMENTS[objective], rel=1e-9)
    assert final == expected, "raise RESULTS_REVISION"
