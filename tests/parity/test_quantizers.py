"""Codebooks agree with those of `vector_quantize_pytorch`, step by step, from the same state."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from vector_quantize_pytorch.vector_quantize_pytorch import kmeans as their_kmeans

from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.gradient import GradientQuantizer
from qdexp.model.quantizers.kmeans import kmeans
from qdexp.model.quantizers.residual import ResidualQuantizer
from qdexp.model.quantizers.simvq import SimVQQuantizer
from tests.parity.quantizer_pairs import (
    BETA,
    CLOSE,
    DECAY,
    STEPS,
    THRESHOLD,
    TOKENS,
    D,
    K,
    assert_equal_averages,
    configured,
    copy_averages,
    drifting,
    gradients_of,
    library,
    tokens_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")

ESTIMATORS = pytest.mark.parametrize("estimator", ["straight_through", "rotation"])


def replaced_in(order: Tensor) -> Callable[[Tensor, int], Tensor]:
    """Their draw of replacements, with our order in place of theirs."""
    return lambda samples, num: samples[:, order[:num]]


@ESTIMATORS
@pytest.mark.parametrize("threshold", [0.0, THRESHOLD])
@pytest.mark.parametrize("kind", ["ema", "cosine"])
def test_moving_averages_agree_over_fifty_steps(
    kind: str, threshold: float, estimator: str
) -> None:
    uniform = TOKENS / K
    # Ours leaves the unit sphere by sqrt(d): the squared error grows by d.
    stretch = math.sqrt(D) if kind == "cosine" else 1.0
    theirs = library.VectorQuantize(
        dim=D,
        codebook_size=K,
        decay=DECAY,
        commitment_weight=BETA * stretch**2,
        threshold_ema_dead_code=threshold * uniform,
        use_cosine_sim=kind == "cosine",
        rotation_trick=estimator == "rotation",
    )
    theirs._codebook.embed.copy_(drifting(0)[None, :K])
    if kind == "cosine":
        theirs._codebook.embed /= theirs._codebook.embed.norm(dim=-1, keepdim=True)
    theirs._codebook.embed_avg.copy_(theirs._codebook.embed)
    theirs._codebook.reset_cluster_size = uniform
    ours = build_quantizer(configured(kind, estimator, dead_code_threshold=threshold), D)
    copy_averages(ours, theirs)
    replaced = 0
    for step in range(STEPS):
        z = tokens_of(
            step, ours.get_buffer("codebook"), unit_length=kind == "cosine"
        ).requires_grad_()
        order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(step))
        theirs._codebook.replace_sample_fn = replaced_in(order)
        found = ours(z)
        z_q, indices, loss = theirs(z[None])

        assert torch.equal(found.indices[:, 0], indices[0])
        torch.testing.assert_close(found.z_q, stretch * z_q[0], **CLOSE)
        torch.testing.assert_close(found.vq_loss, loss.squeeze(), **CLOSE)
        torch.testing.assert_close(
            gradients_of(found.z_q, found.vq_loss, z, seed=step),
            gradients_of(z_q, loss, z, seed=step, scale=stretch),
            **CLOSE,
        )
        size = DECAY * ours.get_buffer("cluster_size") + (1 - DECAY) * found.statistics.counts[0]
        ours.update(found.statistics, order)
        replaced += int((size < threshold * uniform).sum())
        assert_equal_averages(ours, theirs)
    assert (replaced > 0) == (threshold > 0)


@ESTIMATORS
def test_a_codebook_with_a_loss_agrees_over_fifty_steps_of_adam(estimator: str) -> None:
    theirs = library.VectorQuantize(
        dim=D,
        codebook_size=K,
        commitment_weight=1.0,
        learnable_codebook=True,
        ema_update=False,
        rotation_trick=estimator == "rotation",
    )
    # Their loss has one weight for both of its gradients.
    ours = build_quantizer(configured("gradient", estimator, commitment_cost=1.0), D)
    assert isinstance(ours, GradientQuantizer)
    ours.codebook.data.copy_(theirs._codebook.embed[0])
    optimizers = [torch.optim.Adam(each.parameters(), lr=1e-2) for each in (ours, theirs)]
    for step in range(STEPS):
        z = tokens_of(step, ours.codebook).requires_grad_()
        found = ours(z)
        z_q, indices, loss = theirs(z[None])

        assert torch.equal(found.indices[:, 0], indices[0])
        torch.testing.assert_close(
            gradients_of(found.z_q, found.vq_loss, z, seed=step),
            gradients_of(z_q, loss, z, seed=step),
            **CLOSE,
        )
        for optimizer, trained in zip(optimizers, (found.vq_loss, loss.squeeze()), strict=True):
            optimizer.zero_grad()
            trained.backward()
            optimizer.step()
        torch.testing.assert_close(ours.codebook, theirs._codebook.embed[0], **CLOSE)


@ESTIMATORS
def test_simvq_agrees_over_fifty_steps_of_adam(estimator: str) -> None:
    theirs = library.SimVQ(
        dim=D,
        codebook_size=K,
        rotation_trick=estimator == "rotation",
        input_to_quantize_commit_loss_weight=BETA,
    )
    ours = build_quantizer(configured("simvq", estimator), D)
    assert isinstance(ours, SimVQQuantizer)
    ours.frozen_codebook.copy_(theirs.frozen_codebook)
    ours.transform.load_state_dict(theirs.code_transform.state_dict())
    optimizers = [torch.optim.Adam(each.parameters(), lr=1e-2) for each in (ours, theirs)]
    for step in range(STEPS):
        z = tokens_of(step, ours.codes()).requires_grad_()
        found = ours(z)
        z_q, indices, loss = theirs(z[None])

        assert torch.equal(found.indices[:, 0], indices[0])
        torch.testing.assert_close(found.z_q, z_q[0], **CLOSE)
        torch.testing.assert_close(found.vq_loss, loss, **CLOSE)
        torch.testing.assert_close(
            gradients_of(found.z_q, found.vq_loss, z, seed=step),
            gradients_of(z_q, loss, z, seed=step),
            **CLOSE,
        )
        for optimizer, trained in zip(optimizers, (found.vq_loss, loss), strict=True):
            optimizer.zero_grad()
            trained.backward()
            optimizer.step()
        torch.testing.assert_close(ours.codes(), theirs.codebook, **CLOSE)


def test_residual_codes_agree_over_fifty_steps() -> None:
    theirs = library.ResidualVQ(
        dim=D,
        num_quantizers=3,
        codebook_size=K,
        decay=DECAY,
        commitment_weight=BETA,
        rotation_trick=False,
    )
    ours = build_quantizer(configured("ema", codes_per_token=3), D)
    assert isinstance(ours, ResidualQuantizer)
    pairs = list(zip(ours.quantizers, theirs.layers, strict=True))
    codebooks = [our_layer.get_buffer("codebook") for our_layer, _ in pairs]
    for number, (our_layer, their_layer) in enumerate(pairs):
        their_layer._codebook.embed.copy_(drifting(number)[None, :K] / 2**number)
        their_layer._codebook.embed_avg.copy_(their_layer._codebook.embed)
        copy_averages(our_layer, their_layer)
    for step in range(STEPS):
        z = tokens_of(step, *codebooks).requires_grad_()
        found = ours(z)
        z_q, indices, losses = theirs(z[None])

        assert torch.equal(found.indices, indices[0])
        torch.testing.assert_close(found.z_q, z_q[0], **CLOSE)
        torch.testing.assert_close(found.vq_loss, losses.sum(), **CLOSE)
        through, committed = gradients_of(found.z_q, found.vq_loss, z, seed=step)
        their_through, their_committed = gradients_of(z_q, losses.sum(), z, seed=step)
        torch.testing.assert_close(committed, their_committed, **CLOSE)
        # They pass the gradient once for each code of a token, we once for their sum.
        torch.testing.assert_close(3 * through, their_through, **CLOSE)
        ours.update(found.statistics, torch.arange(TOKENS))
        for our_layer, their_layer in pairs:
            assert_equal_averages(our_layer, their_layer)


@pytest.mark.parametrize("is_spherical", [False, True])
def test_clusters_agree(is_spherical: bool) -> None:  # noqa: FBT001
    tokens, start = drifting(0), drifting(0)[:K]
    if is_spherical:
        tokens, start = (x / x.norm(dim=1, keepdim=True) for x in (tokens, start))
    expected, _ = their_kmeans(
        tokens[None],
        K,
        num_iters=10,
        use_cosine_sim=is_spherical,
        sample_fn=lambda samples, num: samples[:, :num],
    )
    torch.testing.assert_close(
        kmeans(tokens, start, is_spherical=is_spherical), expected[0], **CLOSE
    )
