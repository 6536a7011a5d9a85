"""What may be ranked, and on which noise levels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import render
from qdexp_analysis.comparability import level_errors, refusal, scores, shared_levels
from qdexp_analysis.effects import factorial_effects
from qdexp_analysis.findings import find
from qdexp_analysis.table import load

Make = Callable[[Any], Path]
RANGE = {"diffusion.min_step": (20, 100), "diffusion.max_step": (900, 980)}


def test_loss_is_not_ranked_across_the_weight_that_it_contains(
    make_ledger: Make, made: type[Any]
) -> None:
    weights = {"training.quantization_weight": (0.05, 0.1)}
    runs = make_ledger(made(factors=weights, baseline=(0.1,)))
    experiment = load("codebook_size", runs)
    reason = refusal(experiment, "train.loss")
    assert reason is not None
    assert reason.startswith("train.loss contains training.quantization_weight, which this")
    assert refusal(experiment, "eval.denoising_loss") is None


def test_training_losses_are_not_ranked_across_the_timestep_range(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made(factors=RANGE, baseline=(20, 980))))
    reason = refusal(experiment, "train.denoising_loss")
    assert reason is not None
    assert "diffusion.min_step and diffusion.max_step" in reason


def test_levels_outside_any_conditions_trained_range_enter_no_comparison(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made(factors=RANGE, baseline=(20, 980))))
    levels = shared_levels(experiment)
    assert levels is not None
    kept = levels.log_snr[levels.is_shared]
    assert 0 < len(kept) < 16
    assert kept.max() < 2.5
    trial = experiment.records_at(0)[0].trial_id
    errors = experiment.arrays[trial]["eval.clip_errors"]
    found = scores(experiment, "eval.denoising_loss").values[0, 0]
    np.testing.assert_allclose(found, errors[levels.is_shared].mean(axis=0))


def test_all_levels_are_shared_where_the_range_is_no_factor(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made()))
    values = experiment.measurements.query("metric == 'eval.denoising_loss'")
    means = scores(experiment, "eval.denoising_loss").means
    assert sorted(means.ravel()) == pytest.approx(sorted(values["value"]))


def test_without_arrays_the_measurement_itself_is_compared(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made(num_clips=0)))
    found = scores(experiment, "eval.denoising_loss").values
    assert found.shape == (3, 3, 1)
    assert shared_levels(experiment) is None


def test_factor_that_acts_alone_has_its_effect_and_no_product(
    make_ledger: Make, made: type[Any]
) -> None:
    effects = {(100, 900): 0.05, (100, 980): 0.05}
    runs = make_ledger(made(factors=RANGE, baseline=(20, 980), effects=effects))
    experiment = load("codebook_size", runs)
    values = scores(experiment, "eval.denoising_loss")
    found = factorial_effects(values, experiment.conditions, experiment.design)
    assert [len(effect.term) for effect in found] == [1, 1, 2]
    base = values.means[0].mean()
    assert [effect.estimate.mean / base for effect in found] == pytest.approx(
        [0.05, 0.0, 0.0], abs=0.003
    )
    assert found[0].p is not None
    assert found[0].p < 0.05


def test_clips_of_one_video_count_as_one(make_ledger: Make, made: type[Any]) -> None:
    experiment = load("codebook_size", make_ledger(made(clips_per_video=5)))
    found = scores(experiment, "eval.denoising_loss").values
    errors = level_errors(experiment, "eval.denoising_loss")

    assert found.shape == (3, 3, 4), "16 clips: three videos of five and one of one"
    assert errors is not None
    np.testing.assert_allclose(found.mean(axis=2), errors.mean(axis=2), rtol=1e-12)


def test_the_variance_over_videos_is_the_cluster_robust_one(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made(clips_per_video=5)))
    trial = experiment.records_at(0)[0]
    by_clip = experiment.arrays[trial.trial_id]["eval.clip_errors"].mean(axis=0)
    deviations = by_clip - by_clip.mean()
    sums = [deviations[start : start + 5].sum() for start in range(0, 16, 5)]
    robust = np.square(sums).sum() / 16**2 * 4 / 3

    found = scores(experiment, "eval.denoising_loss").values[0, 0]
    assert found.var(ddof=1) / 4 == pytest.approx(robust, rel=1e-9)


def test_clips_of_their_own_are_as_if_nothing_was_recorded(
    make_ledger: Make, made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made(clips_per_video=1)))
    found = scores(experiment, "eval.denoising_loss").values
    trial = experiment.records_at(0)[0]
    by_clip = experiment.arrays[trial.trial_id]["eval.clip_errors"].mean(axis=0)
    np.testing.assert_allclose(found[0, 0], by_clip, rtol=1e-12)


@pytest.mark.parametrize(
    ("per_video", "clips_and_videos"), [(0, (16, 16)), (1, (16, 16)), (5, (16, 4)), (16, (16, 1))]
)
def test_a_report_says_how_many_videos_there_are(
    make_ledger: Make, made: type[Any], per_video: int, clips_and_videos: tuple[int, int]
) -> None:
    runs = make_ledger(made(clips_per_video=per_video))
    findings = find(load("codebook_size", runs))
    assert findings.clips_and_videos == clips_and_videos
    text = render("codebook_size", runs, "html")
    assert ("of 4 videos" in text) == (per_video == 5)
    assert ("all clips are of one video" in text) == (per_video == 16)
    assert findings.contrasts[0].estimate is not None
    assert (findings.contrasts[0].estimate.new_clips is None) == (per_video == 16)
