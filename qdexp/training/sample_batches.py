"""Samples of a trained network in batches that are all of one size, timed.

So the first samples of a larger request are the same bytes: their last bits depend on how many
are made together, and nothing else on their number.
"""

# pyright: basic

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from qdexp.data.clip_files import Frames, frames_of
from qdexp.model.predictor import Prediction
from qdexp.training.course import parametrisation_of
from qdexp.training.opening import computing_device
from qdexp.training.sampling import Sampler
from qdexp.training.trained import Trained


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledBatch:
    """Some of the samples asked for.

    Args:
        first: The number of the first.
        latents: Of each (n, c, t, h, w), on the CPU.
        clips: The frames of each.
        codes: For every call of the network (n, tt, hh, ww, q).
        sampling_seconds: What the whole batch took, those included that were not asked for.
        decoding_seconds: Likewise.
    """

    first: int
    latents: Tensor
    clips: tuple[Frames, ...]
    codes: tuple[Tensor, ...]
    sampling_seconds: float
    decoding_seconds: float


def checkpoint_sampler(
    trained: Trained, latent_size: tuple[int, int, int], *, steps: int, eta: float, seed: int
) -> Sampler:
    """Returns what samples a trained network, on the device there is.

    Args:
        trained: The network.
        latent_size: Frames, rows and columns of a sample's latent.
        steps: Calls of the network for one sample.
        eta: DDIM's.
        seed: Which noise.
    """
    config = trained.configuration.replace(
        {"diffusion.sampling_steps": steps, "diffusion.sampling_eta": eta}
    )
    device = computing_device(config)
    sampler = Sampler.of(trained.model.to(device), config, parametrisation_of(config, device))
    return replace(sampler, shape=(config.model.latent_channels, *latent_size), seed=seed)


def sample_batches(
    sampler: Sampler,
    decode: Callable[[Tensor], Tensor],
    *,
    total: int,
    size: int,
    warm_up: bool = True,
) -> Iterator[SampledBatch]:
    """Yields the samples from 0 to `total`, made `size` at a time.

    Args:
        sampler: What makes them.
        decode: Latents to pixels.
        total: How many.
        size: Of every batch; what is made beyond `total` is dropped.
        warm_up: Whether an untimed call of the network and of the decoder comes before.
    """
    device = sampler.timesteps.device
    if warm_up:
        sampler.warm_up(size)
        decode(torch.zeros(1, *sampler.shape, device=device))
    for first in range(0, total, size):
        codes: list[Tensor] = []
        began = _moment(device)
        latents = sampler.sample(range(first, first + size), partial(_keep, codes))
        sampled = _moment(device)
        # One by one: the memory is one clip's, and no clip depends on its neighbours.
        pixels = [decode(each[None])[0] for each in latents]
        decoded = _moment(device)
        kept = min(size, total - first)
        yield SampledBatch(
            first=first,
            latents=latents[:kept].cpu(),
            clips=tuple(frames_of(each) for each in pixels[:kept]),
            codes=tuple(each[:kept].cpu() for each in codes),
            sampling_seconds=sampled - began,
            decoding_seconds=decoded - sampled,
        )


def time_batch(
    sampler: Sampler, decode: Callable[[Tensor], Tensor], *, size: int
) -> tuple[float, float]:
    """Returns the seconds that sampling and decoding a whole batch take; it is thrown away."""
    (batch,) = sample_batches(sampler, decode, total=size, size=size, warm_up=False)
    return batch.sampling_seconds, batch.decoding_seconds


def samples_file(latents: Sequence[Tensor], about: dict[str, Any], sampler: Sampler) -> bytes:
    """Returns a safetensors file of all samples, which says what they are.

    Its metadata is JSON under one key: of several the order would not be the same every time.

    Args:
        latents: Of every batch.
        about: What they are a function of.
        sampler: What made them.
    """
    device = sampler.timesteps.device
    facts = about | {
        "sampler": "few steps" if sampler.is_few_step else "ddim",
        "timesteps": sampler.steps,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "num_threads": torch.get_num_threads(),
        "qdexp": version("qdexp"),
    }
    return save({"latents": torch.cat(list(latents)).contiguous()}, {"qdexp": json.dumps(facts)})


def last_codes(batch: SampledBatch, number: int) -> Any:  # noqa: ANN401 - an array, or None
    """Returns the first code of every token (tt, hh, ww) of a sample's last step, if it has any."""
    codes = batch.codes[-1][number]
    return codes[..., 0].numpy() if codes.shape[-1] else None


def _keep(codes: list[Tensor], _: int, prediction: Prediction) -> None:
    codes.append(prediction.indices)


def _moment(device: torch.device) -> float:
    """Returns the time when the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
