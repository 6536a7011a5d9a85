"""The command about queues of clusters."""

from pathlib import Path
from typing import Annotated

import typer

from qdexp.cli.arguments import Runs, Seeds, Settings, SpecFile


def slurm(
    spec: SpecFile,
    time: Annotated[
        str, typer.Option(help="The job's longest time; it is requeued until all is done.")
    ] = "24:00:00",
    partition: Annotated[
        str | None, typer.Option(help="Where to queue [default: the cluster's].")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="CPU cores of each [default: one trial's].")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs of each [default: one trial's].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it [default: NAME.sbatch].")
    ] = None,
    settings: Settings = None,
    seeds: Seeds = None,
    runs: Runs = None,
) -> None:
    """Write a Slurm batch file that runs an experiment, job after job, until it is done."""
    from qdexp.cli import run_command, slurm_command

    request = run_command.Request(
        spec=spec, settings=tuple(settings or ()), num_seeds=seeds, runs=runs
    )
    allocation = slurm_command.Allocation(
        time=time, nodes=nodes, cpus=cpus, gpus=gpus, partition=partition
    )
    path = slurm_command.write(request, allocation, out)
    typer.echo(f"{path}: hand it in with `sbatch {path}`")
