"""What factors do, in words: dose responses, simple effects, sizes, what is pooled."""

from typing import Any

from qdexp_analysis.aggregates import Aggregate, Pooled
from qdexp_analysis.design_words import change_text, ends_text, family_sentence
from qdexp_analysis.effect_sizes import EffectSize
from qdexp_analysis.findings import Findings
from qdexp_analysis.interactions import SimpleEffect
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import NONE, Differences, number, p_after, signed
from qdexp_analysis.slopes import DoseResponse, is_graded


def _sizes_note() -> str:
    return say(
        "The effect size is the mean paired difference over its standard deviation between seeds, "
        "with Hedges' correction for few seeds (g_z) and the 95 % interval of the noncentral t. It "
        "says how clear a difference is beside the noise of pairs, not how large it is beside that "
        "of trainings."
    )


def factor_content(findings: Findings) -> dict[str, Any]:
    """Returns what a report shows of factors, as text."""
    factors = findings.factors
    return {
        "family": family_sentence(findings),
        "doses": dose_sentences(findings),
        "simple": [_simple(effect) for effect in factors.simple],
        "sizes": [size_text(size) for size in factors.sizes],
        "sizes_note": _sizes_note() if any(factors.sizes) else "",
        "pooled_note": _pooled_note(findings),
        "pooled": [_pooled(findings, pooled) for pooled in factors.pooled],
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
            say(
                "No dose response for {factors}: not every level was measured with the other "
                "factors unchanged in one seed, or a trial there diverged.",
                factors=say(", ").join(missing),
            )
        )
    return said


def size_text(size: EffectSize | None) -> str:
    """Returns an effect size with its interval: ``-2.1 (-4.0 to -0.1)``, or a dash."""
    if size is None:
        return NONE
    low, high = size.interval
    return say("{g_z} ({low} to {high})", g_z=signed(size.g_z), low=signed(low), high=signed(high))


def _dose(findings: Findings, dose: DoseResponse) -> str:
    slope, write = dose.slope, Differences(dose.slope)
    assert slope.estimate is not None
    scope = _scope(findings, dose)
    subject = say(
        "{ends}{scope}: {metric}",
        ends=ends_text(dose.axis, dose.axis.from_lowest),
        scope=scope,
        metric=findings.primary.in_words,
    )
    interval = slope.estimate.interval
    if interval is None:
        change = say(
            "changes by {difference} along a line", difference=write.text(slope.estimate.mean)
        )
        return say(
            "{subject} {change}: no uncertainty can be stated.", subject=subject, change=change
        )
    corrected = say(" after Holm") if dose.is_over_others else ""
    limits = say(
        "95 % interval {interval}, p {p}{corrected}",
        interval=write.interval(interval),
        p=p_after(slope.p),
        corrected=corrected,
    )
    ends = say("{difference} from end to end", difference=write.text(slope.estimate.mean))
    if slope.p is not None and slope.p <= 0.05:
        falls = slope.estimate.mean < 0
        start = say("falls along a line") if falls else say("rises along a line")
        line = say(
            "{start}: {ends}{each_doubling} ({limits})",
            start=start,
            ends=ends,
            each_doubling=_each_doubling(dose),
            limits=limits,
        )
    else:
        line = say("does not clearly follow a line: {ends} ({limits})", ends=ends, limits=limits)
    return say("{subject} {line}. {bend}", subject=subject, line=line, bend=_bend(dose))


def _scope(findings: Findings, dose: DoseResponse) -> str:
    if len(findings.experiment.design.axes) < 2:
        return ""
    return (
        say(", over all levels of the others")
        if dose.is_over_others
        else say(", the others at their baseline")
    )


def _each_doubling(dose: DoseResponse) -> str:
    if dose.num_doublings is None or dose.num_doublings < 1:
        return ""
    assert dose.slope.estimate is not None
    each = Differences(dose.slope).text(dose.slope.estimate.mean / dose.num_doublings)
    return say(", {each} with each doubling", each=each)


def _bend(dose: DoseResponse) -> str:
    bend, write = dose.bend, Differences(dose.bend)
    assert bend.estimate is not None
    if bend.estimate.interval is None:
        return say("Whether a line says enough cannot be told.")
    interval = say(
        "95 % interval {interval}, p {p}",
        interval=write.interval(bend.estimate.interval),
        p=p_after(bend.p),
    )
    middle = say(
        "{difference} from the middle of the line ({interval})",
        difference=write.text(bend.estimate.mean),
        interval=interval,
    )
    if not dose.is_bent:
        return say("No clear bend: the middle level is {middle}.", middle=middle)
    turn = (
        say("The curve turns between the ends, so that a slope misleads")
        if dose.turns
        else say("The curve bends one way and does not turn between the ends")
    )
    return say("{turn}: its middle is {middle}.", turn=turn, middle=middle)


def _simple(effect: SimpleEffect) -> str:
    at = say(" with ").join(f"{f.name} {effect.at[f.field]}" for f in effect.other.factors)
    change = change_text(effect.contrast)
    return say(
        "At {at}, {ends}: {change}: {verdict}.",
        at=at,
        ends=ends_text(effect.axis, effect.ends),
        change=change,
        verdict=word(effect.contrast.verdict),
    )


def _pooled_note(findings: Findings) -> str:
    factors = findings.factors
    if not factors.pooled:
        return ""
    names = [findings.experiment.metric(name).in_words for name in factors.pooled_metrics]
    return say(
        "{number} metrics pooled: {metrics}. Gain: interquartile mean over seeds and "
        "metrics of how much better than the baseline of the same seed. Improvement: "
        "the chance that a run of the condition is better than a run of the "
        "baseline, any two seeds, averaged over metrics (Agarwal et al., 2021). "
        "Intervals leave out one seed at a time with all its metrics. Exploratory: "
        "metrics of one model overlap, and which are pooled is a choice.",
        number=len(names),
        metrics=say(", ").join(names),
    )


def _pooled(findings: Findings, pooled: Pooled) -> dict[str, str]:
    return {
        "label": findings.experiment.labels.short(pooled.condition),
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
        return say("{low} to {high} %", low=signed(low), high=signed(high))
    return say("{low} to {high} %", low=number(low, 2), high=number(high, 2))
