"""Every preset trains; that of all demonstrations learns something, on real clips."""

from pathlib import Path

import numpy as np
import pytest

from qdexp.config.presets import PRESETS, preset
from qdexp.data.dataset import LatentDataset
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training.run_trial import run_trial


@pytest.mark.slow
def test_baseline_of_tiny_uses_its_codebook_and_learns_at_low_noise(tmp_path: Path) -> None:
    configuration = preset("tiny")
    dataset = LatentDataset()
    trial = Trial(
        configuration=configuration,
        seed=0,
        data_fingerprint=dataset.fingerprint(configuration.data),
    )
    latents = dataset.prepare(configuration.data, tmp_path / "cache")
    folder = tmp_path / "trial"
    folder.mkdir()
    *_, outcome = run_trial(trial, Workspace(folder=folder, latents=latents))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "completed"
    assert outcome.measurements["eval.perplexity"] > 500
    errors = outcome.arrays["eval.curve_level_errors"]
    start, *_, end = np.reshape(errors.values, errors.shape)
    least_noise = slice(len(start) // 2, None)
    assert (end[least_noise] < start[least_noise] / 2).all()
    # Predicting the mean latent leaves an error of 1: the model knows more than that.
    assert (end[least_noise] < 0.6).all()


NARROW = {
    "model.num_embeddings": 64,
    "model.embedding_dim": 8,
    "model.hidden_dim": 32,
    "model.num_layers": 2,
    "model.num_heads": 2,
    "training.max_steps": 2,
    "data.num_train_clips": 8,
    "data.num_eval_clips": 4,
    "data.num_frames": 5,
    "data.height": 32,
    "data.width": 32,
    "evaluation.num_clips": 4,
    "evaluation.num_levels": 4,
    "evaluation.codebook_tokens": 64,
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_with_all_that_is_not_its_size(name: str, tmp_path: Path) -> None:
    """At full size they are run on the meta device, in tests/unit/model/test_predictor.py."""
    configuration = preset(name).replace(NARROW)
    dataset = LatentDataset()
    latents = dataset.prepare(configuration.data, tmp_path / "cache")
    trial = Trial(configuration=configuration, seed=0, data_fingerprint="clips of the test")
    weights: Path | None = None
    for each in [trial.teacher, trial] if trial.teacher else [trial]:
        folder = tmp_path / each.trial_id
        workspace = Workspace(folder=folder, latents=latents, teacher=weights)
        *_, outcome = run_trial(each, workspace)
        weights = folder / "final_checkpoint.pt"

        assert isinstance(outcome, Outcome)
        assert outcome.status == "completed"
        assert outcome.step == 2
