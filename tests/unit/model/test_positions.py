"""Rotary positions: which pairs turn by what, and that only offsets count."""

# pyright: basic

import itertools

import pytest
import torch
from torch import Tensor

from qdexp.model.positions import pairs_of_axes, rotate, rotations

GRID = (2, 3, 5)
LIKE = torch.zeros((), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("head_dim", "pairs"),
    [(6, (1, 1, 1)), (7, (1, 1, 1)), (16, (4, 2, 2)), (64, (12, 10, 10)), (128, (22, 21, 21))],
)
def test_the_pairs_of_a_head_are_dealt_out_to_the_axes(
    head_dim: int, pairs: tuple[int, int, int]
) -> None:
    assert pairs_of_axes(head_dim) == pairs


def test_every_angle_is_its_axis_s_position_times_a_frequency() -> None:
    cosine, sine = rotations(GRID, 16, like=LIKE)
    frequencies = ([1, 0.1, 0.01, 0.001], [1, 0.01], [1, 0.01])

    for place in itertools.product(*map(range, GRID)):
        angles = [at * f for at, axis in zip(place, frequencies, strict=True) for f in axis]
        expected = torch.tensor(angles, dtype=torch.float64)
        torch.testing.assert_close(cosine[place], expected.cos(), rtol=0, atol=1e-15)
        torch.testing.assert_close(sine[place], expected.sin(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("head_dim", [6, 7, 16])
def test_a_score_depends_on_the_offset_between_two_places_only(head_dim: int) -> None:
    query, key = normal(head_dim), normal(head_dim, seed=1)
    everywhere = torch.stack([query, key]).expand(1, 6, 6, 6, 2, head_dim)
    turned = rotate(everywhere, rotations((6, 6, 6), head_dim, like=LIKE))[0]

    def score(at: tuple[int, int, int], offset: tuple[int, int, int]) -> Tensor:
        there = tuple(a + o for a, o in zip(at, offset, strict=True))
        return turned[*at, 0] @ turned[*there, 1]

    starts = [(0, 0, 0), (1, 0, 2), (3, 2, 1), (2, 2, 3)]
    for offset in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 3, 1)]:
        scores = torch.stack([score(at, offset) for at in starts])
        torch.testing.assert_close(scores, scores[:1].expand(4), rtol=0, atol=1e-13)
    by_axis = [score((1, 1, 1), offset) for offset in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]]
    assert len({round(each.item(), 6) for each in by_axis}) == 4


def test_rotating_keeps_lengths_and_the_odd_dimension() -> None:
    x = normal(2, *GRID, 3, 7)
    turned = rotate(x, rotations(GRID, 7, like=LIKE))

    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[..., -1], x[..., -1])
    assert torch.equal(turned[:, 0, 0, 0], x[:, 0, 0, 0])


def test_angles_are_never_narrower_than_float32_and_the_tokens_keep_their_type() -> None:
    x = normal(1, *GRID, 2, 16).bfloat16()
    rotation = rotations(GRID, 16, like=x)

    assert rotation.dtype == torch.float32
    assert rotations(GRID, 16, like=LIKE).dtype == torch.float64
    assert rotate(x, rotation).dtype == torch.bfloat16
