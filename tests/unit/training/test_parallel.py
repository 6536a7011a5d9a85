"""Several processes train as one does, in float64 to the last digits but for the order of sums."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.errors import ConfigurationError
from qdexp.model.quantizers.quantization import CodeStatistics
from qdexp.training.opening import check_ranks
from qdexp.training.parallel import Ranks

MakeConfig = Callable[..., Configuration]

SCRIPT = Path(__file__).with_name("shared_training.py")
SHAPE: dict[str, Any] = {
    "training__precision": "fp64",
    "training__batch_size": 4,
    "training__gradient_accumulation_steps": 2,
    "training__ema_weights_decay": 0.9,
    "training__log_every_steps": 1,
    "model__dropout": 0.0,
    "model__num_embeddings": 512,  # many die at once: replacements must agree
}
DMD: dict[str, Any] = {
    "training__objective": "dmd",
    "diffusion__sampling_steps": 3,
    "distillation__fake_updates": 2,
    "distillation__regression_weight": 0.1,
}


def run(folder: Path, cases: list[dict[str, Any]], *, processes: int) -> None:
    file = folder / f"cases_of_{processes}.json"
    file.write_text(json.dumps(cases))
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--standalone"]
    command = [sys.executable, *(launch if processes > 1 else []), str(SCRIPT), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_config: MakeConfig) -> Path:
    """Trains in one process, in two, and in one and two by turns."""
    folder = tmp_path_factory.mktemp("shared")

    def case(name: str, steps: int, start: str = "", **changes: object) -> dict[str, Any]:
        config = make_config(**SHAPE | changes)
        is_dmd = config.training.objective == "dmd"
        return {
            "name": name,
            "fields": config.fields(),
            "steps": steps,
            "start": start,
            "teacher": "teacher_checkpoint.pt" if is_dmd else "",
        }

    fsdp = {"training__parallelism": "fsdp"}
    teacher = case("teacher", 2, model__quantizer="none")
    run(folder, [teacher], processes=1)
    save_as_checkpoint(folder / "teacher.pt", folder / "teacher_checkpoint.pt")
    objectives: dict[str, dict[str, Any]] = {"diffusion": {}, "dmd": DMD}
    kinds = {
        "gradient": {"model__quantizer": "gradient"},
        "residual": {"model__codes_per_token": 2},
    }
    alone = [case(f"{name} alone", 4, **o) for name, o in (objectives | kinds).items()]
    run(folder, [*alone, case("alone 2", 2), case("dmd alone 2", 2, **DMD)], processes=1)
    shared = [
        case(f"{name} {parallelism}", 4, training__parallelism=parallelism, **o)
        for name, o in (objectives | kinds).items()
        for parallelism in ("ddp", "fsdp")
    ]
    halves = [
        case("fsdp 2", 2, **fsdp),
        case("diffusion alone then fsdp", 2, "alone 2.pt", **fsdp),
        case("dmd fsdp 2", 2, **DMD | fsdp),
        case("dmd alone then fsdp", 2, "dmd alone 2.pt", **DMD | fsdp),
    ]
    run(folder, [*shared, *halves], processes=2)
    others = [
        case("diffusion fsdp then alone", 2, "fsdp 2.pt"),
        case("dmd fsdp then alone", 2, "dmd fsdp 2.pt", **DMD),
    ]
    run(folder, others, processes=1)
    return folder


def save_as_checkpoint(source: Path, target: Path) -> None:
    from qdexp.training.checkpoint import Checkpoint, save

    state = torch.load(source, weights_only=True)["state"]
    save(
        Checkpoint(
            trajectory_id="t",
            configuration={},
            step=state["step"],
            state=state,
            record={},
            latent_space={},
        ),
        target,
    )


def result(folder: Path, name: str) -> dict[str, Any]:
    return torch.load(folder / f"{name}.pt", weights_only=True)


def assert_equal(one: object, other: object, where: str = "") -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11, msg=lambda m: f"{where} {m}")
    elif one is not None:
        assert one == pytest.approx(other, rel=1e-10), where


@pytest.mark.slow
@pytest.mark.parametrize("parallelism", ["ddp", "fsdp"])
@pytest.mark.parametrize("training", ["diffusion", "dmd", "gradient", "residual"])
def test_two_processes_train_as_one_with_the_doubled_batch(
    folder: Path, training: str, parallelism: str
) -> None:
    alone = result(folder, f"{training} alone")

    assert alone["state"]["step"] == 4
    assert_equal(result(folder, f"{training} {parallelism}"), alone)


@pytest.mark.slow
@pytest.mark.parametrize("parallelism", ["ddp", "fsdp"])
@pytest.mark.parametrize("training", ["diffusion", "dmd"])
def test_the_codebooks_of_all_processes_are_equal_bit_for_bit(
    folder: Path, training: str, parallelism: str
) -> None:
    first, second = (
        torch.load(folder / f"{training} {parallelism}.{rank}.pt", weights_only=True)
        for rank in range(2)
    )

    assert first.keys() == second.keys() == {"codebook", "cluster_size", "code_sums"}
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("resumed", ["fsdp then alone", "alone then fsdp"])
@pytest.mark.parametrize("training", ["diffusion", "dmd"])
def test_a_checkpoint_of_several_processes_goes_on_in_one_and_the_reverse(
    folder: Path, training: str, resumed: str
) -> None:
    whole, parts = result(folder, f"{training} alone"), result(folder, f"{training} {resumed}")

    assert_equal(parts["state"], whole["state"])
    assert parts["losses"] == pytest.approx(whole["losses"][2:], rel=1e-10)


def test_alone_nothing_is_exchanged() -> None:
    ranks = Ranks()
    statistics = CodeStatistics(
        counts=torch.ones(1, 4), sums=torch.ones(1, 4, 2), tokens=torch.ones(1, 6, 2)
    )
    order = torch.arange(6)

    assert ranks.combined(statistics, order, 2) == (statistics, order)
    assert ranks.rows(6) == slice(0, 6)
    assert [ranks.any(flag) for flag in (False, True)] == [False, True]


def test_every_row_belongs_to_one_process() -> None:
    rows = [list(range(6))[Ranks(rank=rank, world_size=3).rows(6)] for rank in range(3)]

    assert rows == [[0, 1], [2, 3], [4, 5]]


def test_a_micro_batch_that_cannot_be_divided_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigurationError, match="a multiple of the 2 processes, found 3"):
        check_ranks(make_config(), Ranks(world_size=2))


def test_fp16_in_shards_is_refused(make_config: MakeConfig) -> None:
    config = make_config(training__precision="fp16", training__parallelism="fsdp")

    check_ranks(config, Ranks())
    with pytest.raises(ConfigurationError, match="expected bf16 or fp32 with fsdp"):
        check_ranks(config, Ranks(world_size=3))
