"""Backbones and classifiers in TorchScript files, of the signatures of the standard ones."""

# ruff: noqa: FBT001, FBT002 - signatures of public files

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.configuration import Configuration
from qdexp.config.presets import preset
from qdexp.errors import ConfigurationError
from qdexp.evaluation import backbones
from qdexp.evaluation.backbones import open_backbone
from qdexp.evaluation.classifiers import open_classifier

CPU = torch.device("cpu")


class I3dLike(nn.Module):
    """Takes what the standard file takes, and tells in its features what it was told."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        if rescale:
            x = 2 * x / 255 - 1
        if resize:
            x = functional.interpolate(x, size=[x.shape[2], 224, 224], mode="trilinear")
        features = torch.stack(
            [x.mean([1, 2, 3, 4]), x.amin([1, 2, 3, 4]), x.amax([1, 2, 3, 4])], dim=1
        )
        told = torch.tensor([float(x.shape[2]), float(x.shape[3]), float(return_features)])
        return torch.cat([features, told.expand(x.shape[0], 3)], dim=1)


class C3dLike(nn.Module):
    """From clips of 16 frames to probabilities, as the standard file has it."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] == 16
        return torch.softmax(x.mean(dim=[3, 4]).flatten(1)[:, :5] / 25, dim=1)


class InceptionLike(nn.Module):
    """From images to probabilities, as the standard file has it."""

    def forward(self, img: Tensor, no_output_bias: bool = False) -> Tensor:
        assert no_output_bias
        return torch.softmax(img.mean(dim=[2, 3]) / 25, dim=1)


class Logits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=[3, 4]).flatten(1)


def saved(network: nn.Module, folder: Path) -> tuple[str, str]:
    """Returns a network's file, and its hash."""
    path = folder / "network.pt"
    with pytest.deprecated_call():
        torch.jit.script(network).save(path)
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def with_network(what: str, kind: str, path: str, sha256: str | None) -> Configuration:
    fields: dict[str, Any] = {
        f"evaluation.{what}": kind,
        f"evaluation.{what}_path": path,
        f"evaluation.{what}_sha256": sha256,
    }
    return preset("tiny").replace(fields)


def clips(count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 17, 8, 8, generator=generator) * 1.5 - 0.25


def test_i3d_sees_whole_numbers_to_255_and_is_told_to_rescale_and_to_resize(tmp_path: Path) -> None:
    config = with_network("backbone", "i3d", *saved(I3dLike(), tmp_path))
    backbone = open_backbone(config.evaluation, CPU)
    found = backbone.fitted([])([clips(3), clips(1)])

    assert not backbone.is_fitted
    assert found.dtype == torch.float64
    assert found[:, 3:].tolist() == [[17, 224, 1]] * 4
    # Pixels outside 0..1 are clipped, as a video file would have them.
    assert found[:, 1].min().item() == pytest.approx(-1, abs=1e-5)
    assert found[:, 2].max().item() == pytest.approx(1, abs=1e-5)
    expected = 2 * (clips(3).clamp(0, 1) * 255).round().mean(dim=(1, 2, 3, 4)) / 255 - 1
    torch.testing.assert_close(found[:3, 0].float(), expected, rtol=0, atol=1e-2)


def test_the_standard_i3d_file_is_expected_unless_another_hash_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = saved(I3dLike(), tmp_path)
    config = with_network("backbone", "i3d", path, None).evaluation
    with pytest.raises(ConfigurationError, match=f"expected a file .* bec6519f.*found {sha256}"):
        open_backbone(config, CPU)

    monkeypatch.setattr(backbones, "I3D_SHA256", sha256)
    assert open_backbone(config, CPU).fitted([])([clips()]).shape == (2, 6)


def test_any_file_is_a_backbone_under_its_own_hash(tmp_path: Path) -> None:
    config = with_network("backbone", "torchscript", *saved(Logits(), tmp_path))
    assert open_backbone(config.evaluation, CPU).fitted([])([clips()]).shape == (2, 3 * 17)


@pytest.mark.parametrize("kind", ["i3d", "torchscript"])
def test_another_file_is_refused_with_the_hash_that_was_found(kind: str, tmp_path: Path) -> None:
    path, sha256 = saved(I3dLike(), tmp_path)
    config = with_network("backbone", kind, path, "0" * 64)
    with pytest.raises(ConfigurationError, match=f"backbone_path: expected .*0{{64}}.*{sha256}"):
        open_backbone(config.evaluation, CPU)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    config = with_network("backbone", "torchscript", str(tmp_path / "none.pt"), "0" * 64)
    with pytest.raises(ConfigurationError, match=r"expected a TorchScript file, found none at .*"):
        open_backbone(config.evaluation, CPU)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_torchscript_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    config = with_network("backbone", "torchscript", str(path), sha256)
    with pytest.raises(ConfigurationError, match="found another kind"):
        open_backbone(config.evaluation, CPU)


def test_a_network_that_takes_no_such_clips_is_refused(tmp_path: Path) -> None:
    config = with_network("backbone", "i3d", *saved(Logits(), tmp_path))
    with pytest.raises(ConfigurationError, match=r"takes clips of shape .*, rescale=True, resize"):
        open_backbone(config.evaluation, CPU).fitted([])([clips()])


def test_a_network_that_makes_no_features_is_refused(tmp_path: Path) -> None:
    config = with_network("backbone", "torchscript", *saved(nn.Identity(), tmp_path))
    with pytest.raises(ConfigurationError, match=r"expected numbers of shape \(2, d\) .*8, 8\)"):
        open_backbone(config.evaluation, CPU).fitted([])([clips()])


def test_c3d_sees_the_first_sixteen_frames(tmp_path: Path) -> None:
    config = with_network("classifier", "c3d", *saved(C3dLike(), tmp_path))
    found = open_classifier(config, CPU)(clips())

    assert found.shape == (2, 5)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2).double())
    changed = clips()
    changed[:, :, 16] = 0
    torch.testing.assert_close(open_classifier(config, CPU)(changed), found)


def test_clips_that_are_too_short_for_c3d_are_refused(tmp_path: Path) -> None:
    config = with_network("classifier", "c3d", *saved(C3dLike(), tmp_path))
    short = config.replace({"data.num_frames": 13, "evaluation.codebook_tokens": 100})
    with pytest.raises(ConfigurationError, match=r"at least 16 frames for c3d, found .* 13"):
        open_classifier(short, CPU)


def test_inception_sees_the_middle_frame(tmp_path: Path) -> None:
    config = with_network("classifier", "inception", *saved(InceptionLike(), tmp_path))
    found = open_classifier(config, CPU)(clips())
    middle = (clips()[:, :, 8].clamp(0, 1) * 255).round()

    expected = InceptionLike()(middle, no_output_bias=True).double()
    torch.testing.assert_close(found, expected)


def test_logits_are_no_probabilities_and_are_refused(tmp_path: Path) -> None:
    config = with_network("classifier", "c3d", *saved(Logits(), tmp_path))
    with pytest.raises(ConfigurationError, match="end the network with a softmax"):
        open_classifier(config, CPU)(clips())
