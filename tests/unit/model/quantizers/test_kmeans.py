"""Clusters at which a codebook can start."""

import pytest
import torch
from torch import Tensor

from qdexp.config.model_config import ModelConfig
from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.code_search import nearest_codes
from qdexp.model.quantizers.kmeans import kmeans

D = 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def error(tokens: Tensor, codes: Tensor) -> float:
    return (tokens - codes[nearest_codes(tokens, codes)]).square().sum().item()


def test_no_iteration_raises_the_error() -> None:
    tokens = normal(300, D)
    errors = [error(tokens, kmeans(tokens, tokens[:8], num_iterations=n)) for n in range(8)]

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]


def test_well_separated_clusters_are_found() -> None:
    centres = 100 * normal(5, D)
    tokens = centres.repeat(20, 1) + 0.01 * normal(100, D, seed=1)

    torch.testing.assert_close(kmeans(tokens, tokens[:5]), centres, rtol=0, atol=0.02)


def test_a_code_without_tokens_stays() -> None:
    far = torch.full((1, D), 1e3)

    assert torch.equal(kmeans(normal(50, D), torch.cat([normal(4, D, seed=1), far]))[4:], far)


@pytest.mark.parametrize("kind", ["ema", "cosine"])
def test_a_codebook_starts_at_clusters_as_if_each_had_been_seen(kind: str) -> None:
    vq = build_quantizer(ModelConfig.model_validate({"quantizer": kind, "num_embeddings": 8}), D)
    tokens = normal(300, D) + 1
    vq.cluster(tokens, torch.arange(300), 2.5)
    codebook, seen = vq.get_buffer("codebook"), vq(tokens)

    units = tokens / tokens.norm(dim=1, keepdim=True) if kind == "cosine" else tokens
    expected = kmeans(units, units[:8], is_spherical=kind == "cosine")
    torch.testing.assert_close(codebook, expected)
    torch.testing.assert_close(vq.get_buffer("code_sums"), 2.5 * codebook)
    assert (vq.get_buffer("cluster_size") == 2.5).all()
    assert (seen.statistics.counts > 0).all()


@pytest.mark.parametrize("kind", ["ema", "cosine"])
def test_with_fewer_tokens_than_codes_the_last_codes_stay(kind: str) -> None:
    vq = build_quantizer(ModelConfig.model_validate({"quantizer": kind, "num_embeddings": 8}), D)
    vq.initialise(lambda _, shape: 100 * normal(*shape, seed=1), 1.0)
    before = vq.get_buffer("codebook").clone()
    tokens = before[:3] * 1.01
    vq.cluster(tokens, torch.arange(3), 1.0)

    torch.testing.assert_close(vq.get_buffer("codebook")[3:], before[3:])


@pytest.mark.parametrize("kind", ["gradient", "simvq", "fsq", "lfq", "none"])
def test_other_kinds_begin_in_their_own_way(kind: str) -> None:
    vq = build_quantizer(ModelConfig.model_validate({"quantizer": kind, "num_embeddings": 8}), D)
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    vq.cluster(normal(50, D), torch.arange(50), 1.0)

    assert all(torch.equal(value, before[name]) for name, value in vq.state_dict().items())
