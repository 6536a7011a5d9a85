"""Ledgers of made-up experiments, written by the Recorder as a real run writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qdexp.config.presets import preset
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Array, Failure, Outcome, Series
from qdexp.results.recorder import Recorder

LOG_SNR = np.linspace(-4, 5, 16)
LINEAR_ALPHA_BAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
SPEC_TEXT = "name: {name}\nquestion: {question}\n"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a made-up experiment consists of.

    Args:
        effects: Relative change of the error, by condition (a tuple of levels).
        statuses: Trials that did not complete, by (levels, seed): a status, or ``missing``.
        step_factors: Step time as a multiple of the usual, by (levels, seed): what a machine's
            load does to it.
        ran: Provenance of a condition's trials, if not like all others', by its levels.
        num_clips: Held-out clips; 0 records no arrays, as a user's own trainable may not.
        samples: Measures of samples, of every trial.
        secondary: Metrics shown beside the primary one.
        clips_per_video: Held-out clips of one video; 0 records none, as ledgers of before.
        data: The data's fingerprint.
        noise: Standard deviation of a pair's relative difference between seeds.
    """

    name: str = "codebook_size"
    question: str = "Does a larger codebook lower the denoising error?"
    factors: Mapping[str, tuple[Any, ...]] = field(
        default_factory=lambda: {"model.num_embeddings": (4096, 8192, 16384)}
    )
    baseline: tuple[Any, ...] = (8192,)
    effects: Mapping[tuple[Any, ...], float] = field(
        default_factory=lambda: {(4096,): 0.012, (16384,): -0.009}
    )
    seeds: tuple[int, ...] = (0, 1, 2)
    smallest_effect: dict[str, Any] | None = field(
        default_factory=lambda: {"value": 0.002, "is_relative": True}
    )
    primary: str = "eval.denoising_loss"
    statuses: Mapping[tuple[tuple[Any, ...], int], str] = field(default_factory=dict)
    step_factors: Mapping[tuple[tuple[Any, ...], int], float] = field(default_factory=dict)
    ran: Mapping[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    num_clips: int = 16
    samples: Mapping[str, float] = field(default_factory=dict)
    secondary: tuple[str, ...] = ("eval.pixel_error", "eval.perplexity")
    clips_per_video: int = 0
    data: str = "made-up"
    noise: float = 0.001
    provenance: Mapping[str, Any] = field(
        default_factory=lambda: {
            "commit": "b5d9bd8f00",
            "dirty": False,
            "versions": {"torch": "2.13.0", "python": "3.11.2"},
            "hardware": {"cpu": "Xeon", "cores": 2},
            "host": "builder",
            "device": "cpu",
            "num_threads": 1,
        }
    )

    def conditions(self) -> list[dict[str, Any]]:
        grid = np.stack(np.meshgrid(*map(_positions, self.factors.values()), indexing="ij"), -1)
        levels = list(self.factors.values())
        return [
            {
                name: levels[axis][position]
                for axis, (name, position) in enumerate(zip(self.factors, row, strict=True))
            }
            for row in grid.reshape(-1, len(levels)).tolist()
        ]

    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "question": self.question,
            "preset": "tiny",
            "set": {},
            "factors": [
                {"field": name, "levels": list(levels), "baseline": baseline}
                for (name, levels), baseline in zip(
                    self.factors.items(), self.baseline, strict=True
                )
            ],
            "design": "full_factorial",
            "where": None,
            "seeds": list(self.seeds),
            "metrics": {
                "primary": self.primary,
                "smallest_effect": self.smallest_effect,
                "secondary": list(self.secondary),
            },
            "resources": {"cpus": 1, "gpus": None},
            "trainable": "qdexp.training.run_trial:run_trial",
        }


@pytest.fixture
def make_ledger(tmp_path: Path) -> Callable[[Made], Path]:
    """Returns a function that writes a made-up experiment and returns its runs folder."""
    return lambda made: write_ledger(tmp_path / "runs", made)


@pytest.fixture
def made() -> type[Made]:
    """The class of made-up experiments: test modules cannot import it from here."""
    return Made


def write_ledger(runs: Path, made: Made) -> Path:
    trials = [
        (_trial(condition, seed, made.data), condition)
        for seed in made.seeds
        for condition in made.conditions()
    ]
    definition = made.definition()
    text = SPEC_TEXT.format(**definition)
    with Recorder(runs) as recorder:
        recorder.record_plan((f"experiments/{made.name}.yaml", text, definition), trials)
        for trial, condition in trials:
            status = made.statuses.get((tuple(condition.values()), trial.seed), "completed")
            if status != "missing":
                recorder.record_start(trial.trial_id, 1.0e9)
                recorder.record_outcome(_outcome(made, trial, condition, status))
    return runs


def _positions(levels: tuple[Any, ...]) -> range:
    return range(len(levels))


def _trial(condition: Mapping[str, Any], seed: int, data: str) -> Trial:
    configuration = preset("tiny").replace(dict(condition))
    return Trial(configuration=configuration, seed=seed, data_fingerprint=data)


def _outcome(made: Made, trial: Trial, condition: Mapping[str, Any], status: str) -> Outcome:
    if status in ("diverged", "failed"):
        kind = None if status == "diverged" else "exception"
        reason = "loss is nan at step 31" if kind is None else "ValueError: <b>no</b> | such file"
        return Outcome(
            trial_id=trial.trial_id,
            status=status,  # type: ignore[arg-type]
            step=31,
            failure=Failure(reason=reason, kind=kind, step=31),
            provenance=dict(made.provenance),
        )
    levels = tuple(condition.values())
    errors = _clip_errors(made, trial.seed, made.effects.get(levels, 0.0), levels)
    codes = trial.ours.model.num_embeddings
    measurements = _measurements(errors, codes, trial.seed)
    measurements |= _of_samples(made, measurements["eval.denoising_loss"])
    measurements["cost.step_seconds"] *= made.step_factors.get((levels, trial.seed), 1.0)
    return Outcome(
        trial_id=trial.trial_id,
        status="completed",
        step=200,
        measurements=measurements,
        history=_history(float(errors.mean()), codes, trial.seed),
        arrays=_arrays(made, errors, trial) if made.num_clips else {},
        provenance={
            **made.provenance,
            "pid": trial.seed,
            "started_at": 1.0e9,
            "finished_at": 1.0e9 + 60,
            "resumed_from_step": None,
            **made.ran.get(levels, {}),
        },
    )


def _clip_errors(
    made: Made, seed: int, effect: float, levels: tuple[Any, ...]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Returns errors (levels, clips) in which conditions of one seed share most of the noise."""
    clips = max(made.num_clips, 1)
    by_level = 1 / (1 + np.exp(0.8 * LOG_SNR)) + 0.05
    shared = np.random.default_rng([7, seed]).normal(0, 0.02)
    by_clip = np.random.default_rng(11).normal(0, 0.2, clips)
    own = np.random.default_rng([13, seed, *repr(levels).encode()])
    pair = own.normal(0, made.noise / np.sqrt(2)) + own.normal(0, made.noise, clips)
    scale = (1 + effect) * np.exp(shared + by_clip + pair)
    return by_level[:, None] * scale[None, :]


def _measurements(errors: np.ndarray, codes: int, seed: int) -> dict[str, float]:
    loss = float(errors.mean())
    draw = np.random.default_rng([17, seed, codes])
    return {
        "eval.denoising_loss": loss,
        "eval.unquantized_loss": 0.8 * loss,
        "eval.pixel_error": 0.02 * loss,
        "eval.codebook_usage": min(1.0, 5200 / codes) * (1 - 0.02 * draw.random()),
        "eval.perplexity": 0.4 * codes**0.9 * (1 + 0.02 * draw.normal()),
        "train.loss": 1.1 * loss,
        "train.denoising_loss": loss,
        "train.vq_loss": loss,
        "cost.parameters": 3.0e5 + 32 * codes,
        "cost.step_seconds": (0.08 + 1.0e-5 * codes) * (1 + 0.03 * draw.normal()),
        "cost.train_seconds": 200 * (0.08 + 1.0e-5 * codes),
        "cost.peak_memory_bytes": 4.1e8 + 1000 * codes,
    }


def _of_samples(made: Made, loss: float) -> dict[str, float]:
    """Returns measures of samples that follow the error, and floors that follow nothing."""
    return {name: value * (1 if "_floor" in name else loss) for name, value in made.samples.items()}


def _history(loss: float, codes: int, seed: int) -> dict[str, Series]:
    steps = np.arange(10, 201, 10)
    draw = np.random.default_rng([19, seed, codes])
    curve = loss + 0.8 * np.exp(-steps / 40) + draw.normal(0, 0.005, len(steps))
    perplexity = 0.3 * codes**0.9 * (1 - np.exp(-steps / 60))
    series = {
        "train.loss": 1.1 * curve,
        "train.denoising_loss": curve,
        "train.vq_loss": curve,
        "train.perplexity": perplexity,
        "train.codebook_usage": perplexity / codes,
    }
    history = {
        name: Series(steps=tuple(steps.tolist()), values=tuple(values.tolist()))
        for name, values in series.items()
    }
    points = np.array([0, 50, 100, 150, 200])
    subset = loss + 0.8 * np.exp(-points / 40)
    for name, factor in (("denoising", 1.0), ("unquantized", 0.8)):
        history[f"eval.curve_{name}_loss"] = Series(
            steps=tuple(points.tolist()), values=tuple((factor * subset).tolist())
        )
    return history


def _arrays(made: Made, errors: np.ndarray, trial: Trial) -> dict[str, Array]:
    wanted = 1 / (1 + np.exp(-LOG_SNR))
    timesteps = np.abs(LINEAR_ALPHA_BAR[None, :] - wanted[:, None]).argmin(axis=1)
    codes = trial.ours.model.num_embeddings
    numbers = {
        "eval.clip_errors": errors,
        "eval.unquantized_clip_errors": 0.8 * errors,
        "eval.pixel_errors": 0.02 * errors,
        "eval.level_log_snr": LOG_SNR,
        "eval.level_timesteps": timesteps.astype(float),
        "eval.code_counts": np.full(codes, 65_536 / codes),
        "eval.bucket_code_use": np.array([[0.4, 0.3, 0.2], [900.0, 700.0, 500.0], [6.8, 6.5, 6.2]]),
    }
    if made.clips_per_video:
        numbers["eval.clip_sources"] = np.arange(made.num_clips) // made.clips_per_video * 1.0
    return {
        name: Array(shape=value.shape, values=tuple(value.ravel().tolist()))
        for name, value in numbers.items()
    }
