"""Names of measures of samples carry what is measured."""

from typing import Any

import pytest

from qdexp.config.configuration import Configuration
from qdexp.config.metrics import check_measured, find, in_order, metric, names, resolve
from qdexp.config.presets import preset
from qdexp.config.sample_metrics import FAMILIES, I3D_SHA256, full_name, num_real_clips
from qdexp.errors import ConfigurationError

SAMPLED = {"evaluation.num_samples": 512}
I3D = {"evaluation.backbone": "i3d", "evaluation.backbone_path": "i3d.pt"}
OWN = {
    "evaluation.backbone": "torchscript",
    "evaluation.backbone_path": "own.pt",
    "evaluation.backbone_sha256": "ab12cd34" * 8,
}
DEFINING = [
    SAMPLED | {"evaluation.num_samples": 256},
    SAMPLED | {"data.num_frames": 21},
    SAMPLED | {"data.height": 96},
    SAMPLED | {"data.width": 96},
    SAMPLED | {"data.num_train_clips": 300},
    SAMPLED | I3D,
    SAMPLED | OWN,
    SAMPLED | OWN | {"evaluation.backbone_sha256": "ab12cd35" * 8},
    SAMPLED | I3D | {"evaluation.backbone_sha256": "ab12cd34" * 8},
]


def sampled(changes: dict[str, Any] = SAMPLED) -> Configuration:
    return preset("tiny").replace({"evaluation.codebook_tokens": 100} | changes)


def test_a_name_says_what_is_measured() -> None:
    config = sampled()
    assert full_name("eval.frechet", config) == "eval.frechet.pixels-pca.n512.r170.f17.s1.64x64"
    assert full_name("eval.frechet", sampled(SAMPLED | OWN)) == (
        "eval.frechet.torchscript-ab12cd34.n512.r256.f17.s1.64x64"
    )
    assert full_name("eval.inception_score", sampled(SAMPLED | {"evaluation.classifier": "digits"}))
    wide = full_name("eval.kernel_distance", sampled(SAMPLED | {"data.width": 96}))
    assert wide.endswith(".96x64"), "width before height, as sizes of videos are written"


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        ("s4", "stride 4"),
        ("fps7.5", "7.5 frames per second"),
        ("fps29.97", "29.97 frames per second"),
    ],
)
def test_a_name_says_how_frames_follow_each_other(pace: str, words: str) -> None:
    found = metric(f"eval.frechet.i3d.n2048.r2048.f17.{pace}.128x64")
    assert found.description.endswith(f"17 frames of 128x64, {words}.")


def test_other_definitions_have_other_names() -> None:
    found = {full_name("eval.kernel_distance", sampled(each)) for each in [SAMPLED, *DEFINING]}
    assert len(found) == len(DEFINING) + 1


def test_where_a_file_is_does_not_change_the_name() -> None:
    moved = OWN | {"evaluation.backbone_path": "elsewhere.pt"}
    assert full_name("eval.frechet", sampled(SAMPLED | OWN)) == full_name(
        "eval.frechet", sampled(SAMPLED | moved)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_full_name_is_declared_as_its_family(family: str) -> None:
    config = sampled(SAMPLED | {"evaluation.classifier": "digits"})
    full = metric(full_name(family, config))
    assert full.direction == FAMILIES[family].direction
    assert full.is_defined_by("data.num_frames")
    assert full.is_defined_by("evaluation.num_samples")
    assert not full.is_defined_by("model.num_embeddings")
    assert "Here: by " in full.description
    assert "17 frames of 64x64, stride 1" in full.description


def test_only_the_standard_i3d_file_measures_what_is_called_fvd() -> None:
    standard = sampled(SAMPLED | I3D | {"evaluation.backbone_sha256": I3D_SHA256})
    other = sampled(SAMPLED | I3D | {"evaluation.backbone_sha256": "ab12cd34" * 8})
    words = [
        metric(full_name("eval.frechet", config)).in_words
        for config in (standard, sampled(SAMPLED | I3D), other, sampled(SAMPLED | OWN), sampled())
    ]
    assert words == ["FVD", "FVD", *["Frechet distance"] * 3]
    assert metric(full_name("eval.kernel_distance", standard)).in_words == "kernel distance"


def test_a_family_resolves_to_the_name_that_the_configuration_measures() -> None:
    full = full_name("eval.frechet", sampled())
    assert resolve("eval.frechet", sampled()) == resolve(full, sampled()) == full
    assert resolve("eval.denoising_loss", preset("tiny")) == "eval.denoising_loss"


def test_another_definition_is_refused_with_the_one_that_is_measured() -> None:
    other = "eval.frechet.pixels-pca.n2048.r170.f17.s1.64x64"
    with pytest.raises(ConfigurationError, match=r"expected 'eval\.frechet\.pixels-pca\.n512\."):
        resolve(other, sampled())


@pytest.mark.parametrize(
    "name", ["eval.frechet", "eval.fps", "eval.frechet.i3d.n2048.r2048.f17.s1.64x64"]
)
def test_without_samples_the_remedy_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"found evaluation\.num_samples 0: set it"):
        resolve(name, preset("tiny"))


@pytest.mark.parametrize(
    ("changes", "name", "remedy"),
    [
        ({"evaluation.backbone": "i3d"}, "eval.frechet", r"i3d_torchscript\.pt.*backbone_path"),
        ({"evaluation.classifier": "c3d"}, "eval.inception_score", r"c3d_ucf101\.pt"),
        ({}, "eval.inception_score", r"evaluation\.classifier: set it to digits"),
    ],
)
def test_without_weights_it_says_how_to_get_them(
    changes: dict[str, Any], name: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        check_measured(name, sampled(SAMPLED | changes))


@pytest.mark.parametrize("name", ["eval.frechet.pixels-pca", "eval.frechet.vgg.n5.r5.f17.s1.8x8"])
def test_what_is_no_name_is_unknown(name: str) -> None:
    assert find(name) is None
    with pytest.raises(ConfigurationError, match="expected a metric, found"):
        resolve(name, sampled())


def test_old_numbers_under_a_familys_name_are_still_known() -> None:
    assert metric("eval.kernel_distance").direction == "lower"


def test_tables_list_measures_of_samples_after_errors_and_before_costs() -> None:
    full = [full_name(family, sampled()) for family in FAMILIES if "inception" not in family]
    given = ["cost.parameters", *reversed(full), "user.metric", "eval.fps", "eval.denoising_loss"]
    assert in_order(given) == [
        "eval.denoising_loss",
        "eval.fps",
        *full,
        "cost.parameters",
        "user.metric",
    ]
    assert len(set(names())) == len(names())


def test_real_clips_are_dealt_into_equal_parts_that_share_none() -> None:
    for clips, samples, expected in ((512, 512, 170), (6, 2, 2), (100_000, 512, 512)):
        config = sampled({"evaluation.num_samples": samples, "data.num_train_clips": clips})
        assert num_real_clips(config) == expected
        assert 3 * expected <= clips
    large = {"evaluation.num_samples": 2048, "data.num_train_clips": 4096}
    assert num_real_clips(sampled(large | I3D)) == 2048, "nothing is fitted: two parts"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluation.num_samples": 1}, "expected 0, or at least 2"),
        (SAMPLED | {"data.num_train_clips": 5}, "at least 6 for samples to be compared"),
        ({"evaluation.num_samples": 4, "evaluation.classifier_splits": 5}, "found 5 and 4"),
        ({"evaluation.backbone_path": "a.pt"}, "found pixels-pca, which has none"),
        (
            {"evaluation.classifier": "digits", "evaluation.classifier_sha256": "0" * 64},
            "found digits, which has none",
        ),
        (
            {"evaluation.backbone": "torchscript", "evaluation.backbone_path": "a.pt"},
            "backbone_sha256: expected the SHA-256 of .*a.pt.*sha256sum",
        ),
        ({"evaluation.backbone_sha256": "ABC"}, "evaluation.backbone_sha256"),
    ],
)
def test_networks_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        preset("tiny").replace(change)
