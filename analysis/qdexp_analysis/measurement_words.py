"""What a report measured, on what, and what its metrics mean, in words."""

from qdexp.config.metric import Metric
from qdexp_analysis.account import Row
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say
from qdexp_analysis.quantities import sentence_case
from qdexp_analysis.verdict_words import margin_text


def measurement(findings: Findings) -> Row:
    """Returns what the primary metric was measured on, and how differences were judged."""
    experiment = findings.experiment
    clips, videos = findings.clips_and_videos
    found = findings.levels if findings.by_level == experiment.primary else None
    levels = "" if found is None else str(int(found.is_shared.sum()))
    return {
        "seeds": ", ".join(str(seed) for seed in experiment.seeds),
        "clips": str(clips) if clips else "",
        "videos": str(videos) if videos < clips else "",
        "margin": margin_text(findings),
        "held_out": _held_out(clips, videos, levels),
        "in_short": _in_short(findings, clips, videos, levels),
        "same_wider": _same_wider(findings),
    }


def _held_out(clips: int, videos: int, levels: str) -> str:
    """Returns ``16 held-out clips of 4 videos at 16 noise levels``."""
    said = say("{clips} held-out clips", clips=clips)
    if videos < clips:
        said = _of_videos(said, videos)
    return say("{clips} at {levels} noise levels", clips=said, levels=levels) if levels else said


def _of_videos(clips: str, videos: int) -> str:
    if videos == 1:
        return say("{clips} of 1 video", clips=clips)
    return say("{clips} of {videos} videos", clips=clips, videos=videos)


def _in_short(findings: Findings, clips: int, videos: int, levels: str) -> str:
    parts = [say("Seeds {seeds}", seeds=", ".join(str(s) for s in findings.experiment.seeds))]
    if clips:
        parts.append(_held_out(clips, videos, ""))
    if levels:
        parts.append(say("{levels} noise levels", levels=levels))
    parts.append(say("smallest effect of interest: {margin}", margin=margin_text(findings)))
    return say("{text}.", text=say("; ").join(parts))


def _same_wider(findings: Findings) -> str:
    """Returns why the interval that leaves the clips out can be the wider one, or nothing."""
    if not any(_is_same_wider(contrast) for contrast in findings.contrasts):
        return ""
    most = max(len(contrast.seeds) for contrast in findings.contrasts)
    if most == 2:
        return say(
            " From 2 seeds the first can be the wider one, though it leaves the clips' variance "
            "out: t with 1 degree of freedom reaches far, and the second borrows more of them from "
            "the clips."
        )
    return say(
        " From {seeds} seeds the first can be the wider one, though it leaves the clips' variance "
        "out: t with {freedom} degrees of freedom reaches far, and the second borrows more of them "
        "from the clips.",
        seeds=most,
        freedom=most - 1,
    )


def _is_same_wider(contrast: Contrast) -> bool:
    """Tells whether the interval that leaves the clips out is the wider of the two."""
    errors = contrast.estimate.errors if contrast.estimate else ()
    widths = [high - low for low, high in (error.interval(0.0) for error in errors)]
    return len(widths) == 2 and widths[0] > widths[1]


def definitions(findings: Findings) -> list[tuple[str, str]]:
    """Returns what each metric of a report means."""
    names = [findings.experiment.primary, *(metric.name for metric in findings.secondary)]
    declared = ((name, findings.experiment.declared.find(name)) for name in names)
    write = _own_definition if findings.experiment.is_own else _description
    return [(name, write(metric)) for name, metric in declared if metric]


def _description(metric: Metric) -> str:
    return metric.description


def _own_definition(metric: Metric) -> str:
    """Returns what a user declared of a metric, in words."""
    unit = say(", in {unit}", unit=metric.unit) if metric.unit else ""
    good = {"lower": say("lower is better"), "higher": say("higher is better")}
    way = say(
        "{way}{unit}.", way=good.get(metric.direction, say("neither way is better")), unit=unit
    )
    fields = (
        say(" Not comparable across {fields}.", fields=say(", ").join(metric.defined_by))
        if metric.defined_by
        else ""
    )
    return say(
        "{description} {way}{fields}",
        description=metric.description,
        way=sentence_case(way),
        fields=fields,
    ).strip()
