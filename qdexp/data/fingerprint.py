"""What identifies the data, apart from what makes them: planning must load nothing heavy."""

import hashlib
import json

from qdexp.config.sections import DataConfig

FRAMES_SHA256 = "51eeb3dc6dc1279a17fafc452e5006d1109be03dee66105e7306a926f291e36e"
"""SHA-256 of the digit images and of the reference clips made from them; `prepare` verifies it."""

PCA3D_VERSION = 1
"""Raised whenever `pca3d` makes other latents of the same clips."""

FORMAT_VERSION = 2
"""Raised whenever a folder of latents is laid out differently: 2 has the clips' sources."""


def fingerprint(config: DataConfig) -> str:
    """Returns the hash of all that the latents are made of, as 64 hexadecimal digits."""
    return canonical_sha256(
        {
            "data": config.model_dump(mode="json"),
            "frames_sha256": FRAMES_SHA256,
            "autoencoder_version": PCA3D_VERSION,
            "format": FORMAT_VERSION,
        }
    )


def canonical_sha256(value: object) -> str:
    """Returns the SHA-256 of a value's one JSON text: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
