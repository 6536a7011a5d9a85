"""One training shared by several processes: each takes its rows of every micro-batch.

Everything random is drawn for the whole batch and then sliced, gradients are means over the
processes, and code statistics are added up: so the numbers are those of one process, but for the
order in which floating-point sums are taken.
"""

# pyright: basic

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from qdexp.model.predictor import QuantizedDiffusionPredictor
from qdexp.model.quantizers.quantization import CodeStatistics


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's place among those that share a training.

    Args:
        rank: From 0.
        world_size: Number of processes.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Tells whether this process writes the files."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """Returns this process's rows of a micro-batch; `world_size` divides `batch`."""
        share = batch // self.world_size
        return slice(self.rank * share, (self.rank + 1) * share)

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - a predicate's only argument
        """Tells whether `flag` is true in any process; all of them must ask."""
        if self.world_size == 1:
            return flag
        votes = torch.tensor(int(flag), device=_device())
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes.item())

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean over the processes."""
        if self.world_size == 1:
            return values
        return self._sum(values.clone()) / self.world_size

    def wait(self) -> None:
        """Returns when all processes are here."""
        if self.world_size > 1:
            distributed.barrier()

    def combined(
        self, statistics: CodeStatistics, order: Tensor, micro_batches: int
    ) -> tuple[CodeStatistics, Tensor]:
        """Returns the whole batch's statistics, and the order in which tokens replace dead codes.

        Of the tokens of other processes only those come along that can replace a code.

        Args:
            statistics: Of this process's tokens, micro-batch by micro-batch.
            order: A permutation of the whole batch's tokens.
            micro_batches: How many there were, of equal size.
        """
        if self.world_size == 1:
            return statistics, order
        counts, sums = self._sum(statistics.counts), self._sum(statistics.sums)
        codebooks, own, dim = statistics.tokens.shape
        # Tokens lie micro-batch by micro-batch, and in each of them process by process.
        size = own // micro_batches
        chosen = order[: counts.shape[1]]
        is_own = (chosen // size) % self.world_size == self.rank
        places = chosen // (size * self.world_size) * size + chosen % size
        candidates = statistics.tokens.new_zeros(codebooks, len(chosen), dim)
        candidates[:, is_own] = statistics.tokens[:, places[is_own]]
        tokens = self._sum(candidates) if dim else candidates
        whole = CodeStatistics(counts=counts, sums=sums, tokens=tokens)
        return whole, torch.arange(len(chosen), device=order.device)

    def _sum(self, values: Tensor) -> Tensor:
        if values.numel():
            distributed.all_reduce(values)
        return values


def current_ranks() -> Ranks:
    """Returns this process's place in the group that it joined, alone without one."""
    if not distributed.is_initialized():
        return Ranks()
    return Ranks(rank=distributed.get_rank(), world_size=distributed.get_world_size())


@contextmanager
def joined() -> Generator[Ranks]:
    """Joins the processes that torchrun started with this one, and leaves them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield current_ranks()
    finally:
        distributed.destroy_process_group()


def share_parameters(
    model: QuantizedDiffusionPredictor, ranks: Ranks, parallelism: Literal["ddp", "fsdp"]
) -> nn.Module:
    """Returns what to call for a forward pass whose gradients are means over the processes.

    Codebooks are buffers, which neither way keeps equal: `Ranks.combined` does.
    """
    if ranks.world_size == 1:
        return model
    if parallelism == "ddp":
        return DistributedDataParallel(model, broadcast_buffers=False)
    for block in model.blocks:
        fully_shard(block)
    # The root would stay whole after a forward pass, and its parameters be others than before.
    fully_shard(model, reshard_after_forward=True)
    for method in ("features", "decide", "bypass", "tokens"):
        register_fsdp_forward_method(model, method)
    return model


def gradient_sync(forward: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
    """Returns a context whose backward passes exchange gradients for the last micro-batch only."""
    if isinstance(forward, FSDPModule):
        forward.set_requires_gradient_sync(is_last)
    if isinstance(forward, DistributedDataParallel) and not is_last:
        return forward.no_sync()
    return nullcontext()


def whole(value: Tensor) -> Tensor:
    """Returns a tensor, put together from its shards if it has any; all processes must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def sharded_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Returns a whole tensor on the parameter's device, and in shards if the parameter is."""
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
