"""The shape of a trial: what decides the cost of its steps, and of what comes after them.

Every field decides it but those listed here, so that a field that is added is taken for one that
does: an estimate from too few past trials is better than one from others.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qdexp.config.settings import Settings
from qdexp.experiment.identity import LENGTH_FIELDS, digest
from qdexp.experiment.replicates import MOST, Same
from qdexp.experiment.trial import DEFAULT_TRAINABLE, Trial

INDIFFERENT = LENGTH_FIELDS | {
    "distillation.betas",
    "distillation.fake_learning_rate",
    "distillation.learning_rate",
    "distillation.max_steps",
    "distillation.score_max_step",
    "distillation.score_min_step",
    "diffusion.beta_schedule",
    "diffusion.max_step",
    "diffusion.min_step",
    "diffusion.num_train_timesteps",
    "diffusion.prediction_type",
    "diffusion.sampling_eta",
    "diffusion.zero_terminal_snr",
    "model.commitment_cost",
    "model.ema_decay",
    "model.entropy_loss_weight",
    "training.checkpoint_every_steps",
    "training.data_order",
    "training.learning_rate",
    "training.log_every_steps",
    "training.lr_schedule",
    "training.max_grad_norm",
    "training.quantization_weight",
    "training.warmup_steps",
    "training.weight_decay",
}
"""Fields whose values change numbers, not the work: a step costs the same at all of them."""

AFTERWARDS = frozenset({"data.autoencoder", "diffusion.sampling_steps"})
"""Fields, beside those of the evaluation, that act on what is measured and not on the steps."""

FRAME_FIELDS = frozenset({"data.height", "data.num_frames", "data.width"})
"""Fields of the data that steps depend on: the size of a clip, and not which clips there are."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the cost of a trial depends on.

    Args:
        steps: Equal for trials whose steps cost the same.
        whole: Equal for those of which also all that comes before and after them does.
    """

    steps: str
    whole: str


def shape_of(trial: Trial) -> Shape:
    """Returns a trial's shape; a trainable of somebody else's may read any field but its length."""
    return _shape(Same(trial.configuration), trial.trainable)


@lru_cache(maxsize=MOST)
def _shape(same: Same[Settings], trainable: str) -> Shape:
    fields = same.configuration.fields()
    if trainable != DEFAULT_TRAINABLE:
        kept = {name: value for name, value in fields.items() if name not in LENGTH_FIELDS}
        key = digest({"trainable": trainable, "fields": kept})[:16]
        return Shape(steps=key, whole=key)
    of_steps = {name: value for name, value in fields.items() if _is_of_steps(name, fields)}
    of_rest = {
        name: value
        for name, value in fields.items()
        if name in AFTERWARDS or (name.startswith("evaluation.") and not name.endswith("_path"))
    }
    return Shape(steps=digest(of_steps)[:16], whole=digest(of_steps | of_rest)[:16])


def _is_of_steps(name: str, fields: dict[str, Any]) -> bool:
    section = name.partition(".")[0]
    if name in INDIFFERENT or section == "evaluation":
        return False
    if section == "data":
        return name in FRAME_FIELDS
    if fields["training.objective"] == "diffusion":
        return section != "distillation" and name not in AFTERWARDS
    return True
