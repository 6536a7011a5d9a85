"""An ablation path in sentences: what each round kept, and what was measured there."""

import math
from collections.abc import Iterator, Sequence

from qdexp.execution.path_walk import Measured
from qdexp.experiment.ablation_path import Candidate, Round
from qdexp.experiment.trial import Condition


def step_sentences(rounds: Sequence[Round], measured: Measured, metric: str) -> Iterator[str]:
    """Yields a sentence for each round: means over the seeds, no verdicts, which reports have.

    Args:
        rounds: The path.
        measured: The conditions that it lists, and the baseline.
        metric: What it is walked by.
    """
    for number, each in enumerate(rounds, start=1):
        if each.kept is None:
            tried = ", ".join(_change(one, each.before) for one in each.candidates)
            yield f"{number}. No candidate completed on all seeds ({tried}): the path ends here."
            return
        means = [(_mean(measured, one.condition), one) for one in each.candidates if one.is_listed]
        before, after = _mean(measured, each.before), _mean(measured, each.kept.condition)
        others = [f"{_change(one, each.before)} {mean}" for mean, one in means if one != each.kept]
        text = f"{number}. {_change(each.kept, each.before)}: {metric} {before} to {after}"
        lost = len(each.candidates) - len(means)
        others += [f"{lost} dropped early or not completed"] if lost else []
        yield f"{text} (beside it: {', '.join(others)})" if others else text


def _change(candidate: Candidate, before: Condition) -> str:
    """Returns ``model.ema_decay 0.98 to 0.95``, or several of them."""
    return " with ".join(
        f"{field} {before[field]} to {candidate.condition[field]}" for field in candidate.change
    )


def _mean(measured: Measured, condition: Condition) -> str:
    for other, values in measured:
        numbers = [each for each in values if each is not None]
        if other == condition and numbers:
            return f"{math.fsum(numbers) / len(numbers):.6g}"
    return "unknown"
