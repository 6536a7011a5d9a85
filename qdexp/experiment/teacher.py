"""The teacher that a distilled trial learns from: a trial of its own, derived from it."""

from qdexp.config.configuration import Configuration
from qdexp.experiment.identity import QUANTIZER_FIELDS

NETWORK_FIELDS = (
    "backbone", "backbone_path", "backbone_sha256",
    "classifier", "classifier_path", "classifier_sha256", "classifier_splits",
)  # fmt: skip
"""Fields of the evaluation that say how samples are measured."""


def teacher_configuration(student: Configuration) -> Configuration:
    """Returns the configuration of a student's teacher: the same network, trained unquantized.

    What does not act on the teacher has its default, so that one teacher serves students of all
    codebook sizes, numbers of steps and distillation settings.
    """
    default = Configuration().fields()
    diffusion = student.diffusion
    unused = (
        *QUANTIZER_FIELDS,
        "evaluation.num_samples",
        *(f"evaluation.{what}" for what in NETWORK_FIELDS),
        "diffusion.sampling_eta",
        "training.data_order",  # a twin shares its teacher, as all conditions of a seed do
    )
    return student.replace(
        {field: default[field] for field in unused}
        | {field: default[field] for field in default if field.startswith("distillation.")}
        | {
            "training.objective": "diffusion",
            "model.quantizer": "none",
            "diffusion.sampling_steps": min(
                default["diffusion.sampling_steps"], diffusion.max_step - diffusion.min_step + 1
            ),
        }
    )
