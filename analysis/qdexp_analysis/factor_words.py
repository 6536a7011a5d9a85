"""What factors do, in words: dose responses, simple effects, sizes, what is pooled."""

from typing import Any

from qdexp_analysis.aggregates import Aggregate, Pooled
from qdexp_analysis.design_words import change_text, ends_text, family_sentence
from qdexp_analysis.effect_sizes import EffectSize
from qdexp_analysis.findings import Findings
from qdexp_analysis.interactions import SimpleEffect
from qdexp_analysis.quantities import NONE, Differences, number, p_after, signed
from qdexp_analysis.slopes import DoseResponse, is_graded

SIZES = (
    "The effect size is the mean paired difference over its standard deviation between seeds, with "
    "Hedges' correction for few seeds (g_z) and the 95 % interval of the noncentral t. It says how "
    "clear a difference is beside the noise of pairs, not how large it is beside that of trainings."
)


def factor_content(findings: Findings) -> dict[str, Any]:
    """Returns what a report shows of factors, as text."""
    factors = findings.factors
    return {
        "family": family_sentence(findings),
        "doses": dose_sentences(findings),
        "simple": [_simple(effect) for effect in factors.simple],
        "sizes": [size_text(size) for size in factors.sizes],
        "sizes_note": SIZES if any(factors.sizes) else "",
        "pooled_note": _pooled_note(findings),
        "pooled": [
            pooled_row(findings.experiment.labels.short(pooled.condition), pooled)
            for pooled in factors.pooled
        ],
    }


def dose_sentences(findings: Findings) -> list[str]:
    """Returns whether the metric rises or falls with each factor of three or more numbers."""
    if findings.refused is not None:
        return []
    said = [_dose(findings, dose) for dose in findings.factors.doses]
    axes = findings.experiment.design.axes
    graded = [axis.name for axis in axes if is_graded(axis)]
    told = {dose.axis.name for dose in findings.factors.doses}
    missing = [name for name in graded if name not in told]
    if missing:
        said.append(
            f"No dose response for {', '.join(missing)}: not every level was measured with the "
            "other factors unchanged in one seed, or a trial there diverged."
        )
    return said


def size_text(size: EffectSize | None) -> str:
    """Returns an effect size with its interval: ``-2.1 (-4.0 to -0.1)``, or a dash."""
    if size is None:
        return NONE
    low, high = size.interval
    return f"{signed(size.g_z)} ({signed(low)} to {signed(high)})"


def _dose(findings: Findings, dose: DoseResponse) -> str:
    slope, write = dose.slope, Differences(dose.slope)
    assert slope.estimate is not None
    scope = _scope(findings, dose)
    subject = f"{ends_text(dose.axis, dose.axis.from_lowest)}{scope}: {findings.primary.in_words}"
    interval = slope.estimate.interval
    if interval is None:
        change = f"changes by {write.text(slope.estimate.mean)} along a line"
        return f"{subject} {change}: no uncertainty can be stated."
    corrected = " after Holm" if dose.is_over_others else ""
    limits = f"95 % interval {write.interval(interval)}, p {p_after(slope.p)}{corrected}"
    ends = f"{write.text(slope.estimate.mean)} from end to end"
    if slope.p is not None and slope.p <= 0.05:
        way = "falls" if slope.estimate.mean < 0 else "rises"
        line = f"{way} along a line: {ends}{_each_doubling(dose)} ({limits})"
    else:
        line = f"does not clearly follow a line: {ends} ({limits})"
    return f"{subject} {line}. {_bend(dose)}"


def _scope(findings: Findings, dose: DoseResponse) -> str:
    if len(findings.experiment.design.axes) < 2:
        return ""
    return (
        ", over all levels of the others"
        if dose.is_over_others
        else ", the others at their baseline"
    )


def _each_doubling(dose: DoseResponse) -> str:
    if dose.num_doublings is None or dose.num_doublings < 1:
        return ""
    assert dose.slope.estimate is not None
    each = Differences(dose.slope).text(dose.slope.estimate.mean / dose.num_doublings)
    return f", {each} with each doubling"


def _bend(dose: DoseResponse) -> str:
    bend, write = dose.bend, Differences(dose.bend)
    assert bend.estimate is not None
    if bend.estimate.interval is None:
        return "Whether a line says enough cannot be told."
    interval = f"95 % interval {write.interval(bend.estimate.interval)}, p {p_after(bend.p)}"
    middle = f"{write.text(bend.estimate.mean)} from the middle of the line ({interval})"
    if not dose.is_bent:
        return f"No clear bend: the middle level is {middle}."
    turn = (
        "The curve turns between the ends, so that a slope misleads"
        if dose.turns
        else "The curve bends one way and does not turn between the ends"
    )
    return f"{turn}: its middle is {middle}."


def _simple(effect: SimpleEffect) -> str:
    at = " with ".join(f"{f.name} {effect.at[f.field]}" for f in effect.other.factors)
    change = change_text(effect.contrast)
    return f"At {at}, {ends_text(effect.axis, effect.ends)}: {change}: {effect.contrast.verdict}."


def _pooled_note(findings: Findings) -> str:
    factors = findings.factors
    if not factors.pooled:
        return ""
    names = [findings.experiment.metric(name).in_words for name in factors.pooled_metrics]
    return (
        f"{len(names)} metrics pooled: {', '.join(names)}. Gain: interquartile mean over seeds and "
        "metrics of how much better than the baseline of the same seed. Improvement: the chance "
        "that a run of the condition is better than a run of the baseline, any two seeds, averaged "
        "over metrics (Agarwal et al., 2021). Intervals leave out one seed at a time with all its "
        "metrics. Exploratory: metrics of one model overlap, and which are pooled is a choice."
    )


def pooled_row(label: str, pooled: Pooled) -> dict[str, str]:
    """Returns what a condition gains over the baseline on all tasks together, as text."""
    return {
        "label": label,
        "gain": f"{signed(100 * pooled.gain.value)} %",
        "gain_interval": _percent(pooled.gain, is_signed=True),
        "improvement": f"{number(100 * pooled.improvement.value, 2)} %",
        "improvement_interval": _percent(pooled.improvement, is_signed=False),
        "seeds": str(len(pooled.seeds)),
    }


def _percent(aggregate: Aggregate, *, is_signed: bool) -> str:
    if aggregate.interval is None:
        return NONE
    low, high = (100 * limit for limit in aggregate.interval)
    if is_signed:
        return f"{signed(low)} to {signed(high)} %"
    return f"{number(low, 2)} to {number(high, 2)} %"
