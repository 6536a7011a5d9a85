"""Numbers and verdicts in words: one function each, so that every rendering says the same."""

import math

import numpy as np

from qdexp.config.metrics import METRICS
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.effects import Effect
from qdexp_analysis.findings import Findings, Prospect, means_over_seeds
from qdexp_analysis.table import condition_text

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"


def number(value: float | None, digits: int = 3) -> str:
    """Returns a number with so many significant digits, or a dash for one that is not known."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -4 <= exponent < 9:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    text = f"{round(value, digits - 1 - exponent):,.{max(digits - 1 - exponent, 0)}f}"
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """Returns a number with its sign; 0 has none."""
    text = number(value, digits)
    return text if value is None or value <= 0 or not math.isfinite(value) else f"+{text}"


def p_text(p: float | None) -> str:
    """Returns a p value: ``0.003``, ``< 0.001``, or a dash."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else "1" if p > 0.995 else number(p, 2)


def metric_text(name: str) -> str:
    """Returns a metric's name in words: ``denoising loss``."""
    return name.rpartition(".")[2].replace("_", " ")


def measured(value: float | None, metric: str) -> str:
    """Returns a value of a metric with its unit: ``0.512``, ``412 MB``, ``98.1 ms``."""
    if value is None or not math.isfinite(value):
        return NONE
    unit = METRICS[metric].unit if metric in METRICS else ""
    if unit == "B":
        return f"{number(value / 1e6)} MB"
    if unit == "s" and abs(value) < 1:
        return f"{number(value * 1e3)} ms"
    if metric.endswith("codebook_usage"):
        return f"{number(value * 100)} %"
    return f"{number(value, 4)} {unit}".rstrip()


class Differences:
    """Writes differences of one metric: as a share of the baseline's mean wherever that is not 0."""

    def __init__(self, contrast: Contrast) -> None:
        self.is_relative = contrast.baseline_mean > 0
        self.scale = 100 / contrast.baseline_mean if self.is_relative else 1.0
        self.unit = " %" if self.is_relative else ""

    def text(self, value: float | None) -> str:
        """Returns a difference with its sign and unit."""
        return NONE if value is None else signed(value * self.scale) + self.unit

    def size(self, value: float) -> str:
        """Returns a difference without its sign."""
        return number(abs(value) * self.scale, 2) + self.unit

    def interval(self, limits: tuple[float, float] | None, *, is_unsigned: bool = False) -> str:
        """Returns limits: ``0.4 to 1.0 %`` unsigned, from the smaller; else with signs."""
        if limits is None:
            return NONE
        low, high = limits
        if is_unsigned:
            low, high = sorted((abs(low), abs(high)))
            return f"{number(low * self.scale, 2)} to {number(high * self.scale, 2)}{self.unit}"
        return f"{signed(low * self.scale)} to {signed(high * self.scale)}{self.unit}"


def margin_text(findings: Findings) -> str:
    """Returns the smallest effect of interest: ``0.2 %`` or ``0.01``."""
    if findings.margin is None:
        return "none stated"
    if findings.margin.is_relative:
        return f"{findings.margin.value * 100:.4g} % of the baseline"
    return f"{findings.margin.value:.4g}"


def against(findings: Findings, condition: int) -> str:
    """Returns what is compared: ``num_embeddings = 16384 against 8192``."""
    experiment = findings.experiment
    assert experiment.baseline is not None
    one, base = experiment.conditions[condition], experiment.conditions[experiment.baseline]
    if len(experiment.factors) == 1:
        (factor,) = experiment.factors
        return f"{factor.name} = {one[factor.field]} against {base[factor.field]}"
    return f"{condition_text(one)} against {condition_text(base)}"


def verdict_sentence(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns a contrast's verdict in one sentence, with the reason and remedy if undecided."""
    subject = f"{against(findings, contrast.condition)}: {metric_text(findings.experiment.primary)}"
    estimate = contrast.estimate
    if estimate is None:
        return f"{subject} undecided: {doubt_text(findings, contrast)}."
    write = Differences(contrast)
    if estimate.interval is None:
        verdict = contrast.verdict
        if verdict == "undecided":
            verdict = f"undecided ({doubt_text(findings, contrast)})"
        return f"{subject} differs by {write.text(estimate.mean)}: {verdict}."
    low, high = estimate.interval
    if low <= 0 <= high or contrast.verdict in ("equivalent", "undecided"):
        change = f"differs by {write.text(estimate.mean)}"
        interval = write.interval(estimate.interval)
    else:
        change = f"{'lower' if estimate.mean < 0 else 'higher'} by {write.size(estimate.mean)}"
        interval = write.interval(estimate.interval, is_unsigned=True)
    p, claim = contrast.p, contrast.verdict
    if contrast.verdict == "equivalent":
        p, claim = contrast.p_equivalent, f"equivalent within {margin_text(findings)}"
    sentence = f"{subject} {change} (95 % interval {interval}, p {_p_after(p)} after Holm): {claim}"
    if contrast.verdict != "undecided":
        return sentence + "."
    needed = prospect_text(findings, contrast, prospect)
    return f"{sentence} ({doubt_text(findings, contrast)}). {needed}"


def doubt_text(findings: Findings, contrast: Contrast) -> str:
    """Returns why a contrast is undecided."""
    experiment = findings.experiment
    if contrast.doubt == "no_pairs":
        rows = experiment.trials[experiment.trials["condition"] == contrast.condition]
        if len(rows) and (rows["status"] == "diverged").all():
            return "every one of its trials diverged"
        return "no seed has both it and the baseline completed"
    if contrast.doubt == "one_seed":
        return "one seed: no uncertainty can be stated"
    if contrast.doubt == "no_variance":
        return "every seed gave the same difference: no uncertainty can be stated"
    if contrast.doubt == "diverged":
        return "the verdict would not hold if the diverged trials had the experiment's worst value"
    limits = contrast.estimate.interval if contrast.estimate else None
    if limits is not None and not limits[0] <= 0 <= limits[1]:
        return f"the interval alone excludes 0, but {len(findings.contrasts)} contrasts were made"
    return "the seeds and clips differ too much among themselves"


def prospect_text(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns what it would take to decide an undecided contrast."""
    if prospect.minimum_detectable is None:
        return "More seeds are needed."
    write = Differences(contrast)
    detectable = write.size(prospect.minimum_detectable)
    text = f"With these trials a true difference of {detectable} is found four times in five"
    if prospect.seeds_needed is not None and prospect.seeds_needed > len(contrast.seeds):
        return f"{text}; {prospect.seeds_needed} seeds would find {margin_text(findings)}."
    if prospect.needs_clips:
        return f"{text}; for {margin_text(findings)} more held-out clips are needed, not only seeds."
    return f"{text}."


def effect_sentence(findings: Findings, effect: Effect) -> str:
    """Returns a factorial effect in one sentence."""
    ends = [
        f"{factor.name} {min(factor.levels)} to {max(factor.levels)}" for factor in effect.factors
    ]
    scale = abs(float(np.nanmean(means_over_seeds(findings.scores))))
    share = f"{signed(effect.estimate.mean / scale * 100)} %"
    interval = effect.estimate.interval
    limits = (
        "no uncertainty can be stated"
        if interval is None
        else f"95 % interval {signed(interval[0] / scale * 100)} to "
        f"{signed(interval[1] / scale * 100)} %, p {_p_after(effect.p)} after Holm"
    )
    if len(effect.factors) == 1:
        return f"{ends[0]}, over all levels of the others: {share} ({limits})."
    return f"{ends[1]} changes the effect of {ends[0]} by {share} ({limits})."


def cost_sentences(findings: Findings) -> list[str]:
    """Returns how many times as long a step of each condition takes as the baseline's."""
    metric = findings.secondary_named("cost.step_seconds")
    experiment, baseline = findings.experiment, findings.experiment.baseline
    if metric is None or baseline is None:
        return []
    seconds = means_over_seeds(metric.scores)
    conditions = experiment.conditions
    ratios = {
        condition_text(conditions[k], with_names=False): float(seconds[k] / seconds[baseline])
        for k in range(len(seconds))
        if k != baseline and seconds[k] > 0 and seconds[baseline] > 0
    }
    if not ratios:
        return []
    took = measured(float(seconds[baseline]), "cost.step_seconds")
    base = condition_text(conditions[baseline], with_names=False)
    caution = " Machines were mixed: no fair comparison." if _mixed_machines(findings) else ""
    return [f"Cost: a training step takes {took} with {base}; {_times(ratios)}.{caution}"]


def _times(ratios: dict[str, float]) -> str:
    """Returns ratios of times: each, or their range where they are many or nearly 1."""
    low, high = min(ratios.values()), max(ratios.values())
    if 0.95 <= low and high <= 1.05:
        return "the others take as long, to within 5 %"
    if len(ratios) > 4:
        return f"the others take {number(low, 2)} to {number(high, 2)} times as long"
    return ", ".join(f"{number(ratio, 2)} times with {label}" for label, ratio in ratios.items())


def answer(findings: Findings) -> list[str]:
    """Returns the answer to the experiment's question, in a few sentences."""
    experiment = findings.experiment
    if findings.refused is not None:
        return [f"No condition is ranked: {findings.refused}.", *cost_sentences(findings)]
    if experiment.baseline is None:
        return ["No condition has every factor at its baseline, so nothing can be compared."]
    if not findings.contrasts:
        return ["There is one condition only, so nothing can be compared."]
    return [*_by_verdict(findings), *cost_sentences(findings)]


def _by_verdict(findings: Findings) -> list[str]:
    experiment = findings.experiment
    base = experiment.conditions[experiment.baseline or 0]
    name = metric_text(experiment.primary)
    sentences: list[str] = []
    for verdict, claim in (
        ("better", f"Better than {condition_text(base)} on {name}: "),
        ("worse", f"Worse than {condition_text(base)} on {name}: "),
        ("equivalent", f"Equivalent to {condition_text(base)} within {margin_text(findings)}: "),
        ("undecided", "Undecided: "),
    ):
        chosen = [c for c in findings.contrasts if c.verdict == verdict]
        if chosen:
            sentences.append(claim + "; ".join(_brief(findings, c) for c in chosen) + ".")
    if any(c.doubt == "noise" for c in findings.contrasts):
        sentences.append(
            "What is undecided without a reason beside it differs less than the noise of seeds and "
            "clips can tell; below is what it would take."
        )
    return sentences


def _brief(findings: Findings, contrast: Contrast) -> str:
    """Returns a contrast as ``16384 (-0.8 %, 95 % interval -1.0 to -0.6 %)``."""
    label = condition_text(findings.experiment.conditions[contrast.condition], with_names=False)
    if contrast.estimate is None or contrast.estimate.interval is None:
        why = doubt_text(findings, contrast) if contrast.doubt else "no difference between seeds"
        return f"{label} ({why})"
    write = Differences(contrast)
    interval = write.interval(contrast.estimate.interval)
    why = f"; {doubt_text(findings, contrast)}" if contrast.doubt not in (None, "noise") else ""
    return f"{label} ({write.text(contrast.estimate.mean)}, 95 % interval {interval}{why})"


def _p_after(p: float | None) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _mixed_machines(findings: Findings) -> bool:
    return bool({"hardware", "host", "device"} & set(findings.mixed))
