"""Where clips come from is said completely, or refused with what is missing."""

import pytest

from qdexp.config.configuration import Configuration
from qdexp.errors import ConfigurationError

VIDEOS = {"data.kind": "video_folder", "data.path": "videos"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"data.kind": "video_folder"}, "data.path: expected the folder of the videos, found none"),
        (
            {"data.kind": "latents"},
            "data.path: expected the folder of the latents, as qdexp encode",
        ),
        (
            {"data.path": "videos"},
            "data.path: expected nothing with data.kind moving_digits, found",
        ),
        ({"data.fps": 5.0}, "did you mean data.kind=video_folder?"),
        ({"data.fit": "letterbox"}, "data.fit: expected nothing with data.kind moving_digits"),
        (
            VIDEOS | {"data.num_frames": 16},
            "data.num_frames: expected 1 + 4k, found 16; the nearest",
        ),
        (VIDEOS | {"data.fps": 5.0, "data.stride": 2}, "data.stride: expected 1 with data.fps"),
        (
            VIDEOS | {"data.overlap": 17},
            "data.overlap: expected less than data.num_frames, found 17",
        ),
        (VIDEOS | {"data.autoencoder": "wan"}, "data.autoencoder_path: expected the folder of"),
        (
            VIDEOS | {"data.autoencoder_path": "a"},
            "data.autoencoder_path: expected none with pca3d",
        ),
        (VIDEOS | {"data.held_out_share": 1.0}, "data.held_out_share"),
        (VIDEOS | {"data.path": ""}, "data.path"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Configuration().replace(fields)

    assert problem in str(refusal.value)


@pytest.mark.parametrize(
    "fields",
    [
        VIDEOS,
        VIDEOS | {"data.fps": 12, "data.overlap": 16, "data.fit": "letterbox"},
        VIDEOS | {"data.autoencoder": "wan", "data.autoencoder_path": "weights"},
        {"data.kind": "latents", "data.path": "latents", "data.stride": 3},
        {"data.kind": "latents", "data.path": "latents", "data.autoencoder": "wan"},
        {"data.autoencoder": "wan", "data.autoencoder_path": "weights"},
    ],
)
def test_what_can_be_is_accepted(fields: dict[str, object]) -> None:
    configuration = Configuration().replace(fields)

    assert all(configuration.value(field) == value for field, value in fields.items())
