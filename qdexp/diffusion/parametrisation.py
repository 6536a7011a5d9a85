"""What a network predicts of a noisy clip, and the clean clip that follows from it.

Axes: b clips of a batch, any axes of one clip.
"""

# pyright: basic

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qdexp.diffusion.schedule import NoiseSchedule


@dataclass(frozen=True, kw_only=True, eq=False)
class Parametrisation:
    """The meaning of a network's output: the clean clip, the noise, or v.

    With a = sqrt(alpha_bar_t), s = sqrt(1 - alpha_bar_t), x_t = a x_0 + s epsilon and
    v = a epsilon - s x_0 (Salimans and Ho, 2022, section 4 and appendix D).

    Args:
        schedule: The forward process.
        prediction_type: What the network predicts.

    Raises:
        ValueError: The noise is predicted and the last timestep is pure noise, of which no clean
            clip follows.
    """

    schedule: NoiseSchedule
    prediction_type: Literal["x0", "epsilon", "v"]

    def __post_init__(self) -> None:
        if self.prediction_type == "epsilon" and self.schedule.alphas_cumprod[-1] == 0:
            raise ValueError(
                "prediction_type: expected x0 or v where the last timestep is pure noise, found "
                "epsilon; its clean clip would be 0 / 0"
            )

    def x0_from_output(
        self,
        output: Float[Tensor, " b *clip"],
        x_t: Float[Tensor, " b *clip"],
        t: Int[Tensor, " b"],
    ) -> Float[Tensor, " b *clip"]:
        """Returns the clean clip that a network's output stands for, in float32 or wider.

        Args:
            output: The network's, for `x_t` and `t`; half precision where autocast is on.
            x_t: The noisy clip.
            t: Its timestep.
        """
        dtype = _at_least_float32(torch.promote_types(output.dtype, x_t.dtype))
        output, x_t = output.to(dtype), x_t.to(dtype)
        a, s = self.schedule.scales(t, x_t)
        match self.prediction_type:
            case "x0":
                return output
            case "epsilon":
                return (x_t - s * output) / a
            case "v":
                return a * x_t - s * output

    def target(
        self,
        x_0: Float[Tensor, " b *clip"],
        noise: Float[Tensor, " b *clip"],
        t: Int[Tensor, " b"],
    ) -> Float[Tensor, " b *clip"]:
        """Returns what the network should have predicted, in float32 or wider.

        Args:
            x_0: The clean clip.
            noise: What was added to it.
            t: The timestep at which it was.
        """
        dtype = _at_least_float32(x_0.dtype)
        x_0, noise = x_0.to(dtype), noise.to(dtype)
        a, s = self.schedule.scales(t, x_0)
        match self.prediction_type:
            case "x0":
                return x_0
            case "epsilon":
                return noise
            case "v":
                return a * noise - s * x_0


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
