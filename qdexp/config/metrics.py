"""What each metric is: its unit, its direction, and the fields that enter its definition.

Two conditions can be compared on a metric only if no factor that separates them is among those
fields: the number would change its meaning together with its value.
"""

from dataclasses import dataclass
from typing import Literal

from qdexp.errors import ConfigurationError, nearest

Direction = Literal["lower", "higher", "neither"]

_DATA = ("data.*",)
_RANGE = (
    "diffusion.min_step",
    "diffusion.max_step",
    "diffusion.beta_schedule",
    "diffusion.num_train_timesteps",
)
_VQ = (
    "model.commitment_cost",
    "model.embedding_dim",
    "model.quantizer",
    "model.quantizer_placement",
    "model.codes_per_token",
    "model.entropy_loss_weight",
)
_PREDICTED = ("training.objective", "diffusion.prediction_type", "model.dropout")
_HELD_OUT = (
    *_DATA,
    "evaluation.num_clips",
    "evaluation.num_levels",
    "diffusion.num_train_timesteps",  # few timesteps cannot hit the noise levels
    "training.objective",  # a student is made for a few timesteps of its own
)
_SAMPLED = (*_DATA, "evaluation.num_samples")
_CURVE = (
    *_DATA,
    *_RANGE,  # a mean over the levels of the trial's own range
    "training.objective",
    "evaluation.curve_clips",
    "evaluation.curve_levels",
    "evaluation.num_levels",
)
_BATCH = (*_DATA, "training.batch_size", "training.gradient_accumulation_steps", "model.patch_size")
_COUNTED = (
    *_HELD_OUT,
    "evaluation.codebook_tokens",
    "model.patch_size",
    "model.codes_per_token",
    "model.quantizer_placement",
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trial measures.

    Args:
        name: Its dotted name.
        unit: Its unit, empty for a ratio or a count without one.
        direction: Which values are good; `neither` cannot be ranked.
        defined_by: Configuration fields (``section.*`` for a whole section) in its definition.
        description: One sentence for tables and reports.
    """

    name: str
    unit: str
    direction: Direction
    defined_by: tuple[str, ...]
    description: str

    def is_defined_by(self, field: str) -> bool:
        """Tells whether varying `field` changes what this metric means."""
        section = field.partition(".")[0] + ".*"
        return field in self.defined_by or section in self.defined_by


def _metric(
    name: str, direction: Direction, defined_by: tuple[str, ...], description: str, unit: str = ""
) -> Metric:
    return Metric(
        name=name, unit=unit, direction=direction, defined_by=defined_by, description=description
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric(
            "eval.denoising_loss",
            "lower",
            _HELD_OUT,
            "Mean squared error of pred_x0 on held-out clips, over noise levels even in log-SNR "
            "inside the trained range.",
        ),
        _metric(
            "eval.quantized_loss",
            "lower",
            _HELD_OUT,
            "The same through the codes, also where the quantizer is placed at the output.",
        ),
        _metric(
            "eval.unquantized_loss",
            "lower",
            _HELD_OUT,
            "The same with the quantizer bypassed.",
        ),
        _metric(
            "eval.pixel_error",
            "lower",
            _HELD_OUT,
            "Mean squared error of the decoded pred_x0, pixels in 0..1.",
        ),
        _metric(
            "eval.kernel_distance",
            "lower",
            _SAMPLED,
            "Unbiased squared kernel distance (degree 3) between samples and training clips, on "
            "principal components of pooled pixels; it can be below 0.",
        ),
        _metric(
            "eval.curve_denoising_loss",
            "lower",
            _CURVE,
            "eval.denoising_loss on a small fixed subset of clips and levels, during training.",
        ),
        _metric(
            "eval.curve_unquantized_loss",
            "lower",
            _CURVE,
            "The same with the quantizer bypassed.",
        ),
        _metric(
            "eval.codebook_usage",
            "higher",
            _COUNTED,
            "Fraction of the codes used, over a fixed budget of held-out tokens.",
        ),
        _metric(
            "eval.entropy",
            "higher",
            _COUNTED,
            "Entropy of the code distribution, over the same tokens.",
            "nats",
        ),
        _metric(
            "eval.perplexity",
            "higher",
            _COUNTED,
            "Exponential of the code distribution's entropy, over the same tokens.",
            "codes",
        ),
        _metric(
            "train.loss",
            "lower",
            (*_DATA, *_RANGE, *_VQ, *_PREDICTED, "training.quantization_weight"),
            "denoising_loss (or dmd_loss) + quantization_weight x vq_loss, on training batches.",
        ),
        _metric(
            "train.denoising_loss",
            "lower",
            (*_DATA, *_RANGE, *_PREDICTED),
            "Mean squared error of the prediction on training batches, at sampled timesteps.",
        ),
        _metric(
            "train.vq_loss",
            "lower",
            (*_DATA, *_RANGE, *_VQ),
            "Weighted commitment, codebook and entropy losses on training batches.",
        ),
        _metric(
            "train.commitment_loss",
            "lower",
            (*_DATA, *_RANGE, *_VQ),
            "Mean squared distance of tokens to their codes, which moves the tokens.",
        ),
        _metric(
            "train.codebook_loss",
            "lower",
            (*_DATA, *_RANGE, *_VQ),
            "The same distance where it moves the codes; 0 for moving averages.",
        ),
        _metric(
            "train.dmd_loss",
            "neither",
            (),
            "Half the mean square of DMD's normalised gradient; it measures no progress.",
        ),
        _metric(
            "train.fake_loss",
            "neither",
            (),
            "The fake score's denoising loss on the student's samples.",
        ),
        _metric(
            "train.regression_loss",
            "neither",
            (),
            "Mean squared distance to the teacher's sample of the same noise; 0 in steps without.",
        ),
        _metric(
            "train.codebook_usage",
            "higher",
            (*_BATCH, *_RANGE, "model.num_embeddings"),
            "Fraction of the codes used by one training batch; bounded by its tokens.",
        ),
        _metric(
            "train.perplexity",
            "higher",
            (*_BATCH, *_RANGE),
            "Perplexity of one training batch's codes; bounded by its tokens.",
            "codes",
        ),
        _metric("cost.parameters", "neither", (), "Trained parameters and code values.", "numbers"),
        _metric(
            "cost.step_seconds",
            "lower",
            (),
            "Median time of an optimizer step.",
            "s",
        ),
        _metric("cost.train_seconds", "lower", (), "Time spent in optimizer steps.", "s"),
        _metric("cost.eval_seconds", "lower", (), "Time spent in evaluation.", "s"),
        _metric("cost.peak_memory_bytes", "lower", (), "Greatest memory of the process.", "B"),
    )
}


def metric(name: str) -> Metric:
    """Returns the declaration of a metric.

    Raises:
        ConfigurationError: There is no such metric; the message names the nearest.
    """
    if name not in METRICS:
        raise ConfigurationError(f"expected a metric, found '{name}'{nearest(name, METRICS)}")
    return METRICS[name]
