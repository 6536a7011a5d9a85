"""A classifier of moving digits, trained on the spot from the images that training clips show.

Its label y of a clip x is a digit that the clip shows: p(y|x) is even over those. It sees five
frames of a clip, each alone, and takes the mean of what it says of them. Trained in one thread from
fixed seeds, it is the same network for every trial of an experiment, and is never measured on an
image that it was trained on unless a clip shows it.
Axes: n images or clips, f frames, h rows, w columns.
"""

# pyright: basic

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from qdexp.config.data_config import DataConfig
from qdexp.data.moving_digits import NO_DIGIT, make_clips

DIGITS = 10
SIDE = 32
"""Rows and columns that an image is averaged down to: a digit then is at least 10 of them high."""

FRAMES = 5
"""Frames of a clip that are looked at, evenly spaced, the first and the last among them."""

NUM_IMAGES, BATCH, EPOCHS = 4000, 64, 8
PEAK_RATE = 6e-3


class DigitClassifier(nn.Module):
    """A small convolutional network on single images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(3, 16),
            nn.MaxPool2d(2),
            *_convolution(16, 32),
            nn.MaxPool2d(2),
            *_convolution(32, 64),
            *_convolution(64, 64),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(64, DIGITS),
        )

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 10"]:
        """Returns logits of the digits that images in 0..1 show."""
        return self.layers(functional.interpolate(images, size=(SIDE, SIDE), mode="area"))

    @torch.no_grad()
    def probabilities(self, clips: Float[Tensor, "n 3 f h w"]) -> Float[Tensor, "n 10"]:
        """Returns p(y|x) of clips in 0..1, which are clipped to that."""
        frames = torch.linspace(0, clips.shape[2] - 1, FRAMES).round().long()
        images = clips.float().cpu().clamp(0, 1)[:, :, frames].transpose(1, 2)
        return self(images.flatten(0, 1)).softmax(dim=1).unflatten(0, (-1, FRAMES)).mean(dim=1)


def shown(labels: Int64[Tensor, "n digits"]) -> Float[Tensor, "n 10"]:
    """Returns what p(y|x) should be: even over the digits that a clip shows."""
    padded = labels.where(labels != NO_DIGIT, DIGITS)
    found = torch.zeros(len(labels), DIGITS + 1).scatter_(1, padded, 1.0)[:, :DIGITS]
    return found / found.sum(dim=1, keepdim=True)


def digit_classifier(data: DataConfig) -> DigitClassifier:
    """Returns the classifier for clips of moving digits; trained once in a process."""
    return _trained(data.height, data.width, data.seed)


@cache
def _trained(height: int, width: int, seed: int) -> DigitClassifier:
    still = DataConfig(num_frames=1, height=height, width=width, seed=seed)
    with _alone():
        images, labels = _images(still)
        model = DigitClassifier()
        _train(model, images, shown(labels))
    return model.eval()


def _images(data: DataConfig) -> tuple[Float[Tensor, "n 3 h w"], Int64[Tensor, "n digits"]]:
    """Returns the first frames of clips of training digits, at the size of the network's own."""
    images: list[Tensor] = []
    labels: list[Tensor] = []
    for part in torch.arange(NUM_IMAGES).split(500):
        clips = make_clips(data, "train", range(int(part[0]), int(part[-1]) + 1))
        pixels = torch.from_numpy(clips.frames[:, :, 0]).float() / 255
        images.append(functional.interpolate(pixels, size=(SIDE, SIDE), mode="area"))
        labels.append(torch.from_numpy(clips.labels))
    return torch.cat(images), torch.cat(labels)


def _train(
    model: DigitClassifier, images: Float[Tensor, "n 3 h w"], target: Float[Tensor, "n 10"]
) -> None:
    optimizer = torch.optim.Adam(model.parameters())
    order = torch.cat([torch.randperm(len(images)) for _ in range(EPOCHS)]).split(BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=len(order))
    for rows in order:
        loss = functional.cross_entropy(model(images[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@contextmanager
def _alone() -> Iterator[None]:
    """Computes from a fixed seed in one thread, and leaves both as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)


def _convolution(channels: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
