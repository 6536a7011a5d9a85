"""From results that come seed by seed to verdicts: what was decided at which look.

Everything is replayed from the results alone, so that a report, a plan, and a run that goes on
after it was killed say the same. Axes: k conditions, s seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge
from qdexp_analysis.looks import ONE_LOOK, Looks


@dataclass(frozen=True, kw_only=True)
class Course:
    """How an experiment is looked at.

    Args:
        looks: All its looks, past ones and planned ones.
        is_adaptive: Whether what is decided gets no more seeds than it had then.
    """

    looks: Looks = ONE_LOOK
    is_adaptive: bool = False


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The family of contrasts as the last look left it.

    Args:
        contrasts: In the order of the conditions.
        seen: Seeds at each look whose trials all ended.
        wanted: Seeds that each condition needs by now, the baseline included.
    """

    contrasts: tuple[Contrast, ...]
    seen: tuple[int, ...]
    wanted: tuple[int, ...]


def judge_in_course(
    scores: Scores,
    settled: Bool[np.ndarray, "k s"],
    baseline: int,
    margin: Margin | None,
    course: Course,
) -> Judged:
    """Returns the verdicts by the last look, each with the look that brought it.

    Args:
        scores: One metric of every trial.
        settled: The trials that ended, completed or not.
        baseline: What the others are compared with.
        margin: The smallest effect of interest, or None.
        course: How the experiment is looked at.
    """
    if course.is_adaptive:
        return _adaptive(scores, settled, baseline, margin, course.looks)
    num_seeds = scores.values.shape[1]
    contrasts = judge(scores, baseline, margin, course.looks)
    if course.looks.are_several:
        earlier = [
            judge(_limited(scores, dict.fromkeys(range(len(settled)), n)), baseline, margin, looks)
            for looks in (course.looks,)
            for n in looks.schedule[:-1]
        ]
        contrasts = tuple(
            replace(c, decided_at=_since(c, [of[i] for of in earlier], course.looks))
            for i, c in enumerate(contrasts)
        )
    return Judged(
        contrasts=contrasts, seen=course.looks.schedule, wanted=(num_seeds,) * len(settled)
    )


def _since(last: Contrast, earlier: list[Contrast], looks: Looks) -> int | None:
    """Returns the seeds at the look from which on the last verdict held; None if undecided."""
    if last.verdict == "undecided":
        return None
    since = looks.schedule[-1]
    for number, contrast in zip(reversed(looks.schedule[:-1]), reversed(earlier), strict=True):
        if contrast.verdict != last.verdict:
            break
        since = number
    return since


def _adaptive(
    scores: Scores,
    settled: Bool[np.ndarray, "k s"],
    baseline: int,
    margin: Margin | None,
    looks: Looks,
) -> Judged:
    """Replays look after look: what is decided at one keeps its verdict and gets no more seeds.

    A verdict that was stated stands. It could only be a wrong one more, and of those no more are
    stated than where each contrast waits for the last look: a frozen p is never larger than it
    would have had to be then (`docs/decisions/0021`).
    """
    found: dict[int, Contrast] = {}
    seen: list[int] = []
    contrasts: tuple[Contrast, ...] = ()
    for number in looks.schedule:
        active = [k for k in range(len(settled)) if k not in found]
        is_complete = number <= settled.shape[1] and bool(settled[active, :number].all())
        if seen and not is_complete:
            break
        limits = {k: found[k].decided_at if k in found else number for k in range(len(settled))}
        contrasts = judge(_limited(scores, limits), baseline, margin, looks)
        contrasts = tuple(found.get(contrast.condition, contrast) for contrast in contrasts)
        if not is_complete:
            break
        seen.append(number)
        for contrast in contrasts:
            if contrast.verdict != "undecided" and contrast.condition not in found:
                found[contrast.condition] = replace(contrast, decided_at=number)
        contrasts = tuple(found.get(contrast.condition, contrast) for contrast in contrasts)
        if len(found) == len(contrasts):
            break
    wanted = _wanted(len(settled), baseline, found, seen, looks)
    return Judged(contrasts=contrasts, seen=tuple(seen), wanted=wanted)


def _wanted(
    num_conditions: int,
    baseline: int,
    found: Mapping[int, Contrast],
    seen: list[int],
    looks: Looks,
) -> tuple[int, ...]:
    """Returns the seeds that each condition needs: up to the look that decided it, or the next."""
    reached = seen[-1] if seen else 0
    coming = next((number for number in looks.schedule if number > reached), reached)
    wanted = [
        found[k].decided_at or coming if k in found else coming for k in range(num_conditions)
    ]
    wanted[baseline] = max(
        (number for k, number in enumerate(wanted) if k != baseline), default=coming
    )
    return tuple(wanted)


def _limited(scores: Scores, limits: Mapping[int, int | None]) -> Scores:
    """Returns scores in which each condition has its first seeds only."""
    values, diverged = scores.values.copy(), scores.diverged.copy()
    failed = None if scores.failed is None else scores.failed.copy()
    for condition, limit in limits.items():
        values[condition, limit:] = np.nan
        diverged[condition, limit:] = False
        if failed is not None:
            failed[condition, limit:] = False
    return replace(scores, values=values, diverged=diverged, failed=failed)
