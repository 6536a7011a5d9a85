"""Identity from content: what two trials must share to be the same trial."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qdexp.config.revision import RESULTS_REVISION
from qdexp.config.sample_metrics import WEIGHTS

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # pyright: ignore[reportPrivateUsage]

WITHOUT_EFFECT = frozenset(
    {
        "data.autoencoder_path",
        "data.path",
        "evaluation.backbone_path",
        "evaluation.classifier_path",
        "evaluation.shown_clips",
        "training.activation_checkpointing",
        "training.checkpoint_every_steps",
        "training.num_workers",
        "training.parallelism",
    }
)
"""Configuration fields that change no result, and so no identity.

Where data lie is none of it: what they are is in the data's fingerprint.
"""

LENGTH_FIELDS = frozenset({"training.max_steps", "training.num_epochs"})
"""Fields that say only how long to train: a longer trial passes through a shorter one's states."""

SAMPLING_FIELDS = frozenset({"diffusion.sampling_steps", "diffusion.sampling_eta"})
"""Fields that act on samples only, unless a student is trained for them."""

_AVERAGING = frozenset({"ema", "cosine"})
_LEARNED = frozenset({"gradient", "simvq"})
_ROUNDING = frozenset({"fsq", "lfq"})
_ANY = _AVERAGING | _LEARNED | _ROUNDING

READERS: dict[str, frozenset[str]] = {
    "model.codebook_init": _AVERAGING,
    "model.codes_per_token": _ANY,
    "model.commitment_cost": _ANY,
    "model.dead_code_threshold": _AVERAGING,
    "model.ema_decay": _AVERAGING,
    "model.entropy_loss_weight": frozenset({"lfq"}),
    "model.gradient_estimator": _AVERAGING | _LEARNED,
    "model.num_embeddings": _ANY,
    "model.quantizer_placement": _ANY,
    "training.quantization_weight": _ANY,
}
"""The kinds of `model.quantizer` to which a field says anything; `none` reads nothing."""

QUANTIZER_FIELDS = frozenset(READERS)
"""Fields that say nothing to a network without a quantizer."""

DECIDING = ("model.quantizer", "model.quantizer_placement", "data.kind", "training.objective")
"""The fields that decide which others say anything; each has named choices."""

_LOSS_FIELDS = frozenset({"model.commitment_cost", "training.quantization_weight"})


def canonical_json(value: object) -> str:
    """Returns the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Returns the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The hash of a content up to its fields: what follows differs between seeds."""

    hash: "Hash"

    def ended(self, *, seed: int, data_fingerprint: str, trainable: str) -> str:
        """Returns the id of a content: what `trial_id` and `trajectory_id` return for it."""
        rest = _content({}, seed, data_fingerprint, trainable)
        assert min(rest) == "configuration", "canonical JSON begins with another key"
        del rest["configuration"]
        whole = self.hash.copy()
        whole.update(canonical_json(rest)[1:].encode())
        return whole.hexdigest()[:16]


def beginning(fields: dict[str, Any]) -> Beginning:
    """Returns the hash of a content that begins with these fields."""
    return Beginning(hash=hashlib.sha256(f'{{"configuration":{canonical_json(fields)},'.encode()))


def trial_id(*, fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str) -> str:
    """Returns the id of a trial: 16 hexadecimal digits over all that affects its result."""
    return digest(_content(effective(fields), seed, data_fingerprint, trainable))[:16]


def trajectory_id(
    *, fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str
) -> str:
    """Returns the id shared by trials whose training passes through the same states.

    They differ in length, in sampling and in what is evaluated only, so one can start from
    another's checkpoint.
    """
    kept = trajectory_fields(fields)
    return digest(_content(kept, seed, data_fingerprint, trainable))[:16]


def own_trial_id(
    *, fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str, revision: int
) -> str:
    """Returns the id of a trial of a user's own training, whose revision is its author's.

    Args:
        fields: The fields that affect its result.
        seed: The replicate.
        data_fingerprint: Hash of the inputs that the data are made of.
        trainable: The generator that runs it.
        revision: As declared; qdexp's own says nothing of it.
    """
    content = _content(fields, seed, data_fingerprint, trainable)
    return digest(content | {"revision": revision, "is_own": True})[:16]


def trajectory_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that decide through which states a training passes."""
    ignored = _length_fields(fields)
    if fields["training.objective"] == "diffusion":
        ignored |= SAMPLING_FIELDS
    return {
        name: value
        for name, value in effective(fields).items()
        if name not in ignored and not name.startswith("evaluation.")
    }


def effective(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that a result depends on, given the values of the others."""
    ignored = idle_fields(fields)
    if fields["training.data_order"] == 0:
        ignored |= {"training.data_order"}  # of before there were others
    kept = {name: value for name, value in fields.items() if name not in ignored}
    return kept | {name: None for name in _networks_without_files(fields)}


def idle_fields(fields: dict[str, Any]) -> frozenset[str]:
    """Returns the fields that say nothing, whatever their values, given those of `DECIDING`."""
    kind = fields["model.quantizer"]
    ignored = WITHOUT_EFFECT | {field for field, kinds in READERS.items() if kind not in kinds}
    if kind == "fsq" and fields["model.quantizer_placement"] == "bottleneck":
        ignored |= _LOSS_FIELDS  # it has no loss there
    if fields["data.kind"] != "moving_digits":
        ignored |= {"data.seed"}
    if fields["training.objective"] == "diffusion":
        ignored |= _in_section("distillation.", tuple(fields))
    return ignored


@lru_cache(maxsize=64)
def _in_section(section: str, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith(section))


def _networks_without_files(fields: dict[str, Any]) -> list[str]:
    """Returns the fields of networks that measure nothing, since their files are not given.

    Where a file is does not matter, but whether it is given does: without it the trial is another
    one, so that giving it later measures what the first one could not.
    """
    return [
        f"evaluation.{what}"
        for what in ("backbone", "classifier")
        if fields[f"evaluation.{what}"] in WEIGHTS and fields[f"evaluation.{what}_path"] is None
    ]


def _length_fields(fields: dict[str, Any]) -> frozenset[str]:
    """Returns the fields that say no more than when a training ends.

    Where the rate falls towards the end they say more. A student's own number is one; the others
    are its teacher's.
    """
    if fields["training.lr_schedule"] != "constant":
        return frozenset()
    if fields["training.objective"] == "diffusion":
        return LENGTH_FIELDS
    has_own = fields["distillation.max_steps"] is not None
    return frozenset({"distillation.max_steps"}) if has_own else frozenset()


def _content(
    fields: dict[str, Any], seed: int, data_fingerprint: str, trainable: str
) -> dict[str, Any]:
    return {
        "configuration": fields,
        "seed": seed,
        "data": data_fingerprint,
        "trainable": trainable,
        "revision": RESULTS_REVISION,
    }
