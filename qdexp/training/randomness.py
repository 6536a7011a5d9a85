"""All randomness, as a function of (seed, stream, key), never as a state.

So a resumed trial needs no saved generator, and the conditions of one seed see the same clips in
the same order, the same noise, the same timestep quantiles and equal initial weights: they are
paired by construction (common random numbers).

Numbers are drawn one after the other from NumPy's Philox, on the CPU, whatever the device: the
beginning of a long draw is the short draw, and no draw depends on the number of threads.
"""

# pyright: basic

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Stream = Literal[
    "codebook",
    "codebook_start",
    "data_order",
    "dead_codes",
    "distillation_call",
    "distillation_noise",
    "distillation_timestep",
    "dropout",
    "evaluation_noise",
    "noise",
    "sampling_noise",
    "timestep",
    "weights",
]


def derived_seed(seed: int, stream: Stream, *key: int | str) -> int:
    """Returns 128 bits that belong to a seed, a stream, and a key such as the step."""
    text = "/".join(str(part) for part in (seed, stream, *key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def generator(seed: int, stream: Stream, *key: int | str) -> np.random.Generator:
    """Returns a generator of its own for a seed, a stream, and a key such as the step."""
    return np.random.Generator(np.random.Philox(key=derived_seed(seed, stream, *key)))


def clip_indices(seed: int, *, step: int, batch: int, num_clips: int, order: int = 0) -> Tensor:
    """Returns the clips of an optimizer step: each epoch is a permutation, read on without gaps.

    Args:
        seed: The trial's seed.
        step: The optimizer step, from 0.
        batch: Clips in one optimizer step.
        num_clips: Clips in all.
        order: Which of the orders that belong to the seed.
    """
    which = (order,) if order else ()  # 0 is the one that there was before there were others
    positions = np.arange(step * batch, (step + 1) * batch)
    orders = {
        epoch: generator(seed, "data_order", *which, int(epoch)).permutation(num_clips)
        for epoch in np.unique(positions // num_clips)
    }
    return torch.tensor([int(orders[p // num_clips][p % num_clips]) for p in positions])


def noise(seed: int, *, step: int, shape: tuple[int, ...]) -> Tensor:
    """Returns the noise of an optimizer step."""
    return _normal(generator(seed, "noise", step), shape)


def evaluation_noise(*, clip: int, shape: tuple[int, ...]) -> Tensor:
    """Returns the noise of a held-out clip: the same at every level, for every trial and seed."""
    return _normal(generator(0, "evaluation_noise", clip), shape)


def sampling_noise(seed: int, *, clip: int, call: int, shape: tuple[int, ...]) -> Tensor:
    """Returns the noise that a sample starts from (call 0) or gets later.

    The seed is not the trial's: the samples of all trials have that of seed 0.
    """
    return _normal(generator(seed, "sampling_noise", clip, call), shape)


def timesteps(seed: int, *, step: int, batch: int, trained: tuple[int, int]) -> Tensor:
    """Returns the timesteps of an optimizer step, uniform over a range.

    They are quantiles mapped to the range, so that conditions with other ranges share quantiles.

    Args:
        seed: The trial's seed.
        step: The optimizer step, from 0.
        batch: Clips in one optimizer step.
        trained: Least and greatest timestep, both inclusive.
    """
    return _uniform(generator(seed, "timestep", step), batch, trained)


def distillation_noise(seed: int, *, key: str, shape: tuple[int, ...]) -> Tensor:
    """Returns the noise of a student's call, or of its judgement, under a name of its own."""
    return _normal(generator(seed, "distillation_noise", key), shape)


def distillation_timesteps(seed: int, *, key: str, batch: int, judged: tuple[int, int]) -> Tensor:
    """Returns the timesteps at which a batch of samples is judged, uniform over a range."""
    return _uniform(generator(seed, "distillation_timestep", key), batch, judged)


def student_call(seed: int, *, key: str, num_calls: int) -> int:
    """Returns which of a student's calls is trained on a batch, from 0."""
    return int(generator(seed, "distillation_call", key).random() * num_calls)


def initial_values(seed: int, *, name: str, shape: tuple[int, ...]) -> Tensor:
    """Returns standard normal numbers that belong to a parameter's name and shape."""
    return _normal(generator(seed, "weights", name, *shape), shape)


def initial_codes(seed: int, *, codebook: int, shape: tuple[int, int]) -> Tensor:
    """Returns standard normal codes; a smaller codebook is the beginning of a larger one."""
    return _normal(generator(seed, "codebook", shape[1], *[codebook] * (codebook > 0)), shape)


def clustered_order(seed: int, *, num_tokens: int) -> Tensor:
    """Returns the order in which the first tokens of all start a codebook's clusters."""
    return torch.from_numpy(generator(seed, "codebook_start").permutation(num_tokens))


def replacement_order(seed: int, *, step: int, num_tokens: int) -> Tensor:
    """Returns the order in which a step's tokens replace dead codes: the same for all codebooks."""
    return torch.from_numpy(generator(seed, "dead_codes", step).permutation(num_tokens))


@contextmanager
def dropout_masks(seed: int, *, key: int | str, rank: int, device: torch.device) -> Generator[None]:
    """Makes the dropout inside a function of seed, key and process, and leaves no trace of it.

    PyTorch's dropout reads the global generator: it is seeded inside, and put back after.

    Args:
        seed: The trial's seed.
        key: The optimizer step, or the name of another update.
        rank: The process, of those that share a training.
        device: Where dropout happens.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        keys = (key, rank) if rank else (key,)
        torch.manual_seed(derived_seed(seed, "dropout", *keys) % 2**63)
        yield


def _normal(source: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(source.standard_normal(shape, dtype=np.float32))


def _uniform(source: np.random.Generator, count: int, between: tuple[int, int]) -> Tensor:
    """Returns integers between two bounds, both inclusive, by way of quantiles."""
    least, greatest = between
    quantiles = source.random(count)
    return torch.from_numpy(least + np.floor(quantiles * (greatest - least + 1)).astype(np.int64))
