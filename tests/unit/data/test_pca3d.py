"""The default autoencoder: white components, the first frame apart, the same bits each time."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from qdexp.config.data_config import DataConfig
from qdexp.data.moving_digits import Split, make_clips
from qdexp.data.pca3d import NUM_COMPONENTS, PatchComponents, Pca3d
from qdexp.errors import DataError

HELD_OUT_PSNR = 26.0
"""Decibels; 26.9 is what 64 held-out clips have."""


def frames(split: Split, num_clips: int) -> Tensor:
    return torch.from_numpy(make_clips(DataConfig(), split, range(num_clips)).frames)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def autoencoder() -> Pca3d:
    return Pca3d.fit(frames("train", 64))


@pytest.fixture(scope="module")
def held_out() -> Tensor:
    return frames("held_out", 16).float() / 255


def test_latents_are_sixteen_channels_at_an_eighth_and_a_quarter(
    autoencoder: Pca3d, held_out: Tensor
) -> None:
    latents = autoencoder.encode(held_out)

    assert latents.shape == (16, NUM_COMPONENTS, 5, 8, 8)
    assert latents.dtype == torch.float32
    assert autoencoder.decode(latents).shape == held_out.shape


def test_held_out_clips_survive_the_round_trip(autoencoder: Pca3d, held_out: Tensor) -> None:
    decoded = autoencoder.decode(autoencoder.encode(held_out))

    psnr = -10 * (decoded - held_out).square().mean().log10()

    assert psnr > HELD_OUT_PSNR


def test_decoding_is_undone_by_encoding(autoencoder: Pca3d) -> None:
    latents = torch.randn(2, NUM_COMPONENTS, 3, 4, 6, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(
        autoencoder.encode(autoencoder.decode(latents)), latents, atol=1e-4, rtol=0
    )


def test_decoding_is_linear_and_not_clipped(autoencoder: Pca3d) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, NUM_COMPONENTS, 2, 4, 4, generator=generator) for _ in range(2))
    origin = autoencoder.decode(torch.zeros_like(a))

    both = autoencoder.decode(3 * a + b) - origin

    apart = 3 * (autoencoder.decode(a) - origin) + (autoencoder.decode(b) - origin)
    torch.testing.assert_close(both, apart, atol=1e-4, rtol=0)
    assert both.abs().max() > 1


def test_the_first_frame_stands_alone(autoencoder: Pca3d, held_out: Tensor) -> None:
    changed = held_out.clone()
    changed[:, :, 1:] = 0

    latents, others = autoencoder.encode(held_out), autoencoder.encode(changed)

    assert torch.equal(latents[:, :, 0], others[:, :, 0])
    assert not torch.equal(latents[:, :, 1], others[:, :, 1])


def test_components_of_the_fitted_patches_are_white() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(4000, 192, generator=generator) @ torch.randn(192, 192, generator=generator)
    patches = (mixed * 3 + 128).clamp(0, 255).byte()

    components = PatchComponents.fit(patches)

    white = components.encode(patches.float() / 255).double()
    torch.testing.assert_close(white.mean(0), torch.zeros(16).double(), atol=1e-4, rtol=0)
    covariance = torch.cov(white.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(16).double(), atol=1e-3, rtol=0)
    assert (components.deviation.diff() <= 0).all()


def test_the_latents_of_other_training_clips_have_about_unit_deviation(autoencoder: Pca3d) -> None:
    latents = autoencoder.encode(frames("train", 128)[64:].float() / 255)

    deviation = latents.std(dim=(0, 2, 3, 4))

    assert deviation.min() > 0.9
    assert deviation.max() < 1.1


def test_the_greatest_entry_of_every_direction_is_positive(autoencoder: Pca3d) -> None:
    for part in (autoencoder.first, autoencoder.others):
        greatest = part.directions.abs().amax(1)
        assert torch.equal(part.directions.amax(1), greatest)


def test_a_second_fit_is_the_same_bit_for_bit(autoencoder: Pca3d) -> None:
    again = Pca3d.fit(frames("train", 64))

    assert torch.equal(again.first.directions, autoencoder.first.directions)
    assert torch.equal(again.others.directions, autoencoder.others.directions)
    assert torch.equal(again.others.deviation, autoencoder.others.deviation)


def test_an_autoencoder_is_what_it_said_of_itself(autoencoder: Pca3d, held_out: Tensor) -> None:
    loaded = Pca3d.from_plain(autoencoder.to_plain())

    latents = loaded.encode(held_out)
    assert torch.equal(latents, autoencoder.encode(held_out))
    assert torch.equal(loaded.decode(latents), autoencoder.decode(latents))


@pytest.mark.parametrize(
    ("num_frames", "nearest"), [(0, "1"), (2, "1 or 5"), (16, "13 or 17"), (20, "17 or 21")]
)
def test_a_frame_count_that_would_lose_frames_is_refused_with_the_nearest(
    autoencoder: Pca3d, num_frames: int, nearest: str
) -> None:
    with pytest.raises(DataError, match=rf"1 \+ 4k frames, found {num_frames}; take {nearest}$"):
        autoencoder.encode(torch.zeros(1, 3, num_frames, 32, 32))


def test_pixels_that_would_be_cut_off_are_refused(autoencoder: Pca3d) -> None:
    with pytest.raises(DataError, match="multiples of 8, found 32 x 36"):
        autoencoder.encode(torch.zeros(1, 3, 5, 32, 36))


def test_still_images_can_be_fitted_and_encoded() -> None:
    config = DataConfig(num_frames=1, height=32, width=32)
    still = torch.from_numpy(make_clips(config, "train", range(4)).frames)

    latents = Pca3d.fit(still).encode(still.float() / 255)

    assert latents.shape == (4, NUM_COMPONENTS, 1, 4, 4)


def test_fewer_patches_than_components_give_finite_latents() -> None:
    config = DataConfig(num_frames=1, height=32, width=32)
    still = torch.from_numpy(make_clips(config, "train", range(1)).frames)
    fitted = Pca3d.fit(still)

    pixels = still.float() / 255
    latents = fitted.encode(pixels)

    assert latents.abs().max() < 10
    torch.testing.assert_close(fitted.decode(latents), pixels, atol=1e-2, rtol=0)
