"""`qdexp slurm`: a batch file for Slurm that goes on, job after job, until all is done."""

import math
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.errors import RequestError

if TYPE_CHECKING:
    from qdexp.cli.run_command import Request
    from qdexp.experiment.spec import Resources

_TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")

_HEADER = """\
#!/bin/bash
# Written by `qdexp slurm`. Hand it in with: sbatch FILE
# Two minutes before its time is over the job is told so, stops at a safe point, and is put back
# into the queue; it ends when every trial has its outcome. The log is appended to.
"""

_BEGIN = """
set -u
cd @folder@ || exit 2
driver=
told=

# Slurm tells the batch shell (B: in --signal), and the shell tells the driver.
tell() {
    told=$1
    if [ -n "$driver" ]; then kill -s "$1" "$driver" 2>/dev/null; fi
}
trap 'tell USR1' USR1
trap 'tell TERM' TERM
"""

_CLUSTER = """
# Ray: a head on this node, and a worker on each of the others; only who knows the token takes part.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n')
export RAY_AUTH_TOKEN
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head_node" @ray@ start --head --block \\
    --port="$port" @shares@ --include-dashboard=false --disable-usage-stats &
for _ in $(seq 120); do
    if (exec 3<>"/dev/tcp/$head_node/$port") 2>/dev/null; then break; fi
    sleep 1
done
others=$((SLURM_JOB_NUM_NODES - 1))
srun --overlap --nodes="$others" --ntasks="$others" --ntasks-per-node=1 --exclude="$head_node" \\
    @ray@ start --block --address="$head_node:$port" @shares@ --disable-usage-stats &
"""

_RUN = """
if [ -z "$told" ]; then
    @run@ &
    driver=$!
    if [ -n "$told" ]; then kill -s "$told" "$driver"; fi  # told in between
    code=0
    wait "$driver" || code=$?
    while kill -0 "$driver" 2>/dev/null; do  # a signal ends `wait`, not the driver
        code=0
        wait "$driver" || code=$?
    done
else
    code=130
fi
@end@
# 130: interrupted, and the same command goes on. A job that was cancelled (TERM) stays so; Slurm
# itself requeues one that was preempted, or whose node was lost.
if [ "$code" -eq 130 ] && [ "$told" != TERM ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What a job asks Slurm for.

    Args:
        time: The job's longest time, as Slurm writes it: ``24:00:00``, ``2-12``, ``90``.
        nodes: Machines.
        cpus: CPU cores of each, or None for those of one trial.
        gpus: GPUs of each, or None for those of one trial.
        partition: Where to queue, or None for the default.
    """

    time: str = "24:00:00"
    nodes: int = 1
    cpus: int | None = None
    gpus: int | None = None
    partition: str | None = None

    def __post_init__(self) -> None:
        if not _TIME.fullmatch(self.time):
            raise RequestError(
                "--time: expected minutes, HH:MM:SS, D-HH or D-HH:MM:SS as Slurm takes them, "
                f"found '{self.time}'"
            )
        if self.partition is not None and not re.fullmatch(r"[\w.,-]+", self.partition):
            raise RequestError(
                f"--partition: expected the name of a partition, found '{self.partition}'"
            )


def write(request: "Request", allocation: Allocation, out: Path | None) -> Path:
    """Writes the batch file and returns its path.

    Raises:
        RequestError: The spec is wrong, or the file is there already.
    """
    spec = request.read_search().spec if request.asks_for_search() else request.read_spec()
    label = re.sub(r"[^\w.-]", "_", spec.name, flags=re.ASCII)
    path = out or Path(f"{label}.sbatch")
    text = batch_file(request, allocation, spec.resources, label)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RequestError(
            f"--out: expected a file that is not there yet, found {path}: remove it, or choose "
            "another"
        ) from None
    except OSError as error:
        raise RequestError(f"--out: {path} cannot be written: {error.strerror}") from error
    return path


def batch_file(
    request: "Request", allocation: Allocation, resources: "Resources", label: str
) -> str:
    """Returns the text of the batch file."""
    cpus, gpus = _shares(allocation, resources)
    options = _options(allocation, cpus, gpus, label)
    header = _HEADER + "".join(f"#SBATCH {each}\n" for each in options)
    parts, command, end = [header, _BEGIN], _run(request), ""
    if allocation.nodes > 1:
        parts.append(_CLUSTER)
        command += ' --address "$head_node:$port"'
        end = "kill $(jobs -p) 2>/dev/null; wait  # the cluster\n"
    filled = {
        "@folder@": shlex.quote(str(Path.cwd())),
        "@ray@": shlex.quote(str(Path(sys.executable).with_name("ray"))),
        "@shares@": f"--num-cpus={cpus} --num-gpus={gpus}",
        "@run@": command,
        "@end@": end,
    }
    # In one pass, so that a path that looks like one of the names stays as it is.
    return re.sub("|".join(filled), lambda found: filled[found[0]], "".join([*parts, _RUN]))


def _shares(allocation: Allocation, resources: "Resources") -> tuple[int, int]:
    """Returns the CPUs and GPUs of each machine: as given, or those of one trial."""
    processes = resources.processes
    wanted = resources.gpus
    of_a_trial = math.ceil(wanted * processes) if isinstance(wanted, int | float) else 0
    gpus = of_a_trial if allocation.gpus is None else allocation.gpus
    return allocation.cpus or resources.cpus * processes, gpus


def _options(allocation: Allocation, cpus: int, gpus: int, label: str) -> list[str]:
    return [
        f"--job-name=qdexp-{label}",
        f"--output=qdexp-{label}-%j.log",
        "--open-mode=append",
        "--requeue",
        "--signal=B:USR1@120",
        f"--time={allocation.time}",
        f"--nodes={allocation.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={cpus}",
        *([f"--gpus-per-node={gpus}"] if gpus else []),
        *([f"--partition={allocation.partition}"] if allocation.partition else []),
    ]


def _run(request: "Request") -> str:
    """Returns the command of the driver, quoted for a shell."""
    command = "search" if request.asks_for_search() else "run"
    words = [sys.executable, "-m", "qdexp", command, str(request.spec)]
    words += ["--runs", str(request.runs_folder)]
    for setting in request.settings:
        words += ["--set", setting]
    if request.num_seeds is not None:
        words += ["--seeds", str(request.num_seeds)]
    return shlex.join(words)
