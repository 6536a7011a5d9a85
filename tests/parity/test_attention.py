"""Attention is that of public code: PyTorch's module, Wan's rotary positions, complex numbers."""

# pyright: basic

import itertools
from typing import get_args

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from torch import Tensor, nn

from qdexp.config.model_config import ModelConfig
from qdexp.model.attention import Attended, SelfAttention
from qdexp.model.positions import pairs_of_axes, rotate, rotations

CLIPS, FRAMES, ROWS, COLUMNS = 2, 3, 4, 5
WIDTH, HEADS = 32, 2
HEAD_DIM = WIDTH // HEADS
ATTENDED = get_args(Attended)
EXACT = {"rtol": 0, "atol": 1e-13}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def attention(attended: Attended, dropout: float = 0.0) -> SelfAttention:
    config = ModelConfig(hidden_dim=WIDTH, num_heads=HEADS, dropout=dropout)
    made = SelfAttention(config, attended).double()
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.copy_(0.5 * normal(*parameter.shape, seed=seed))
    return made


def reference(ours: SelfAttention) -> nn.MultiheadAttention:
    made = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        made.in_proj_weight.copy_(ours.qkv.weight)
        made.in_proj_bias.copy_(ours.qkv.bias)
        made.out_proj.weight.copy_(ours.out.weight)
        made.out_proj.bias.copy_(ours.out.bias)
    return made


def looped(x: Tensor, attended: Attended, mix: nn.Module) -> Tensor:
    """Mixes each sequence (n, d) by itself, the sequences being cut out one by one."""
    out = torch.empty_like(x)
    for clip in range(CLIPS):
        if attended == "all":
            out[clip] = mix(x[clip].reshape(-1, WIDTH)).reshape(FRAMES, ROWS, COLUMNS, WIDTH)
        elif attended == "space":
            for frame in range(FRAMES):
                mixed = mix(x[clip, frame].reshape(-1, WIDTH))
                out[clip, frame] = mixed.reshape(ROWS, COLUMNS, WIDTH)
        else:
            for row, column in itertools.product(range(ROWS), range(COLUMNS)):
                out[clip, :, row, column] = mix(x[clip, :, row, column])
    return out


class OneSequence(nn.Module):
    """PyTorch's multi-head attention of a sequence (n, d) to itself."""

    def __init__(self, inner: nn.MultiheadAttention) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x[None], x[None], x[None], need_weights=False)[0][0]


@pytest.mark.parametrize("attended", ATTENDED)
def test_attention_is_pytorchs_over_the_sequences_that_loops_cut_out(attended: Attended) -> None:
    ours = attention(attended)
    x = normal(CLIPS, FRAMES, ROWS, COLUMNS, WIDTH, seed=9)

    expected = looped(x, attended, OneSequence(reference(ours)))
    torch.testing.assert_close(ours(x), expected, **EXACT)


@pytest.mark.parametrize("attended", ATTENDED)
def test_the_gradients_are_pytorchs_too(attended: Attended) -> None:
    ours = attention(attended)
    theirs = reference(ours)
    x = normal(CLIPS, FRAMES, ROWS, COLUMNS, WIDTH, seed=9)
    weights = normal(*x.shape, seed=10)
    (ours(x) * weights).sum().backward()
    (looped(x, attended, OneSequence(theirs)) * weights).sum().backward()

    assert ours.qkv.weight.grad is not None
    torch.testing.assert_close(ours.qkv.weight.grad, theirs.in_proj_weight.grad, rtol=0, atol=1e-11)
    torch.testing.assert_close(ours.out.bias.grad, theirs.out_proj.bias.grad, rtol=0, atol=1e-11)


@pytest.mark.parametrize("attended", ATTENDED)
def test_rotary_attention_is_that_of_complex_numbers(attended: Attended) -> None:
    """Head by head, place by place: score = Re(q conj(k)) of queries and keys that were turned."""
    ours = attention(attended)
    x = normal(CLIPS, FRAMES, ROWS, COLUMNS, WIDTH, seed=9)
    grid = (FRAMES, ROWS, COLUMNS)

    places = torch.stack(torch.meshgrid(*map(torch.arange, grid), indexing="ij"), dim=-1)
    tagged = torch.cat([x, places.expand(CLIPS, *grid, 3)], dim=-1)
    mixed = looped_with_places(tagged, attended, ours)
    torch.testing.assert_close(ours(x, rotations(grid, HEAD_DIM, like=x)), mixed, **EXACT)


def looped_with_places(tagged: Tensor, attended: Attended, ours: SelfAttention) -> Tensor:
    x, places = tagged[..., :WIDTH], tagged[..., WIDTH:]
    out = torch.empty_like(x)
    for clip, frame, row, column in itertools.product(*map(range, x.shape[:4])):
        seen = {
            "all": (clip, slice(None), slice(None), slice(None)),
            "space": (clip, frame, slice(None), slice(None)),
            "time": (clip, slice(None), row, column),
        }[attended]
        here = (clip, frame, row, column)
        query, query_place = ours.qkv(x[here])[:WIDTH], places[here]
        around = ours.qkv(x[seen].reshape(-1, WIDTH))
        keys, values = around[:, WIDTH : 2 * WIDTH], around[:, 2 * WIDTH :]
        key_places = places[seen].reshape(-1, 3)
        heads: list[Tensor] = []
        for head in range(HEADS):
            part = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
            q = turned_complex(query[None, part], query_place[None])
            k = turned_complex(keys[:, part], key_places)
            scores = (q * k.conj()).real.sum(dim=-1) / HEAD_DIM**0.5
            heads.append(scores.softmax(dim=0) @ values[:, part])
        out[here] = ours.out(torch.cat(heads))
    return out


def turned_complex(x: Tensor, places: Tensor) -> Tensor:
    """Returns the pairs of `x` (n, e) as complex numbers, turned by their places (n, 3)."""
    half = x.shape[1] // 2
    angles = [
        places[:, axis, None] * 10_000 ** (-torch.arange(count, dtype=torch.float64) / count)
        for axis, count in enumerate(pairs_of_axes(x.shape[1]))
    ]
    angle = torch.cat(angles, dim=1)
    return torch.complex(x[:, :half], x[:, half:]) * torch.polar(torch.ones_like(angle), angle)


@pytest.mark.parametrize("head_dim", [6, 12, 16, 64, 128])
def test_the_angles_are_those_of_wan(head_dim: int) -> None:
    grid = (2, 3, 4)
    cosine, sine = rotations(grid, head_dim, like=torch.zeros((), dtype=torch.float64))
    wan = WanRotaryPosEmbed(head_dim, patch_size=(1, 1, 1), max_seq_len=8)
    wans_cosine, wans_sine = (each[0, :, 0, ::2] for each in wan(torch.zeros(1, 1, *grid)))

    # Wan's tables are float32.
    torch.testing.assert_close(cosine.flatten(0, 2).float(), wans_cosine, rtol=0, atol=1e-7)
    torch.testing.assert_close(sine.flatten(0, 2).float(), wans_sine, rtol=0, atol=1e-7)


def test_rotating_is_wans_but_for_the_order_of_the_dimensions() -> None:
    grid = (2, 3, 4)
    x = normal(1, *grid, HEADS, HEAD_DIM)
    rotation = rotations(grid, HEAD_DIM, like=x)
    interleaved = torch.stack(x.chunk(2, dim=-1), dim=-1)
    wans = torch.view_as_complex(interleaved.contiguous()) * torch.complex(*rotation)[:, :, :, None]

    turned = torch.stack(rotate(x, rotation).chunk(2, dim=-1), dim=-1)
    torch.testing.assert_close(turned, torch.view_as_real(wans), **EXACT)


@pytest.mark.parametrize("attended", ATTENDED)
def test_dropout_of_attention_is_drawn_in_training_only(attended: Attended) -> None:
    ours = attention(attended, dropout=0.5)
    x = normal(CLIPS, FRAMES, ROWS, COLUMNS, WIDTH, seed=9)
    torch.manual_seed(0)
    drawn = ours(x)

    torch.testing.assert_close(ours.eval()(x), attention(attended)(x), **EXACT)
    assert not torch.allclose(drawn, ours(x), atol=1e-3)
