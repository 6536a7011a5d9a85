"""Measures of samples, whose names carry their definition.

A distance between samples and real clips depends on what sees them, on how many there are of each,
and on their frames, stride and size: two numbers that differ in one of these cannot be compared.
So a name is a family and a tag (``eval.frechet.pixels-pca.n512.r170.f17.s1.64x64``), and numbers of
different definitions have different names wherever they are kept. A spec may name the family alone.
"""

import re
from dataclasses import dataclass
from typing import Literal

from qdexp.config.configuration import Configuration
from qdexp.config.metric import Direction, Metric
from qdexp.errors import ConfigurationError

I3D_SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
"""Of the I3D file that published Frechet video distances use: i3d_torchscript.pt, 51,235,320 bytes.
A distance on any other file is not called FVD."""

MOST_REAL = 512
"""Real clips in each part, unless there are more samples than that."""

WEIGHTS = {
    "i3d": "the TorchScript file of I3D, i3d_torchscript.pt of StyleGAN-V",
    "torchscript": "a TorchScript file that maps clips (n, 3, f, h, w) in 0..255 to (n, d)",
    "c3d": "the TorchScript file of C3D on UCF-101, c3d_ucf101.pt of StyleGAN-V",
    "inception": "the TorchScript file of Inception, inception-2015-12-05.pt of StyleGAN2-ADA",
}
"""What the networks are that need a file."""

_SAMPLED = ("data.*", "evaluation.num_samples")
_BY_BACKBONE = (*_SAMPLED, "evaluation.backbone", "evaluation.backbone_sha256")
_BY_CLASSIFIER = (
    *_SAMPLED,
    "evaluation.classifier",
    "evaluation.classifier_sha256",
    "evaluation.classifier_splits",
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that are one measure under different definitions.

    Args:
        name: The beginning of their names.
        direction: Which values are good.
        by: The field that names the network, without its section.
        words: The name as prose has it.
        description: One sentence, to which the definition is added.
    """

    name: str
    direction: Direction
    by: Literal["backbone", "classifier"]
    words: str
    description: str

    @property
    def defined_by(self) -> tuple[str, ...]:
        """Configuration fields in the definition."""
        return _BY_BACKBONE if self.by == "backbone" else _BY_CLASSIFIER


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="eval.kernel_distance",
            direction="lower",
            by="backbone",
            words="kernel distance",
            description="Unbiased squared kernel distance (degree 3) between the features of "
            "samples and of real clips; it can be below 0.",
        ),
        Family(
            name="eval.kernel_distance_floor",
            direction="neither",
            by="backbone",
            words="kernel distance of real clips",
            description="Unbiased squared kernel distance between two disjoint sets of real clips: "
            "what perfect samples would have.",
        ),
        Family(
            name="eval.frechet",
            direction="lower",
            by="backbone",
            words="Frechet distance",
            description="Frechet distance between normal distributions fitted to the features of "
            "samples and of real clips; biased upwards, more the fewer clips there are.",
        ),
        Family(
            name="eval.frechet_floor",
            direction="neither",
            by="backbone",
            words="Frechet distance of real clips",
            description="Frechet distance between two disjoint sets of real clips: what perfect "
            "samples would have, its bias included.",
        ),
        Family(
            name="eval.inception_score",
            direction="higher",
            by="classifier",
            words="inception score",
            description="exp E KL(p(y|x) || p(y)) of a classifier's labels y of samples x, the "
            "mean over equal parts of the samples.",
        ),
        Family(
            name="eval.inception_score_real",
            direction="neither",
            by="classifier",
            words="inception score of real clips",
            description="Inception score of real clips: what perfect samples would have.",
        ),
    )
}

_FULL_NAME = re.compile(
    r"(?P<family>eval\.[a-z_]+)"
    r"\.(?P<network>pixels-pca|digits|i3d|(?:i3d|torchscript|c3d|inception)-[0-9a-f]{8})"
    r"(?:\.k(?P<splits>\d+))?(?:\.n(?P<samples>\d+))?(?:\.r(?P<real>\d+))?"
    r"\.f(?P<frames>\d+)\.(?:s(?P<stride>\d+)|fps(?P<fps>[\d.e+-]+))\.(?P<size>\d+x\d+)"
)


def num_real_clips(config: Configuration) -> int:
    """Returns the real clips in each part of the training clips: one is compared with samples.

    Principal components take a part of their own to be fitted to; a network needs none.
    """
    parts = 3 if config.evaluation.backbone == "pixels-pca" else 2
    most = max(MOST_REAL, config.evaluation.num_samples)
    return min(most, config.data.num_train_clips // parts)


def num_scored_real_clips(config: Configuration) -> int:
    """Returns the real clips whose inception score is measured: as many as samples, if there are.

    A score grows with the number of clips, so that unequal numbers do not compare.
    """
    return min(config.evaluation.num_samples, config.data.num_train_clips)


def full_name(family: str, config: Configuration) -> str:
    """Returns the name under which a configuration measures a family."""
    evaluation, data = config.evaluation, config.data
    samples, splits = f"n{evaluation.num_samples}", f"k{evaluation.classifier_splits}"
    counts = {
        "eval.inception_score": f"{splits}.{samples}",
        "eval.inception_score_real": f"{splits}.r{num_scored_real_clips(config)}",
    }.get(family, f"{samples}.r{num_real_clips(config)}")
    network = _network(FAMILIES[family], config)
    pace, size = _pace(config), f"{data.width}x{data.height}"
    return f"{family}.{network}.{counts}.f{data.num_frames}.{pace}.{size}"


def declared(name: str) -> Metric | None:
    """Returns the declaration of a measure of samples, of a family or of a full name, or None."""
    if name in FAMILIES:
        return _metric(name, FAMILIES[name], FAMILIES[name].words, "")
    found = _FULL_NAME.fullmatch(name)
    family = FAMILIES.get(found["family"]) if found else None
    if found is None or family is None:
        return None
    words = family.words
    if found["network"] == "i3d":
        words = words.replace("Frechet distance", "FVD")
    return _metric(name, family, words, f" Here: {_in_words(found)}.")


def resolve(name: str, config: Configuration) -> str:
    """Returns the full name of a measure of samples, as a configuration has it.

    Raises:
        ConfigurationError: The configuration measures it under another name, has no samples, or
            wants no network that measures it.
    """
    family = family_of(name)
    check_sampled(family, config)
    by = FAMILIES[family].by
    if getattr(config.evaluation, by) == "none":
        raise ConfigurationError(f"{family} is {missing_network(by, config)}")
    resolved = full_name(family, config)
    if name not in (family, resolved):
        raise ConfigurationError(
            f"expected '{resolved}', which this configuration measures, found '{name}': write the "
            f"one that it measures, or {family} for whichever it is"
        )
    return resolved


def family_of(name: str) -> str:
    """Returns the family of a declared measure of samples."""
    found = _FULL_NAME.fullmatch(name)
    return found["family"] if found else name


def check_sampled(name: str, config: Configuration) -> None:
    """Accepts a configuration that makes samples.

    Raises:
        ConfigurationError: It makes none.
    """
    if not config.evaluation.num_samples:
        raise ConfigurationError(
            f"expected samples for {name}, found evaluation.num_samples 0: set it, such as to 512"
        )


def missing_network(by: Literal["backbone", "classifier"], config: Configuration) -> str | None:
    """Returns why there is no such network and what to do, or None if there is one."""
    kind = getattr(config.evaluation, by)
    if kind == "none":
        return (
            f"not measured without evaluation.{by}: set it to digits (moving_digits only), c3d or "
            "inception"
        )
    if kind in WEIGHTS and getattr(config.evaluation, f"{by}_path") is None:
        return (
            f"not measured without the weights of {kind}: get {WEIGHTS[kind]} (docs/measures.md "
            f"says where), and set evaluation.{by}_path"
        )
    return None


def _pace(config: Configuration) -> str:
    """Returns how frames follow each other."""
    data = config.data
    return f"s{data.stride}" if data.fps is None else f"fps{data.fps:g}"


def _network(family: Family, config: Configuration) -> str:
    """Returns a network's name: its kind, and the file's hash unless the kind stands for one."""
    kind = getattr(config.evaluation, family.by)
    sha256 = getattr(config.evaluation, f"{family.by}_sha256")
    if kind not in WEIGHTS or sha256 is None or (kind == "i3d" and sha256 == I3D_SHA256):
        return kind
    return f"{kind}-{sha256[:8]}"


def _metric(name: str, family: Family, words: str, definition: str) -> Metric:
    return Metric(
        name=name,
        unit="",
        direction=family.direction,
        defined_by=family.defined_by,
        description=family.description + definition,
        words=words,
        is_reference=family.direction == "neither",
    )


def _in_words(found: re.Match[str]) -> str:
    """Returns a definition: ``by pixels-pca, 512 samples, 170 real clips, 17 frames of 64x64``."""
    counts = (
        f"{found[key]} {what}"
        for key, what in (("splits", "parts"), ("samples", "samples"), ("real", "real clips"))
        if found[key] is not None and (key, found[key]) != ("splits", "1")
    )
    pace = f"stride {found['stride']}"
    if found["fps"] is not None:
        pace = f"{found['fps']} frames per second"
    clips = f"{found['frames']} frames of {found['size']}"
    return ", ".join((f"by {found['network']}", *counts, clips, pace))
