"""What is measured on a trained predictor."""

from collections.abc import Callable

import pytest
import torch

from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Array, Outcome
from qdexp.training import measurement
from qdexp.training.code_health import code_health, collapse_warnings, evenly_spread

MakeTrial = Callable[..., Trial]
Finish = Callable[..., Outcome]


def tensor(array: Array) -> torch.Tensor:
    return torch.tensor(array.values, dtype=torch.float64).reshape(array.shape)


def test_every_clips_error_at_every_level_is_stored(make_trial: MakeTrial, finish: Finish) -> None:
    arrays = finish(make_trial(), "a").arrays

    for name in ("eval.clip_errors", "eval.unquantized_clip_errors", "eval.pixel_errors"):
        assert arrays[name].shape == (4, 3)
        assert min(arrays[name].values) > 0
    assert arrays["eval.level_log_snr"].values == (-4.0, -1.0, 2.0, 5.0)
    assert arrays["eval.level_timesteps"].shape == (4,)


def test_scalars_are_means_over_the_levels_inside_the_trained_range(
    make_trial: MakeTrial, finish: Finish
) -> None:
    outcome = finish(make_trial(diffusion__min_step=100, diffusion__max_step=500), "a")
    timesteps = tensor(outcome.arrays["eval.level_timesteps"])
    inside = (timesteps >= 100) & (timesteps <= 500)

    assert 0 < inside.sum() < 4
    for scalar, array in (
        ("eval.denoising_loss", "eval.clip_errors"),
        ("eval.quantized_loss", "eval.quantized_clip_errors"),
        ("eval.unquantized_loss", "eval.unquantized_clip_errors"),
        ("eval.pixel_error", "eval.pixel_errors"),
    ):
        expected = tensor(outcome.arrays[array])[inside].mean().item()
        assert outcome.measurements[scalar] == pytest.approx(expected, rel=1e-12)


def test_a_range_without_any_level_is_not_measured_and_said_so(
    make_trial: MakeTrial, finish: Finish
) -> None:
    narrow = {"diffusion__min_step": 990, "diffusion__max_step": 999}
    narrow["diffusion__sampling_steps"] = 5
    outcome = finish(make_trial(**narrow), "a")

    assert outcome.status == "completed"
    assert "eval.denoising_loss" not in outcome.measurements
    assert "eval.curve_denoising_loss" not in outcome.history
    assert any("widen the range" in warning for warning in outcome.warnings)


def test_the_codebook_is_counted_over_the_stated_tokens(
    make_trial: MakeTrial, finish: Finish
) -> None:
    outcome = finish(make_trial(evaluation__codebook_tokens=123), "a")
    counts = tensor(outcome.arrays["eval.code_counts"])

    assert counts.shape == (64,)
    assert counts.sum() == 123
    usage = (counts > 0).double().mean().item()
    assert outcome.measurements["eval.codebook_usage"] == pytest.approx(usage)


def test_the_curve_is_measured_at_its_steps_and_at_the_end(
    make_trial: MakeTrial, finish: Finish
) -> None:
    outcome = finish(make_trial(), "a")

    assert outcome.history["eval.curve_denoising_loss"].steps == (0, 2, 4, 8)
    assert outcome.history["eval.curve_unquantized_loss"].steps == (0, 2, 4, 8)
    assert outcome.arrays["eval.curve_points"].values == (0, 2, 4, 8)
    assert outcome.arrays["eval.curve_level_errors"].shape == (4, 2)


def test_the_curve_ends_in_a_part_of_the_final_measurement(
    make_trial: MakeTrial, finish: Finish
) -> None:
    arrays = finish(make_trial(), "a").arrays
    last = tensor(arrays["eval.curve_level_errors"])[-1]
    part = tensor(arrays["eval.clip_errors"])[[0, 3], :2].mean(dim=1)

    torch.testing.assert_close(last, part, rtol=1e-4, atol=0)


def test_the_step_of_the_end_is_measured_once(make_trial: MakeTrial, finish: Finish) -> None:
    outcome = finish(make_trial(training__max_steps=4), "a")

    assert outcome.history["eval.curve_denoising_loss"].steps == (0, 2, 4)


def test_a_collapsed_codebook_is_a_warning_with_its_remedies(make_trial: MakeTrial) -> None:
    config = make_trial(model__num_embeddings=4096).ours

    assert collapse_warnings(3.1, config) == ()
    (warning,) = collapse_warnings(2.9, config)
    assert "perplexity 2.9 of at most 300" in warning
    assert "commitment_cost" in warning


def test_a_remedy_is_one_that_the_kind_of_quantizer_reads(make_trial: MakeTrial) -> None:
    config = make_trial(model__quantizer="fsq", model__num_embeddings=4096).ours
    (warning,) = collapse_warnings(1.0, config)

    assert "raise model.num_embeddings or the diversity of the training data" in warning
    assert not any(name in warning for name in ("ema_decay", "commitment_cost", "dead_code"))


def test_the_use_of_codes_is_also_told_from_most_noise_to_least(make_trial: MakeTrial) -> None:
    """Two clips, eight levels, three tokens: level l uses codes 0 to l, evenly over all clips."""
    config = make_trial(
        model__num_embeddings=8, evaluation__num_levels=8, evaluation__codebook_tokens=48
    ).ours
    indices = torch.zeros(2, 8, 3, 1, dtype=torch.long)
    indices[:, 2:4] = torch.arange(2).repeat(3).reshape(2, 1, 3, 1)
    indices[:, 4:] = torch.arange(6).reshape(2, 1, 3, 1)
    health = code_health(indices, config)
    assert health is not None

    usage, perplexity, entropy = health.by_bucket
    assert usage.tolist() == pytest.approx([1 / 8, 2 / 8, 6 / 8, 6 / 8])
    assert perplexity.tolist() == pytest.approx([1, 2, 6, 6], rel=1e-5)
    torch.testing.assert_close(entropy.exp(), perplexity)
    assert health.counts.sum() == 48


def test_with_fewer_levels_than_buckets_the_empty_ones_are_left_out(make_trial: MakeTrial) -> None:
    config = make_trial(
        model__num_embeddings=8, evaluation__num_levels=2, evaluation__codebook_tokens=12
    ).ours
    indices = torch.tensor([0, 1]).reshape(1, 2, 1, 1).expand(2, 2, 3, 1)
    health = code_health(indices, config)
    assert health is not None

    assert health.by_bucket.shape == (3, 2)
    assert health.by_bucket[1].tolist() == [1, 1]


def test_the_codes_that_are_counted_are_spread_over_all_clips() -> None:
    chosen = evenly_spread(1000, 11)

    assert chosen.tolist() == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
    assert evenly_spread(7, 7).tolist() == list(range(7))


def test_a_clips_noise_is_its_own_whatever_else_is_measured() -> None:
    few = measurement.with_noise(torch.zeros(2, 3, 2, 4, 4), lambda latents: latents)
    many = measurement.with_noise(torch.zeros(5, 3, 2, 4, 4), lambda latents: latents)

    assert torch.equal(few.noise, many.noise[:2])
    assert not torch.equal(many.noise[0], many.noise[1])
