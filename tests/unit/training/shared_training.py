"""A script for one or several processes: takes some steps of each training that a file lists."""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from qdexp.config.configuration import Configuration
from qdexp.training import randomness
from qdexp.training.course import make_course
from qdexp.training.opening import cluster_codebook, initial_state
from qdexp.training.parallel import Ranks, joined
from qdexp.training.record import Record
from qdexp.training.stepping import take_step

CLIPS = (8, 16, 2, 4, 4)


def train(case: dict[str, Any], ranks: Ranks, folder: Path) -> None:
    """Trains a case and leaves its state, its losses, and each process's own codebook."""
    config = Configuration().replace(case["fields"])
    clips = randomness.noise(99, step=0, shape=CLIPS)
    course = make_course(config, 0, clips, torch.device(case.get("device", "cpu")), ranks)
    teacher = folder / case["teacher"] if case.get("teacher") else None
    state = initial_state(course, teacher)
    if case.get("start"):
        state.load(torch.load(folder / case["start"], weights_only=True)["state"])
    else:
        cluster_codebook(state, course)
    losses = [take_step(state, course, Record())["train.loss"] for _ in range(case["steps"])]
    with state.averaged() as model:
        x_t, t = clips[:2].to(course.device, course.dtype), torch.tensor([100, 900])
        z = model.features(x_t, t.to(course.device))
    tensors = {"state": state.tensors(), "losses": losses, "features": z.detach().cpu()}
    torch.save(state.model.quantizer.state_dict(), folder / f"{case['name']}.{ranks.rank}.pt")
    if ranks.is_first:
        torch.save(tensors, folder / f"{case['name']}.pt")


def main() -> None:
    """Reads the file of cases, and leaves the results in its folder."""
    cases = Path(sys.argv[1])
    torch.set_num_threads(1)
    with joined() as ranks:
        for case in json.loads(cases.read_text()):
            train(case, ranks, cases.parent)
            ranks.wait()


if __name__ == "__main__":
    main()
