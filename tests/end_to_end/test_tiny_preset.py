"""The preset of all demonstrations learns something, on real clips."""

from pathlib import Path

import numpy as np
import pytest

from qdexp.config.presets import preset
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
