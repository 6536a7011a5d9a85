"""The presets, as one aligned table.

`medium` has the numbers of the system that this project implements; `small` and `large` scale it;
`tiny` is made for two CPU cores; `dmd_optimized` is what a student for distillation is built on.
"""

from functools import cache
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.errors import ConfigurationError, nearest

PRESETS = ("tiny", "small", "medium", "large", "dmd_optimized")

# fmt: off
_TABLE: dict[str, tuple[Any, ...]] = {
    #                                        tiny       small      medium     large      dmd_optim.
    "model.num_embeddings":                 (8192,      4096,      8192,      16384,     8192),
    "model.embedding_dim":                  (16,        256,       512,       768,       512),
    "model.hidden_dim":                     (64,        512,       1024,      1536,      1024),
    "model.num_layers":                     (3,         6,         12,        24,        12),
    "model.num_heads":                      (4,         8,         16,        24,        16),
    "model.dropout":                        (0.0,       0.1,       0.1,       0.1,       0.0),
    "model.patch_size":                     ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2)),
    "model.ema_decay":                      (0.98,      0.99,      0.99,      0.99,      0.99),
    "model.dead_code_threshold":            (0.3,       0.0,       0.0,       0.0,       0.0),
    "model.codebook_init":                  ("random",  "random",  "random",  "random",  "kmeans"),
    "training.objective":          ("diffusion", "diffusion", "diffusion", "diffusion", "dmd"),
    "training.num_epochs":                  (100,       10,        100,       200,       50),
    "training.max_steps":                   (300,       None,      None,      None,      None),
    "training.batch_size":                  (4,         4,         4,         2,         4),
    "training.gradient_accumulation_steps": (1,         1,         2,         4,         2),
    "training.learning_rate":               (4e-3,      1e-4,      1e-4,      5e-5,      5e-5),
    "training.warmup_steps":                (20,        100,       1000,      2000,      500),
    "training.quantization_weight":         (0.1,       0.1,       0.1,       0.05,      0.05),
    "diffusion.beta_schedule":              ("linear",  "linear",  "linear",  "cosine",  "cosine"),
    "diffusion.sampling_steps":             (50,        50,        50,        50,        4),
    "evaluation.num_clips":                 (24,        64,        64,        64,        64),
}
# fmt: on


@cache
def preset(name: str) -> Configuration:
    """Returns the configuration of a preset.

    Raises:
        ConfigurationError: There is no such preset; the message names the nearest.
    """
    if name not in PRESETS:
        raise ConfigurationError(
            f"expected a preset ({', '.join(PRESETS)}), found '{name}'{nearest(name, PRESETS)}"
        )
    column = PRESETS.index(name)
    return Configuration().replace({field: row[column] for field, row in _TABLE.items()})
