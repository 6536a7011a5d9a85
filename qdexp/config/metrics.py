"""What each metric is: its unit, its direction, and the fields that enter its definition.

Two conditions can be compared on a metric only if no factor that separates them is among those
fields: the number would change its meaning together with its value. Measures of samples are
families of metrics (`sample_metrics`): `find` knows both, so nobody else asks which a name is.
"""

from collections.abc import Iterable

from qdexp.config import sample_metrics
from qdexp.config.configuration import Configuration
from qdexp.config.metric import Direction, Metric
from qdexp.errors import ConfigurationError, nearest

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


def _metric(
    name: str, direction: Direction, defined_by: tuple[str, ...], description: str, unit: str = ""
) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        direction=direction,
        defined_by=defined_by,
        description=description,
        is_timing=unit in ("s", "B"),
    )


SPEED = "eval.fps"

_METRICS: dict[str, Metric] = {
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
            "Mean squared error of pred_x0 through the codes, also where the quantizer is placed "
            "at the output.",
        ),
        _metric(
            "eval.unquantized_loss",
            "lower",
            _HELD_OUT,
            "Mean squared error of pred_x0 with the quantizer bypassed.",
        ),
        _metric(
            "eval.pixel_error",
            "lower",
            _HELD_OUT,
            "Mean squared error of the decoded pred_x0, pixels in 0..1.",
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
            "eval.curve_denoising_loss with the quantizer bypassed.",
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
            "Mean squared distance of tokens to their codes, which moves the codes; 0 for moving "
            "averages.",
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
        Metric(
            name=SPEED,
            unit="frames/s",
            direction="higher",
            defined_by=_DATA,
            description="Decoded frames that sampling makes in a second, the median over full "
            "batches after a warm-up; a timing.",
            words="sampling speed",
            is_timing=True,
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


def find(name: str) -> Metric | None:
    """Returns the declaration of a metric, or None if there is no such metric."""
    return _METRICS.get(name) or sample_metrics.declared(name)


def metric(name: str) -> Metric:
    """Returns the declaration of a metric.

    Raises:
        ConfigurationError: There is no such metric; the message names the nearest.
    """
    found = find(name)
    if found is None:
        raise ConfigurationError(f"expected a metric, found '{name}'{nearest(name, names())}")
    return found


def names() -> tuple[str, ...]:
    """Returns every name that a spec may have for a metric, a family's short one included."""
    costs = [name for name in _METRICS if name.startswith("cost.")]
    return (*(name for name in _METRICS if name not in costs), *sample_metrics.FAMILIES, *costs)


def resolve(name: str, config: Configuration) -> str:
    """Returns the name under which a configuration measures a metric.

    Raises:
        ConfigurationError: There is no such metric, or the configuration does not measure it; the
            message says what to set.
    """
    if metric(name).name not in _METRICS:
        return sample_metrics.resolve(name, config)
    if name == SPEED:
        sample_metrics.check_sampled(name, config)
    return name


def check_measured(name: str, config: Configuration) -> None:
    """Accepts a metric of which a configuration has all that it takes.

    Raises:
        ConfigurationError: Weights are missing; the message says how to get them.
    """
    family = sample_metrics.FAMILIES.get(sample_metrics.family_of(name))
    problem = sample_metrics.missing_network(family.by, config) if family else None
    if problem:
        raise ConfigurationError(f"expected what {name} is measured by, found none: {problem}")


def in_order(measured: Iterable[str]) -> list[str]:
    """Returns measured names as tables list them: as declared, then those of no declaration."""
    order = {name: place for place, name in enumerate(names())}
    families = sorted(sample_metrics.FAMILIES, key=len, reverse=True)

    def place(name: str) -> tuple[int, str]:
        short = next((each for each in families if name.startswith(each + ".")), name)
        return order.get(short, len(order)), name

    return sorted(measured, key=place)
