"""Looks, registration and controls in words: one function for each, as data lies in findings."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from qdexp.experiment.controls import NONE, TWIN
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.controls import Control
from qdexp_analysis.findings import Findings
from qdexp_analysis.history import Change
from qdexp_analysis.quantities import Differences, p_after, signed
from qdexp_analysis.words import against, doubt_text

MEANS = {
    TWIN: "the baseline in another data order",
    NONE: "the baseline without its quantizer",
}


def conduct_words(findings: Findings) -> dict[str, Any]:
    """Returns what is said of looks, registration and controls."""
    return {
        "red_flag": red_flag(findings),
        "looked": look_sentences(findings),
        "registered": registration_sentences(findings),
        "controls": control_sentences(findings),
    }


def look_sentences(findings: Findings) -> list[str]:
    """Returns at which looks the experiment was judged, and which of them decided each contrast."""
    looks = findings.course.looks
    if not looks.are_several or not findings.contrasts:
        return []
    level = f"{100 * (1 - looks.level()):.1f} %"
    return [
        _schedule(findings),
        "Each p is the chance that the smallest one over all these looks is as small where there "
        f"is no effect, and each interval has {level} at its look, so that it covers the truth in "
        "95 % whichever look is the last. Means are over each condition's own seeds, differences "
        "over those of both.",
        *(_decided(findings, contrast) for contrast in findings.contrasts),
    ]


def _schedule(findings: Findings) -> str:
    schedule, by_hand = findings.course.looks.schedule, findings.registration.looks_by_hand
    if not findings.course.is_adaptive:
        return (
            f"Seeds were changed by hand after results were there: looks at {_listed(schedule)} "
            "seeds are counted."
        )
    seen = (
        f"those at {_listed(findings.seen)} are complete" if findings.seen else "none is complete"
    )
    text = (
        f"What is undecided at a look gets more seeds, and so does the baseline. Looks at "
        f"{_listed(schedule)} seeds: {seen}."
    )
    extra = [number for number in by_hand if number not in findings.planned_looks]
    if not extra:
        return text
    return f"{text} Of these, {_listed(extra)} came by hand: seeds were changed after results."


def _decided(findings: Findings, contrast: Contrast) -> str:
    subject = against(findings, contrast.condition)
    if contrast.decided_at is not None:
        return f"{subject}: {contrast.verdict} at the look at {contrast.decided_at} seeds."
    seen = findings.seen[-1] if findings.seen else 0
    coming = [number for number in findings.course.looks.schedule if number > seen]
    if not findings.seen:
        return f"{subject}: not judged yet; the first look is at {coming[0]} seeds."
    if coming:
        return f"{subject}: undecided at {seen} seeds; the next look is at {coming[0]}."
    return f"{subject}: undecided at the last look, at {seen} seeds."


def registration_sentences(findings: Findings) -> list[str]:
    """Returns when the question and what answers it were fixed, and every later change."""
    registration = findings.registration
    known = (
        "before any of its trials had a result"
        if not registration.num_before
        else f"when {registration.num_before} of its trials had results already"
    )
    first = (
        f"Registered in the ledger on {time_text(registration.at)}, {known}: the question, the "
        "primary metric, what is compared, the smallest effect of interest, and the seeds or looks."
    )
    if not registration.changes:
        return [f"{first} Nothing of it was changed later."]
    return [first, *(_change(change) for change in registration.changes)]


def _change(change: Change) -> str:
    when = (
        f"when {change.num_results} trials had results"
        if change.num_results
        else "before any trial had a result"
    )
    return (
        f"Changed on {time_text(change.at)}, {when}: {change.what}, from {_value(change.before)} "
        f"to {_value(change.after)}."
    )


def control_sentences(findings: Findings) -> list[str]:
    """Returns what the controls say; a twin that differs is a red flag."""
    texts = [_control(findings, control) for control in findings.controls.judged]
    shares = [
        f"{findings.experiment.labels.short(share.condition)} {signed(100 * share.value)} % "
        f"({signed(100 * share.interval[0])} to {signed(100 * share.interval[1])} %)"
        for share in findings.controls.shares
    ]
    if shares:
        texts.append(
            "Of the difference between the baseline and no quantizer, conditions make up "
            f"(95 % intervals): {'; '.join(shares)}."
        )
    elif any(control.name == NONE for control in findings.controls.judged):
        texts.append(
            "Effects are not given as shares of what quantization costs: that is not clear itself."
        )
    return texts


def red_flag(findings: Findings) -> str:
    """Returns a warning if the twin differs from the baseline, or nothing."""
    for control in findings.controls.judged:
        if control.name == TWIN and control.contrast.verdict in ("better", "worse"):
            return (
                f"Red flag: the control twin, {MEANS[TWIN]}, is {control.contrast.verdict} than "
                "the baseline, although nothing that matters was changed. That happens by chance "
                "in 5 % of experiments; else seeds differ by less than data order does, and the "
                "verdicts here may be no more than that."
            )
    return ""


def _control(findings: Findings, control: Control) -> str:
    contrast = control.contrast
    subject = f"Control {control.name}, {MEANS.get(control.name, 'a change of the baseline')}"
    if contrast.estimate is None or contrast.estimate.interval is None:
        return f"{subject}: undecided ({_doubt(findings, contrast)})."
    write = Differences(contrast)
    return (
        f"{subject}: {findings.primary.in_words} differs by {write.text(contrast.estimate.mean)} "
        f"(95 % interval {write.interval(contrast.estimate.interval)}, p {p_after(contrast.p)}, "
        f"not part of the family): {contrast.verdict}."
    )


def _doubt(findings: Findings, contrast: Contrast) -> str:
    if contrast.doubt == "no_pairs":
        return "no seed has both it and the baseline completed"
    return doubt_text(findings, contrast)


def time_text(seconds: float) -> str:
    """Returns a time as reports write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _listed(numbers: Sequence[int]) -> str:
    texts = [str(number) for number in numbers]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _value(value: Any) -> str:  # noqa: ANN401
    """Returns a part of a spec's definition in one line."""
    if isinstance(value, tuple):
        kind, *numbers = value
        return f"{kind} {_listed(numbers)}"
    if isinstance(value, Mapping) and set(value) == {"value", "is_relative"}:
        return f"{100 * value['value']:.4g} %" if value["is_relative"] else f"{value['value']:.4g}"
    if value in (None, [], {}):
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
