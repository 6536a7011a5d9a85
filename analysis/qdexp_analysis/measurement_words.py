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
    levels = findings.levels if findings.by_level == experiment.primary else None
    return {
        "seeds": ", ".join(str(seed) for seed in experiment.seeds),
        "clips": str(clips) if clips else "",
        "videos": str(videos) if videos < clips else "",
        "levels": "" if levels is None else str(int(levels.is_shared.sum())),
        "margin": margin_text(findings),
        "is_same_wider": any(_is_same_wider(contrast) for contrast in findings.contrasts),
        "most_pairs": max((len(contrast.seeds) for contrast in findings.contrasts), default=0),
    }


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
