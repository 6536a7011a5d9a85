"""Measures of samples are read under their full names, or refused."""

from pathlib import Path

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.reader import read_spec
from tests.unit.experiment.written_spec import GOOD, written


def sampled(folder: Path, *changes: tuple[str, str]) -> Path:
    """Writes GOOD with 256 samples and other changes."""
    text = GOOD.replace("max_steps: 50", "max_steps: 50\n  evaluation.num_samples: 256")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return written(folder, text)


FULL = "eval.kernel_distance.pixels-pca.n256.r170.f17.s1.64x64"


@pytest.mark.parametrize("name", ["eval.kernel_distance", FULL])
def test_a_measure_of_samples_is_read_under_its_full_name(tmp_path: Path, name: str) -> None:
    names = ("eval.denoising_loss", name), ("[eval.perplexity]", "[eval.frechet, eval.fps]")
    metrics = read_spec(sampled(tmp_path, *names)).metrics
    assert metrics.primary == FULL
    assert metrics.secondary == (
        "eval.frechet.pixels-pca.n256.r170.f17.s1.64x64",
        "eval.fps",
    )


def test_a_full_name_of_another_definition_is_refused_with_the_right_one(tmp_path: Path) -> None:
    path = sampled(tmp_path, ("eval.denoising_loss", FULL.replace("n256", "n512")))
    with pytest.raises(SpecError, match=rf":13:12: metrics: expected '{FULL}', which this"):
        read_spec(path)


@pytest.mark.parametrize(
    ("field", "levels"),
    [
        ("evaluation.num_samples", "[128, 256]"),
        ("data.num_frames", "[17, 21]"),
        ("evaluation.backbone", "[pixels-pca, i3d]"),
    ],
)
def test_a_factor_that_changes_a_measures_name_is_refused(
    tmp_path: Path, field: str, levels: str
) -> None:
    first = levels.strip("[]").split(",")[0]
    text = GOOD.replace("diffusion.min_step: {levels: [20, 50], baseline: 20}", "FACTOR")
    text = text.replace("FACTOR", f"{field}: {{levels: {levels}, baseline: {first}}}")
    text = text.replace("primary: eval.denoising_loss", "primary: eval.frechet")
    problem = f"12:12: metrics: expected a primary metric .* whose definition contains {field}"
    with pytest.raises(SpecError, match=problem):
        read_spec(written(tmp_path, text))


def test_a_secondary_measure_has_a_name_for_each_definition(tmp_path: Path) -> None:
    factor = "evaluation.num_samples: {levels: [128, 256], baseline: 128}"
    text = GOOD.replace("diffusion.min_step: {levels: [20, 50], baseline: 20}", factor)
    text = text.replace("[eval.perplexity]", "[eval.frechet]")
    assert read_spec(written(tmp_path, text)).metrics.secondary == (
        "eval.frechet.pixels-pca.n128.r170.f17.s1.64x64",
        "eval.frechet.pixels-pca.n256.r170.f17.s1.64x64",
    )


def test_fvd_as_primary_metric_needs_its_weights(tmp_path: Path) -> None:
    set_i3d = ("num_samples: 256", "num_samples: 256\n  evaluation.backbone: i3d")
    path = sampled(tmp_path, ("eval.denoising_loss", "eval.frechet"), set_i3d)
    with pytest.raises(SpecError, match=r"without the weights of i3d: get .*i3d_torchscript\.pt"):
        read_spec(path)
    path = sampled(tmp_path, ("[eval.perplexity]", "[eval.frechet]"), set_i3d)
    (secondary,) = read_spec(path).metrics.secondary
    assert secondary.startswith("eval.frechet.i3d."), "beside others it is a warning"


def test_a_score_is_refused_where_no_classifier_is_wanted(tmp_path: Path) -> None:
    path = sampled(tmp_path, ("[eval.perplexity]", "[eval.inception_score]"))
    problem = "eval.inception_score is not measured without evaluation.classifier: set it to digits"
    with pytest.raises(SpecError, match=problem):
        read_spec(path)
