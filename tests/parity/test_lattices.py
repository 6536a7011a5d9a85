"""FSQ and LFQ agree with `vector_quantize_pytorch`: codes without a codebook that is trained."""

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from vector_quantize_pytorch import lookup_free_quantization

from qdexp.config.model_config import fsq_levels
from qdexp.model.quantizers.build import build_quantizer
from qdexp.model.quantizers.fsq import FSQQuantizer
from qdexp.model.quantizers.lfq import LFQQuantizer
from tests.parity.quantizer_pairs import (
    BETA,
    CLOSE,
    STEPS,
    TOKENS,
    D,
    assert_equal_gradients,
    configured,
    drifting,
    gradients_of,
    library,
    normal,
)

pytestmark = pytest.mark.usefixtures("one_thread")


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
