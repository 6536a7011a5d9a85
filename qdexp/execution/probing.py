"""The process of a probe: runs one trial, and prints what its steps took as JSON.

``python -m qdexp.execution.probing`` reads an assignment from stdin. The trainable is imported
before the clock starts: a worker imports it once for all its trials.
"""

import itertools
import json
import resource
import sys
import time
from contextlib import closing
from typing import Any

from qdexp.execution.attempt import attempt, trainable_from_name
from qdexp.execution.ports import Assignment
from qdexp.execution.probe import COUNTED, MOST_SECONDS, WARM_UP
from qdexp.experiment.trial import DEFAULT_TRAINABLE
from qdexp.results.outcome import Outcome


def probed(assignment: Assignment) -> dict[str, Any]:
    """Runs a trial to its end, or one of somebody else's for a few steps, and returns its times."""
    is_ours = assignment.trial.trainable == DEFAULT_TRAINABLE
    began = time.perf_counter()
    marks: list[tuple[int, float]] = []
    memory: float | None = None
    with closing(attempt(assignment)) as reports:
        for report in reports:
            now = time.perf_counter()
            if isinstance(report, Outcome):
                return _ended(report, now - began, marks, memory)
            marks.append((report.step, now))
            memory = report.gpu_memory_bytes or memory
            num_steps = report.step - marks[0][0]
            if not is_ours and (
                num_steps >= WARM_UP + COUNTED or (num_steps and now - began > MOST_SECONDS)
            ):
                break
    return _facts(time.perf_counter() - began, _between(marks), marks, memory)


def _ended(
    outcome: Outcome, seconds: float, marks: list[tuple[int, float]], memory: float | None
) -> dict[str, Any]:
    series = outcome.history.get("cost.step_seconds")
    steps = list(series.values) if series else _between(marks)
    if not steps and outcome.step:
        steps = [seconds / outcome.step]
    memory = outcome.measurements.get("cost.peak_memory_bytes", memory)
    facts = _facts(seconds, steps, marks, memory) | {"num_steps": outcome.step}
    if outcome.failure:
        facts["problem"] = f"{outcome.status}: {outcome.failure.reason}"
    return facts


def _between(marks: list[tuple[int, float]]) -> list[float]:
    """Returns the seconds of a step between reports of different steps."""
    pairs = itertools.pairwise(marks)
    return [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] > a[0]]


def _facts(
    seconds: float, steps: list[float], marks: list[tuple[int, float]], memory: float | None
) -> dict[str, Any]:
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "step_seconds": steps,
        "num_steps": marks[-1][0] - marks[0][0] if marks else 0,
        "peak_memory_bytes": None if memory is None else int(memory),
        "resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "problem": "",
    }


if __name__ == "__main__":
    asked = Assignment.from_json(sys.stdin.read())
    trainable_from_name(asked.trial.trainable)
    sys.stdout.write(json.dumps(probed(asked)) + "\n")
