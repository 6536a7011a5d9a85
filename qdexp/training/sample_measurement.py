"""From a trained network to what its samples are worth: distances, scores and speed.

Real clips are dealt into parts that share no clip. Features are fitted to one, samples are compared
with another, and the third takes the samples' place for the floor: what perfect samples would have.
A network's features are not fitted, so then there are two.
"""

# pyright: basic

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from qdexp.config.configuration import Configuration
from qdexp.config.sample_metrics import (
    full_name,
    missing_network,
    num_real_clips,
    num_scored_real_clips,
)
from qdexp.evaluation.backbones import Backbone, Features, open_backbone
from qdexp.evaluation.classifiers import Classifier, open_classifier
from qdexp.evaluation.frechet_distance import frechet_distance
from qdexp.evaluation.inception_score import inception_score
from qdexp.evaluation.kernel_distance import kernel_distance
from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.training.course import Course
from qdexp.training.sampling import CLIPS_AT_ONCE, Sampler

Decode = Callable[[Tensor], Tensor]
"""Latents (n, c, t, h, w) to pixels (n, 3, f, h, w) in 0..1."""

DISTANCES = {"eval.kernel_distance": kernel_distance, "eval.frechet": frechet_distance}


@dataclass(frozen=True, kw_only=True)
class SampleNetworks:
    """What looks at samples.

    Args:
        backbone: What makes features of clips, or None where distances cannot be measured.
        classifier: What labels clips, or None where scores cannot be measured or are not wanted.
        warnings: Why something that was wanted cannot be measured, and what to do.
    """

    backbone: Backbone | None = None
    classifier: Classifier | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RealClips:
    """What samples are compared with.

    Args:
        latents: Clean latents of the training clips; they may be memory mapped.
        decode: Latents to pixels in 0..1.
    """

    latents: Tensor
    decode: Decode


def open_networks(course: Course, real: RealClips) -> SampleNetworks:
    """Returns what looks at a trial's samples, tried on two real clips: before anything is trained.

    Raises:
        ConfigurationError: A file is not there, is another one, or holds a network that does not
            take such clips.
    """
    config, device = course.config, course.device
    if not config.evaluation.num_samples:
        return SampleNetworks()
    warnings: list[str] = []
    backbone = classifier = None
    if reason := missing_network("backbone", config):
        warnings.append(f"eval.kernel_distance and eval.frechet: {reason}")
    else:
        backbone = open_backbone(config.evaluation, device)
    if config.evaluation.classifier != "none":
        if reason := missing_network("classifier", config):
            warnings.append(f"eval.inception_score: {reason}")
        else:
            classifier = open_classifier(config, device)
    clips = real.decode(real.latents[:2].to(device, course.dtype))
    if backbone and not backbone.is_fitted:
        backbone.fitted([clips])([clips])
    if classifier and config.evaluation.classifier != "digits":
        classifier(clips)
    return SampleNetworks(backbone=backbone, classifier=classifier, warnings=tuple(warnings))


def sample_measurement(
    model: QuantizedDiffusionPredictor, course: Course, networks: SampleNetworks, real: RealClips
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Returns the measures of `evaluation.num_samples` samples, and warnings."""
    samples, speed = timed_samples(model, course)
    measured = {"eval.fps": speed}
    broken = int((~samples.isfinite().flatten(1).all(dim=1)).sum())
    if broken:
        return measured, (
            *networks.warnings,
            f"samples were not compared with real clips: {broken} of {len(samples)} hold numbers "
            "that are not finite",
        )
    warnings = networks.warnings
    if networks.backbone is not None:
        try:
            measured |= _distances(networks.backbone, course, samples, real)
        except ValueError as error:
            warnings += (f"eval.kernel_distance and eval.frechet: not measured: {error}",)
    if networks.classifier is not None:
        measured |= _scores(networks.classifier, course.config, samples, real)
    return measured, warnings


def timed_samples(model: QuantizedDiffusionPredictor, course: Course) -> tuple[Tensor, float]:
    """Returns the samples (n, c, t, h, w), and the frames made in a second, not yet decoded.

    That is the median over batches of one size, after a call of the network that is not timed.
    """
    sampler = Sampler.of(model, course.config, course.parametrisation)
    count = course.config.evaluation.num_samples
    batches = [
        range(start, min(start + CLIPS_AT_ONCE, count)) for start in range(0, count, CLIPS_AT_ONCE)
    ]
    sampler.warm_up(len(batches[0]))
    samples: list[Tensor] = []
    speeds: list[float] = []
    for batch in batches:
        _wait_for(course.device)
        began = time.perf_counter()
        samples.append(sampler.sample(batch))
        _wait_for(course.device)
        if len(batch) == len(batches[0]):
            frames = len(batch) * course.config.data.num_frames
            speeds.append(frames / (time.perf_counter() - began))
    return torch.cat(samples), statistics.median(speeds)


def _distances(
    backbone: Backbone, course: Course, samples: Tensor, real: RealClips
) -> dict[str, float]:
    config = course.config
    count = num_real_clips(config)
    parts = real.latents[: 3 * count].to(samples).split(count)
    # Where features are not fitted there are two parts, or more clips than are looked at.
    compared, others = parts[1], parts[2 if backbone.is_fitted else 0]
    features = backbone.fitted(_decoded(parts[0], real.decode))
    of_compared = _features(features, compared, real.decode)
    of_samples = _features(features, samples, real.decode)
    of_others = _features(features, others[: len(samples)], real.decode)
    measured: dict[str, float] = {}
    for family, distance in DISTANCES.items():
        measured[full_name(family, config)] = distance(of_samples, of_compared)
        measured[full_name(f"{family}_floor", config)] = distance(of_others, of_compared)
    return measured


def _features(features: Features, latents: Tensor, decode: Decode) -> Tensor:
    return features(_decoded(latents, decode))


def _scores(
    classifier: Classifier, config: Configuration, samples: Tensor, real: RealClips
) -> dict[str, float]:
    splits = config.evaluation.classifier_splits
    shown = real.latents[: num_scored_real_clips(config)].to(samples)
    return {
        full_name(family, config): inception_score(
            torch.cat([classifier(part) for part in _decoded(clips, real.decode)]), splits
        )
        for family, clips in (
            ("eval.inception_score", samples),
            ("eval.inception_score_real", shown),
        )
    }


def _decoded(latents: Tensor, decode: Decode) -> Iterator[Tensor]:
    """Returns the pixels of latents, a few clips at a time: all at once take much room."""
    return (decode(part) for part in latents.split(CLIPS_AT_ONCE))


def _wait_for(device: torch.device) -> None:
    """Waits until the device has done what it was given, so that a clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
