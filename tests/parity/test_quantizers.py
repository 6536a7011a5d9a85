"""The quantizers agree with `vector_quantize_pytorch`, step by step, from the same state."""

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
import vector_quantize_pytorch
from torch import Tensor
from vector_quantize_pytorch import lookup_free_quantization
from vector_quantize_pytorch.vector_quantize_pytorch import kmeans as their_kmeans

from qdexp.config.model_config import ModelConfig, fsq_levels
from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.fsq import FSQQuantizer
from qdexp.model.quantizers.gradient import GradientQuantizer
from qdexp.model.quantizers.kmeans import kmeans
from qdexp.model.quantizers.lfq import LFQQuantizer
from qdexp.model.quantizers.moving_average import MovingAverageQuantizer
from qdexp.model.quantizers.quantization import Quantizer
from qdexp.model.quantizers.residual import ResidualQuantizer
from qdexp.model.quantizers.simvq import SimVQQuantizer

library: Any = vector_quantize_pytorch
"""Its types do not hold for its own attributes."""

STEPS, TOKENS, K, D = 50, 600, 64, 16
MARGIN = 2e-6
BETA, DECAY, THRESHOLD = 0.25, 0.9, 0.5
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-5}
"""Of numbers greater than 1, as sums of many tokens are, it is the relative difference."""

ESTIMATORS = pytest.mark.parametrize("estimator", ["straight_through", "rotation"])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drifting(step: int, count: int = TOKENS) -> Tensor:
    """Tokens around ten centres that drift, so that codes are used unevenly and some die."""
    centres = normal(10, D, seed=0) + step / STEPS * normal(10, D, seed=1)
    return 0.5 * centres[torch.arange(count) % 10] + 0.15 * normal(count, D, seed=100 + step)


def tokens_of(step: int, *codebooks: Tensor, unit_length: bool = False) -> Tensor:
    """The first tokens whose nearest codes float32 can tell from the next best.

    Of two codes at the same distance, up to rounding, neither library's choice is wrong.
    """
    tokens = drifting(step, TOKENS + 50)
    left, is_decided = tokens.double(), torch.ones(len(tokens), dtype=torch.bool)
    if unit_length:
        left = left / left.norm(dim=1, keepdim=True)
    for codebook in codebooks:
        distances = torch.cdist(left, codebook.detach().double()).square()
        nearest, next_best = distances.topk(2, dim=1, largest=False).values.unbind(dim=1)
        is_decided &= next_best - nearest > MARGIN
        left = left - codebook[distances.argmin(dim=1)]
    assert is_decided.sum() >= TOKENS
    return tokens[is_decided][:TOKENS]


def configured(kind: str, estimator: str = "straight_through", **fields: float) -> ModelConfig:
    return ModelConfig.model_validate(
        {
            "quantizer": kind,
            "gradient_estimator": estimator,
            "num_embeddings": K,
            "commitment_cost": BETA,
            "ema_decay": DECAY,
        }
        | fields
    )


def copy_averages(ours: Quantizer, theirs: Any) -> None:  # noqa: ANN401 - see `library`
    assert isinstance(ours, MovingAverageQuantizer)
    ours.codebook.copy_(theirs._codebook.embed[0])
    ours.code_sums.copy_(theirs._codebook.embed_avg[0])
    ours.cluster_size.copy_(theirs._codebook.cluster_size[0])


def assert_equal_averages(ours: Quantizer, theirs: Any) -> None:  # noqa: ANN401 - see `library`
    assert isinstance(ours, MovingAverageQuantizer)
    torch.testing.assert_close(ours.codebook, theirs._codebook.embed[0], **CLOSE)
    torch.testing.assert_close(ours.code_sums, theirs._codebook.embed_avg[0], **CLOSE)
    torch.testing.assert_close(ours.cluster_size, theirs._codebook.cluster_size[0], **CLOSE)


def gradients_of(
    z_q: Tensor, loss: Tensor, z: Tensor, *, seed: int, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of an arbitrary function of the output, and of the loss.

    The loss is a mean: its gradient is multiplied by what it divides by, lest it is all rounding.
    """
    weights = normal(*z_q.shape[-2:], seed=seed)
    through = torch.autograd.grad((scale * z_q * weights).sum(), z, retain_graph=True)[0]
    return through, torch.autograd.grad(z.numel() * loss, z, retain_graph=True)[0]


def assert_equal_gradients(
    found: tuple[Tensor, ...], expected: tuple[Tensor, ...], *, error: float
) -> None:
    """Holds differences to a share of the greatest entry: where terms cancel, digits are lost."""
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=error * theirs.abs().max().item())


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


@pytest.fixture
def double_precision() -> Iterator[None]:
    """All numbers, also the constants that their modules make of integers."""
    former = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(former)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("codes", [4, 64, 240, 4096])
def test_fsq_agrees(codes: int) -> None:
    """In double precision: a bias's gradient is one sum over all tokens that may nearly cancel."""
    theirs = library.FSQ(levels=list(fsq_levels(codes)), dim=D)
    ours = build_quantizer(configured("fsq", num_embeddings=codes), D)
    assert isinstance(ours, FSQQuantizer)
    ours.load_state_dict(theirs.state_dict())
    for step in range(STEPS):
        z = (6 * drifting(step)).requires_grad_()
        found = ours(z)
        z_q, indices = theirs(z[None])

        assert torch.equal(found.indices[:, 0], indices[0].long())
        torch.testing.assert_close(found.z_q, z_q[0], **CLOSE)
        weights = normal(TOKENS, D, seed=step)
        trained = [z, *(dict(ours.named_parameters())[n] for n, _ in theirs.named_parameters())]
        expected = torch.autograd.grad((z_q[0] * weights).sum(), [z, *theirs.parameters()])
        gradients = torch.autograd.grad((found.z_q * weights).sum(), trained)
        assert_equal_gradients(gradients, expected, error=1e-5)


@pytest.fixture
def whole_logarithm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Their LFQ, with the logarithm of small probabilities as it is: they cut it at 1e-5."""
    monkeypatch.setattr(lookup_free_quantization, "log", lambda t: t.clamp(min=1e-20).log())
    return lookup_free_quantization


@pytest.mark.usefixtures("whole_logarithm")
@pytest.mark.parametrize("codes", [2, 64, 512])
@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_lfq_agrees(codes: int, scale: float) -> None:
    """Small tokens leave bits undecided, so that both entropies matter."""
    theirs = library.LFQ(
        dim=D, codebook_size=codes, entropy_loss_weight=0.1, commitment_loss_weight=BETA
    )
    ours = build_quantizer(configured("lfq", num_embeddings=codes, entropy_loss_weight=0.1), D)
    assert isinstance(ours, LFQQuantizer)
    ours.project_in.load_state_dict(theirs.project_in.state_dict())
    ours.project_out.load_state_dict(theirs.project_out.state_dict())
    ours.project_in.bias.data *= scale
    theirs.project_in.bias.data *= scale
    for step in range(5):
        z = (scale * drifting(step)).requires_grad_()
        found = ours(z)
        z_q, indices, loss = theirs(z[None])

        assert torch.equal(found.indices[:, 0], indices[0].long())
        torch.testing.assert_close(found.z_q, z_q[0], **CLOSE)
        torch.testing.assert_close(found.vq_loss, loss, **CLOSE)
        gradients = gradients_of(found.z_q, found.vq_loss, z, seed=step)
        assert_equal_gradients(gradients, gradients_of(z_q, loss, z, seed=step), error=1e-4)


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
