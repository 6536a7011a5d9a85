"""What samples are worth, measured at the end of a trial."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from qdexp.config.configuration import Configuration
from qdexp.config.metrics import metric
from qdexp.config.sample_metrics import FAMILIES, full_name
from qdexp.errors import ConfigurationError
from qdexp.evaluation import backbones
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training import sample_measurement as module
from qdexp.training.course import Course
from qdexp.training.sample_measurement import (
    RealClips,
    SampleNetworks,
    open_networks,
    sample_measurement,
    timed_samples,
)
from qdexp.training.training_state import TrainingState

MakeTrial = Callable[..., Trial]
MakeWorkspace = Callable[..., Workspace]
Finish = Callable[..., Outcome]
Started = tuple[TrainingState, Course]
SAMPLED = {"evaluation__num_samples": 4}


class I3dLike(nn.Module):
    """Takes what the standard file takes."""

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:  # noqa: FBT001
        assert rescale and resize and return_features  # noqa: PT018 - TorchScript
        return x.mean(dim=[2, 3, 4]) / 255


@pytest.fixture
def i3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A file of I3D's signature that stands for the standard one."""
    path = tmp_path / "i3d_torchscript.pt"
    with pytest.deprecated_call():
        torch.jit.script(I3dLike()).save(path)
    monkeypatch.setattr(backbones, "I3D_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return {"evaluation__backbone": "i3d", "evaluation__backbone_path": str(path)}


@pytest.fixture
def started(
    make_config: Callable[..., Configuration], start: Callable[..., Started]
) -> Callable[..., Started]:
    return lambda **changes: start(make_config(**SAMPLED | changes))


def as_pixels(latents: Tensor) -> Tensor:
    return latents[:, :3]


def real(count: int = 24) -> RealClips:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(count, 16, 2, 4, 4, generator=generator)
    return RealClips(latents=latents, decode=as_pixels)


def of_samples(outcome: Outcome) -> dict[str, float]:
    """The measures of samples that are no timings."""
    return {
        name: value
        for name, value in outcome.measurements.items()
        if name.startswith(tuple(FAMILIES)) and not metric(name).is_timing
    }


def test_a_trial_measures_what_its_configuration_names(
    make_trial: MakeTrial, finish: Finish
) -> None:
    trial = make_trial(**SAMPLED)
    outcome = finish(trial, "a")
    expected = {full_name(f, trial.ours) for f in FAMILIES if "inception" not in f}

    assert of_samples(outcome).keys() == expected
    assert outcome.measurements["eval.fps"] > 0
    assert outcome.warnings == ()


def test_without_samples_nothing_is_said_of_them(make_trial: MakeTrial, finish: Finish) -> None:
    outcome = finish(make_trial(evaluation__backbone="i3d"), "a")
    assert not of_samples(outcome)
    assert "eval.fps" not in outcome.measurements
    assert outcome.warnings == ()


def test_a_finished_trial_is_measured_without_training_it_again(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(), "first")
    final = make_workspace("first").folder / "final_checkpoint.pt"
    other = make_trial(**SAMPLED)
    measured = finish(other, "second", start_from=final)

    assert measured.provenance["resumed_from_step"] == other.configuration.num_steps
    assert of_samples(measured) == of_samples(finish(other, "scratch"))


def test_the_clips_sources_are_stored_beside_their_errors(
    make_trial: MakeTrial, finish: Finish
) -> None:
    arrays = finish(make_trial(), "a").arrays
    assert arrays["eval.clip_sources"].shape == (3,)
    assert len(set(arrays["eval.clip_sources"].values)) == 3, "made clips are their own sources"


def test_without_weights_fvd_is_not_measured_and_nothing_stands_in_for_it(
    make_trial: MakeTrial, finish: Finish
) -> None:
    outcome = finish(make_trial(**SAMPLED, evaluation__backbone="i3d"), "a")
    (warning,) = outcome.warnings

    assert not of_samples(outcome)
    assert "eval.frechet: not measured without the weights of i3d" in warning
    assert "i3d_torchscript.pt" in warning
    assert "evaluation.backbone_path" in warning


def test_given_the_weights_the_finished_trial_is_another_one_and_measures_fvd(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish, i3d: dict[str, str]
) -> None:
    without = make_trial(**SAMPLED, evaluation__backbone="i3d")
    finish(without, "without")
    final = make_workspace("without").folder / "final_checkpoint.pt"
    trial = make_trial(**SAMPLED, **i3d)
    outcome = finish(trial, "with", start_from=final)
    name = "eval.frechet.i3d.n4.r4.f5.s1.32x32"

    assert trial.trial_id != without.trial_id
    assert outcome.provenance["resumed_from_step"] == trial.configuration.num_steps
    assert outcome.measurements[name] > 0
    assert metric(name).in_words == "FVD"
    assert outcome.warnings == ()


@pytest.mark.usefixtures("i3d")
def test_the_wrong_weights_are_refused_before_anything_is_trained(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, i3d: dict[str, str], finish: Finish
) -> None:
    trial = make_trial(**SAMPLED, **i3d, evaluation__backbone_sha256="0" * 64)
    with pytest.raises(ConfigurationError, match=r"expected a file with SHA-256 000.*found"):
        finish(trial, "a")
    assert not make_workspace("a").folder.exists()


@pytest.mark.slow
def test_digits_are_scored_beside_real_clips(make_trial: MakeTrial, finish: Finish) -> None:
    measured = of_samples(finish(make_trial(**SAMPLED, evaluation__classifier="digits"), "a"))
    score = measured["eval.inception_score.digits.k1.n4.f5.s1.32x32"]
    of_real = measured["eval.inception_score_real.digits.k1.r4.f5.s1.32x32"]

    assert 1 <= score <= 10
    assert of_real > score, "eight steps of training make no digits"


class Seen:
    """A backbone that remembers what it was shown."""

    def __init__(self, *, is_fitted: bool) -> None:
        self.is_fitted = is_fitted
        self.fitted_to: Tensor | None = None
        self.shown: list[Tensor] = []

    def fitted(self, real: Iterable[Tensor]) -> Callable[[Iterable[Tensor]], Tensor]:
        self.fitted_to = torch.cat(list(real))
        return self._features

    def _features(self, clips: Iterable[Tensor]) -> Tensor:
        self.shown.append(torch.cat(list(clips)))
        return self.shown[-1].flatten(1).double()


@pytest.mark.parametrize("is_fitted", [True, False])
def test_features_are_fitted_to_other_clips_than_those_that_are_compared(
    is_fitted: bool,  # noqa: FBT001
    started: Callable[..., Started],
) -> None:
    own = {"evaluation__backbone": "torchscript", "evaluation__backbone_sha256": "0" * 64}
    state, course = started(data__num_train_clips=24, **({} if is_fitted else own))
    backbone = Seen(is_fitted=is_fitted)
    sample_measurement(state.model, course, SampleNetworks(backbone=backbone), real())
    compared, samples, others = backbone.shown
    size = 8 if is_fitted else 12

    assert len(compared) == size
    assert len(samples) == len(others) == 4
    parts = [*([backbone.fitted_to] if is_fitted else []), compared, others]
    flat = torch.cat([part for part in parts if part is not None]).flatten(1)
    assert len(flat.unique(dim=0)) == len(flat), "a clip is in two parts"


def test_the_floor_is_what_samples_would_have_that_are_real_clips(
    started: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, course = started(data__num_train_clips=24)
    clips = real()
    monkeypatch.setattr(
        module, "timed_samples", lambda *_: (clips.latents[16:20].to(course.dtype), 1.0)
    )
    networks = open_networks(course, clips)
    measured, _ = sample_measurement(state.model, course, networks, clips)

    for family in ("eval.kernel_distance", "eval.frechet"):
        floor = measured[full_name(f"{family}_floor", course.config)]
        assert measured[full_name(family, course.config)] == pytest.approx(floor, rel=1e-12)


def test_samples_that_are_not_finite_have_no_distance_and_a_warning(
    started: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, course = started()
    broken = torch.zeros(4, *course.config.latent_shape)
    broken[1, 0, 0, 0, 0] = torch.nan
    monkeypatch.setattr(module, "timed_samples", lambda *_: (broken, 1.0))
    measured, warnings = sample_measurement(
        state.model, course, open_networks(course, real()), real()
    )

    assert measured == {"eval.fps": 1.0}
    assert "1 of 4 hold numbers that are not finite" in warnings[0]


def test_real_clips_that_are_all_alike_are_a_warning(started: Callable[..., Started]) -> None:
    state, course = started()
    alike = RealClips(latents=torch.zeros(8, *course.config.latent_shape), decode=as_pixels)
    measured, warnings = sample_measurement(
        state.model, course, open_networks(course, alike), alike
    )

    assert measured.keys() == {"eval.fps"}
    assert "expected clips that differ" in warnings[0]


def test_speed_is_the_median_over_full_batches_after_a_warm_up(
    started: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, course = started(evaluation__num_samples=7)
    clock = iter([0.0, 1.0, 10.0, 10.5, 20.0, 20.1, 30.0, 30.001])
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 2)
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    calls: list[int] = []
    state.model.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    samples, speed = timed_samples(state.model, course)

    assert len(samples) == 7
    steps = course.config.diffusion.sampling_steps
    assert calls == [2] + [2] * 3 * steps + [1] * steps, "one call is not timed"
    assert speed == pytest.approx(2 * course.config.data.num_frames / 0.5)
