"""Measures of samples in reports: under their words, with their definition and their floor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from qdexp_analysis import render
from qdexp_analysis.declared import OURS
from qdexp_analysis.findings import find
from qdexp_analysis.table import load

Make = Callable[[Any], Path]
TAG = "n512.r170.f17.s1.64x64"
KERNEL, FLOOR = (
    f"eval.kernel_distance.pixels-pca.{TAG}",
    f"eval.kernel_distance_floor.pixels-pca.{TAG}",
)
FVD, OTHER_FVD = f"eval.frechet.i3d.{TAG}", f"eval.frechet.i3d.{TAG.replace('512', '256')}"
SAMPLES = {KERNEL: 3.0, FLOOR: 0.001, FVD: 300.0, "eval.fps": 200.0}


def sampled(made: type[Any], **changes: object) -> object:
    return made(**{"primary": KERNEL, "samples": SAMPLES} | changes)


def test_a_measure_of_samples_is_ranked_by_seed(make_ledger: Make, made: type[Any]) -> None:
    findings = find(load("codebook_size", make_ledger(sampled(made))))
    assert findings.refused is None
    assert findings.direction == "lower"
    assert [contrast.verdict for contrast in findings.contrasts] == ["worse", "better"]
    assert findings.scores.values.shape == (3, 3, 1), "one number for each trial, none by clip"


def test_the_floor_stands_beside_it_and_is_not_ranked(make_ledger: Make, made: type[Any]) -> None:
    findings = find(load("codebook_size", make_ledger(sampled(made))))
    floor = findings.secondary_named(FLOOR)
    assert floor is not None
    assert set(floor.scores.values.ravel()) == {0.001}
    assert floor.estimates == (None, None, None)
    assert FLOOR not in dict(findings.not_comparable)


def test_tables_list_the_measures_of_samples_together(make_ledger: Make, made: type[Any]) -> None:
    findings = find(load("codebook_size", make_ledger(sampled(made))))
    listed = [metric.name for metric in findings.secondary]
    assert listed.index(FLOOR) < listed.index(FVD) < listed.index("cost.parameters")


@pytest.mark.parametrize("format_", ["html", "md"])
def test_a_report_says_fvd_and_what_is_measured(
    make_ledger: Make, made: type[Any], format_: Literal["html", "md"]
) -> None:
    text = render("codebook_size", make_ledger(sampled(made, primary=FVD)), format_)
    assert "FVD" in text
    assert "by i3d, 512 samples, 170 real clips, 17 frames of 64x64, stride 1" in text
    assert "kernel distance of real clips" in text
    assert "sampling speed" in text
    assert "Fvd" not in text


def test_numbers_of_another_definition_are_never_compared(
    make_ledger: Make, made: type[Any]
) -> None:
    """The ledger has trials that were measured with other numbers of clips."""
    findings = find(load("codebook_size", make_ledger(sampled(made, primary=OTHER_FVD))))
    assert not any(findings.scores.is_complete.ravel())
    assert all(contrast.estimate is None for contrast in findings.contrasts)


def test_errors_by_noise_level_are_shown_beside_a_measure_of_samples(
    make_ledger: Make, made: type[Any]
) -> None:
    factors = {"diffusion.min_step": (20, 100), "diffusion.max_step": (900, 980)}
    secondary = ("eval.denoising_loss",)
    runs = make_ledger(sampled(made, factors=factors, baseline=(20, 980), secondary=secondary))
    text = render("codebook_size", runs, "html")
    assert "Denoising loss by noise level" in text
    assert "eval.denoising_loss is compared on those" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (FVD, "FVD"),
        (KERNEL, "kernel distance"),
        ("eval.frechet.pixels-pca.n8.r8.f17.fps7.5.64x64", "Frechet distance"),
        ("eval.inception_score.digits.k1.n8.f17.s1.64x64", "inception score"),
        ("eval.denoising_loss", "denoising loss"),
        ("theirs.own_metric", "own metric"),
    ],
)
def test_a_name_in_words(name: str, words: str) -> None:
    assert OURS.metric(name).in_words == words
