"""What is said of figures: how to read them, and what is to be seen for those who cannot see it."""

from collections.abc import Sequence

import numpy as np

from qdexp.config.metric import Metric
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import Differences, measured, number
from qdexp_analysis.verdict_words import margin_text

MOST_SAID = 12
"""Conditions that the text of one figure speaks of."""


def band_caption() -> str:
    """Returns how to read a learning curve."""
    return say("Line: mean over seeds. Band: from the lowest seed to the highest.")


def front_caption() -> str:
    """Returns how to read quality against cost."""
    return say(
        "Faint: trials. Large: means of conditions. Filled, and joined by the line: the Pareto "
        "front, than which no other condition is both better and cheaper. It is by means alone, "
        "no test."
    )


def some_of_all(shown: int, total: int) -> str:
    """Returns how many conditions a figure shows, or nothing if it shows all."""
    if shown >= total:
        return ""
    return say(
        " Shown are {shown} of {total} conditions: the baseline, and those with a "
        "verdict or the largest differences.",
        shown=shown,
        total=total,
    )


def forest_caption(findings: Findings, contrasts: Sequence[Contrast]) -> str:
    """Returns how to read a forest plot."""
    good = {"lower": say("Left is better. "), "higher": say("Right is better. ")}.get(
        findings.direction, ""
    )
    band = ""
    if findings.margin is not None:
        band = say(
            " The band is the smallest effect of interest, {margin}.", margin=margin_text(findings)
        )
    return say(
        "{good}Thick bars are 95 % intervals of one contrast alone, thin ones "
        "simultaneous over all; a filled point has a verdict, a hollow one is "
        "undecided.{band}",
        good=good,
        band=band,
    ) + some_of_all(len(contrasts), len(findings.contrasts))


def forest_text(findings: Findings, contrasts: Sequence[Contrast]) -> str:
    """Returns the contrasts of a forest plot: ``4096: +1.2 %, 0.9 to 1.5 %, worse; ...``."""
    said: list[str] = []
    for contrast in contrasts:
        label, estimate = _label(findings, contrast.condition), contrast.estimate
        if estimate is None:
            said.append(say("{label}: no pair completed", label=label))
            continue
        write = Differences(contrast)
        limits = (
            say(", 95 % interval {interval}", interval=write.interval(estimate.interval))
            if estimate.interval
            else ""
        )
        said.append(
            say(
                "{label}: {difference}{limits}, {verdict}",
                label=label,
                difference=write.text(estimate.mean),
                limits=limits,
                verdict=word(contrast.verdict),
            )
        )
    return listed(said)


def values_text(findings: Findings, values: np.ndarray, metric: Metric) -> str:
    """Returns the mean of every condition that has one, over seeds: values (k, s)."""
    known = [k for k in range(len(values)) if np.isfinite(values[k]).any()]
    said = [f"{_label(findings, k)} {measured(_mean(values[k]), metric)}" for k in known]
    return say("Means over seeds: {means}", means=listed(said))


def curves_text(findings: Findings, ends: Sequence[tuple[int, float, float]]) -> str:
    """Returns where each condition's line begins and ends, from (position, first, last)."""
    said = [
        say("{label} from {a} to {b}", label=_label(findings, k), a=number(a), b=number(b))
        for k, a, b in ends
    ]
    return say("From the first point to the last: {curves}", curves=listed(said))


def front_text(findings: Findings) -> str:
    """Returns which conditions are on the Pareto front, with their cost and quality."""
    found = findings.trade_off
    if found is None or not found.is_on_front.any():
        return ""
    cheapest_first = np.argsort(np.where(found.is_on_front, found.cost, np.inf))
    said = [
        say(
            "{label} ({cost} ms a step, {quality})",
            label=_label(findings, k),
            cost=number(1000 * float(found.cost[k])),
            quality=measured(float(found.quality[k]), findings.primary),
        )
        for k in cheapest_first[: int(found.is_on_front.sum())].tolist()
    ]
    return say(
        "On the Pareto front of quality against cost, from the cheapest: {conditions}",
        conditions=listed(said),
    )


def listed(said: Sequence[str]) -> str:
    """Returns parts as one sentence, the first few of many."""
    rest = len(said) - MOST_SAID
    more = say("; and {rest} more", rest=rest) if rest > 0 else ""
    return say("{listed}{more}.", listed=say("; ").join(said[:MOST_SAID]), more=more)


def _label(findings: Findings, position: int) -> str:
    return findings.experiment.labels.short(position)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values))
