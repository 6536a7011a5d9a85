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
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import Differences, p_after, signed
from qdexp_analysis.verdict_words import against, doubt_text


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
        say(
            "Each p is the chance that the smallest one over all these looks is as small "
            "where there is no effect, and each interval has {level} at its look, so "
            "that it covers the truth in 95 % whichever look is the last. Means are over "
            "each condition's own seeds, differences over those of both.",
            level=level,
        ),
        *(_decided(findings, contrast) for contrast in findings.contrasts),
    ]


def _schedule(findings: Findings) -> str:
    schedule, by_hand = findings.course.looks.schedule, findings.registration.looks_by_hand
    if not findings.course.is_adaptive:
        return say(
            "Seeds were changed by hand after results were there: looks at {listed} "
            "seeds are counted.",
            listed=_listed(schedule),
        )
    seen = (
        say("those at {listed} are complete", listed=_listed(findings.seen))
        if findings.seen
        else say("none is complete")
    )
    text = say(
        "What is undecided at a look gets more seeds, and so does the baseline. "
        "Looks at {listed} seeds: {seen}.",
        listed=_listed(schedule),
        seen=seen,
    )
    extra = [number for number in by_hand if number not in findings.planned_looks]
    if not extra:
        return text
    return say(
        "{text} Of these, {listed} came by hand: seeds were changed after results.",
        text=text,
        listed=_listed(extra),
    )


def _decided(findings: Findings, contrast: Contrast) -> str:
    subject = against(findings, contrast.condition)
    if contrast.decided_at is not None:
        return say(
            "{subject}: {verdict} at the look at {decided_at} seeds.",
            subject=subject,
            verdict=word(contrast.verdict),
            decided_at=contrast.decided_at,
        )
    seen = findings.seen[-1] if findings.seen else 0
    coming = [number for number in findings.course.looks.schedule if number > seen]
    if not findings.seen:
        return say(
            "{subject}: not judged yet; the first look is at {coming} seeds.",
            subject=subject,
            coming=coming[0],
        )
    if coming:
        return say(
            "{subject}: undecided at {seen} seeds; the next look is at {coming}.",
            subject=subject,
            seen=seen,
            coming=coming[0],
        )
    return say(
        "{subject}: undecided at the last look, at {seen} seeds.", subject=subject, seen=seen
    )


def registration_sentences(findings: Findings) -> list[str]:
    """Returns when the question and what answers it were fixed, and every later change."""
    registration = findings.registration
    known = (
        say("before any of its trials had a result")
        if not registration.num_before
        else say(
            "when {num_before} of its trials had results already",
            num_before=registration.num_before,
        )
    )
    first = say(
        "Registered in the ledger on {time}, {known}: the question, the primary "
        "metric, what is compared, the smallest effect of interest, and the seeds or "
        "looks.",
        time=time_text(registration.at),
        known=known,
    )
    if not registration.changes:
        return [say("{first} Nothing of it was changed later.", first=first)]
    return [first, *(_change(change) for change in registration.changes)]


def _change(change: Change) -> str:
    when = (
        say("when {num_results} trials had results", num_results=change.num_results)
        if change.num_results
        else say("before any trial had a result")
    )
    return say(
        "Changed on {time}, {when}: {what}, from {before} to {after}.",
        time=time_text(change.at),
        when=when,
        what=word(change.what),
        before=_value(change.before),
        after=_value(change.after),
    )


def control_sentences(findings: Findings) -> list[str]:
    """Returns what the controls say; a twin that differs is a red flag."""
    texts = [_control(findings, control) for control in findings.controls.judged]
    shares = [
        say(
            "{condition} {share} % ({low} to {high} %)",
            condition=findings.experiment.labels.short(share.condition),
            share=signed(100 * share.value),
            low=signed(100 * share.interval[0]),
            high=signed(100 * share.interval[1]),
        )
        for share in findings.controls.shares
    ]
    if shares:
        texts.append(
            say(
                "Of the difference between the baseline and no quantizer, conditions make up "
                "(95 % intervals): {listed}.",
                listed=say("; ").join(shares),
            )
        )
    elif any(control.name == NONE for control in findings.controls.judged):
        texts.append(
            say(
                "Effects are not given as shares of what quantization costs: that is not "
                "clear itself."
            )
        )
    return texts


def red_flag(findings: Findings) -> str:
    """Returns a warning if the twin differs from the baseline, or nothing."""
    for control in findings.controls.judged:
        if control.name == TWIN and control.contrast.verdict in ("better", "worse"):
            return say(
                "Red flag: the control twin, {twin}, is {verdict} than the baseline, "
                "although nothing that matters was changed. That happens by chance in 5 % of "
                "experiments; else seeds differ by less than data order does, and the "
                "verdicts here may be no more than that.",
                twin=_means(TWIN),
                verdict=word(control.contrast.verdict),
            )
    return ""


def _control(findings: Findings, control: Control) -> str:
    contrast = control.contrast
    subject = say("Control {name}, {what}", name=control.name, what=_means(control.name))
    if contrast.estimate is None or contrast.estimate.interval is None:
        return say(
            "{subject}: undecided ({doubt}).", subject=subject, doubt=_doubt(findings, contrast)
        )
    write = Differences(contrast)
    return say(
        "{subject}: {in_words} differs by {difference} (95 % interval {interval}, p "
        "{p}, not part of the family): {verdict}.",
        subject=subject,
        in_words=findings.primary.in_words,
        difference=write.text(contrast.estimate.mean),
        interval=write.interval(contrast.estimate.interval),
        p=p_after(contrast.p),
        verdict=word(contrast.verdict),
    )


def _means(control: str) -> str:
    if control == TWIN:
        return say("the baseline in another data order")
    if control == NONE:
        return say("the baseline without its quantizer")
    return say("a change of the baseline")


def _doubt(findings: Findings, contrast: Contrast) -> str:
    if contrast.doubt == "no_pairs":
        return say("no seed has both it and the baseline completed")
    return doubt_text(findings, contrast)


def time_text(seconds: float) -> str:
    """Returns a time as reports write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _listed(numbers: Sequence[int]) -> str:
    texts = [str(number) for number in numbers]
    if len(texts) == 1:
        return texts[0]
    return say("{listed} and {last}", listed=say(", ").join(texts[:-1]), last=texts[-1])


def _value(value: Any) -> str:  # noqa: ANN401
    """Returns a part of a spec's definition in one line."""
    if isinstance(value, tuple):
        kind, *numbers = value
        return say("{kind} {numbers}", kind=word(kind), numbers=_listed(numbers))
    if isinstance(value, Mapping) and set(value) == {"value", "is_relative"}:
        return f"{100 * value['value']:.4g} %" if value["is_relative"] else f"{value['value']:.4g}"
    if value in (None, [], {}):
        return say("none")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
