"""What conditions cost and how much of the codebook they use, in words."""

import math
from collections.abc import Sequence

from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.language import say
from qdexp_analysis.quantities import measured, number
from qdexp_analysis.step_times import STEP_SECONDS, StepRatio
from qdexp_analysis.verdict_words import base_text, label_text

MOST_LISTED = 4
"""Conditions that one sentence lists with their numbers."""


def cost_sentences(findings: Findings) -> list[str]:
    """Returns how many times as long as the baseline's a step takes, where that is clear."""
    times = findings.step_times
    if times is None or not times.ratios:
        return []
    took = measured(times.seconds, findings.experiment.metric(STEP_SECONDS), digits=2)
    clear = [ratio for ratio in times.ratios if ratio.is_clear]
    apart = [ratio for ratio in times.ratios if not ratio.num_pairs]
    unclear = [ratio for ratio in times.ratios if ratio.num_pairs and not ratio.is_clear]
    caution = (
        say(" Machines were mixed: no fair comparison.") if findings.has_mixed_machines else ""
    )
    if not clear and not apart:
        seeds = "" if any(ratio.num_pairs > 1 for ratio in unclear) else say(" from one seed")
        what = say("no clear difference in the time of a training step{seeds}", seeds=seeds)
        return [say("Cost: {what} (about {took}).{caution}", what=what, took=took, caution=caution)]
    parts = [
        say("a training step takes {took} with {base}", took=took, base=base_text(findings)),
        *_times(findings, clear),
    ]
    if unclear:
        parts.append(
            say("no clear difference with {conditions}", conditions=_conditions(findings, unclear))
        )
    if apart:
        parts.append(
            say(
                "not compared with {conditions}, measured at another time, perhaps beside "
                "other load",
                conditions=_conditions(findings, apart),
            )
        )
    return [say("Cost: {parts}.{caution}", parts=say("; ").join(parts), caution=caution)]


def usage_sentences(findings: Findings) -> list[str]:
    """Returns how much of the codebook is used, where it was measured and can be compared."""
    metric = findings.secondary_named("eval.codebook_usage")
    if metric is None or findings.experiment.is_own:
        return []
    shares = {
        findings.experiment.labels.short(position): float(share)
        for position, share in enumerate(means_over_seeds(metric.scores))
        if math.isfinite(share)
    }
    if not shares:
        return []
    budgets = {
        record.trial.ours.evaluation.codebook_tokens for record in findings.experiment.records
    }
    over = (
        say(", over {tokens:,} held-out tokens", tokens=budgets.pop()) if len(budgets) == 1 else ""
    )
    if len(shares) > MOST_LISTED:
        low, high = min(shares.values()), max(shares.values())
        return [
            say(
                "Codes used{over}: {low} to {high} %.",
                over=over,
                low=number(low * 100, 2),
                high=number(high * 100, 2),
            )
        ]
    parts = (
        say(
            "{share} % with {label}",
            share=number(share * 100, 2),
            label=_apart(findings, label),
        )
        for label, share in shares.items()
    )
    return [say("Codes used{over}: {shares}.", over=over, shares=say(", ").join(parts))]


def _times(findings: Findings, clear: Sequence[StepRatio]) -> list[str]:
    """Returns ratios of times with their intervals, or their range where they are many."""
    if len(clear) > MOST_LISTED:
        ratios = [ratio.ratio for ratio in clear]
        low, high = number(min(ratios), 2), number(max(ratios), 2)
        return [
            say(
                "clearly different with {number} others: {low} to {high} times as long",
                number=len(clear),
                low=low,
                high=high,
            )
        ]
    return [
        say(
            "{ratio} with {label} (95 % interval {limits})",
            ratio=_ratio(ratio),
            label=_apart(findings, label_text(findings, ratio)),
            limits=_limits(ratio),
        )
        for ratio in clear
    ]


def _ratio(ratio: StepRatio) -> str:
    return say("{ratio} times as long", ratio=number(ratio.ratio, _digits(ratio)))


def _limits(ratio: StepRatio) -> str:
    assert ratio.interval is not None
    low, high = (number(limit, _digits(ratio)) for limit in ratio.interval)
    return say("{low} to {high}", low=low, high=high)


def _digits(ratio: StepRatio) -> int:
    """Returns two digits, or three where a limit that excludes 1 would be written as 1."""
    assert ratio.interval is not None
    return 3 if any(float(f"{limit:.1e}") == 1 for limit in ratio.interval) else 2


def _conditions(findings: Findings, ratios: Sequence[StepRatio]) -> str:
    if len(ratios) > MOST_LISTED:
        return say("{number} others", number=len(ratios))
    return say(", ").join(_apart(findings, label_text(findings, ratio)) for ratio in ratios)


def _apart(findings: Findings, label: str) -> str:
    """Returns a condition's name as lists have it: in quotes where a comma may stand in one."""
    labels = findings.experiment.labels
    names = (labels.short(k) for k in range(len(findings.experiment.conditions)))
    has_commas = any(mark in name for name in names for mark in (", ", say(", ")))
    return say("“{name}”", name=label) if has_commas else label
