"""Which changes carried the gain, in words: the path to the best, and the best without each."""

import numpy as np
from jaxtyping import Float

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.language import say
from qdexp_analysis.paragraphs import Column, Section, Table
from qdexp_analysis.quantities import NONE, Differences, measured
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_path import Changes, SearchPath, Tried, is_path, search_path
from qdexp_analysis.search_words import value_text


def path_sections(found: SearchFindings) -> list[Section]:
    """Returns the ablation path and the leaving out, as far as they were run."""
    made: list[Section] = []
    if found.path is not None:
        made.append(_of_search(found.path))
    if found.left_out is not None and found.left_out.left_out:
        made.append(_left_out(found.left_out))
    return made


def own_path_sections(findings: Findings) -> list[Section]:
    """Returns the path that an experiment walked, for its own report; nothing for other ones.

    What gained most is in that report's answer.
    """
    if not is_path(findings):
        return []
    path = search_path(findings)
    end = say("the configuration that the path explains")
    if path.suggestion is not None:
        end = say("suggestion {number}", number=path.suggestion)
    note = say(
        "Intervals are of one step alone, paired by seed. A step was kept for being the best of "
        "its round on the same seeds, so where several were near to each other it looks a little "
        "better than it is."
    )
    return [_section(path, say("The path"), [_way(end)], note)]


def path_answer(findings: Findings) -> list[str]:
    """Returns which step of a path gained most; nothing for other experiments."""
    path = search_path(findings) if is_path(findings) else None
    return _carried(path) if path is not None and path.steps else []


def _of_search(path: SearchPath) -> Section:
    note = say(
        "Intervals are of one step alone, paired by seed, of the experiment {name}. A step was "
        "kept for being the best of its round on the same seeds, so where several were near to "
        "each other it looks a little better than it is. The end of the path against the baseline, "
        "in the report of {name}, is free of that.",
        name=path.findings.experiment.name,
    )
    end = say("number {number}", number=NONE if path.suggestion is None else path.suggestion)
    texts = [_way(end), *_carried(path)]
    return _section(path, say("Which changes carried the gain"), texts, note)


def _way(end: str) -> str:
    return say(
        "From the baseline to {end}, one change after another: each round made every change that "
        "was left on top of those before, and kept the best (Fawcett and Hoos, 2016).",
        end=end,
    )


def _section(path: SearchPath, title: str, texts: list[str], note: str) -> Section:
    if not path.steps:
        name = path.findings.experiment.name
        text = say("The ablation path, {name}, has no decided round yet.", name=name)
        return Section(name="path", title=title, sentences=[text])
    return Section(
        name="path",
        title=title,
        sentences=texts,
        tables=[_table(path), _all_tried(path)],
        notes=[note],
    )


def path_note(findings: Findings) -> str:
    """Returns what the steps of an ablation path were chosen by; nothing for other experiments."""
    if not is_path(findings):
        return ""
    return say(
        "The steps of this path, and their order, were chosen on the same seeds that judge them "
        "here: where several were near to each other, those between the baseline and the end look "
        "a little better than they are. The verdict on the end is free of that."
    )


def _carried(path: SearchPath) -> list[str]:
    """Returns what gained most, and whether that is known of the whole path."""
    texts = [_largest(path)]
    if not path.is_whole:
        texts.append(say("Unfinished: the path does not reach its end yet."))
    return texts


def _largest(path: SearchPath) -> str:
    """Returns the change with the largest gain, and its share of the whole."""
    gains = [gain_of(path.findings, step.contrast) for step in path.steps]
    known = [gain for gain in gains if gain is not None]
    total = sum(known)
    if not known or total <= 0:
        return say("Together the changes gained nothing.")
    place = max(range(len(gains)), key=lambda k: gains[k] or 0.0)
    return say(
        "The largest gain came with {change}: {share} % of the whole.",
        change=change_text(path.steps[place].changes),
        share=round(100 * (gains[place] or 0.0) / total),
    )


def gain_of(findings: Findings, contrast: Contrast | None) -> float | None:
    """Returns how much better a step made the primary metric, or None if that is not known."""
    if contrast is None or contrast.estimate is None:
        return None
    return contrast.estimate.mean * (-1.0 if findings.direction == "lower" else 1.0)


def change_text(changes: Changes) -> str:
    """Returns ``ema_decay 0.99 → 0.95``."""
    return say(", ").join(
        say(
            "{name} {old} → {new}",
            name=field.rpartition(".")[2],
            old=value_text(old),
            new=value_text(new),
        )
        for field, (old, new) in changes.items()
    )


def _columns(findings: Findings) -> tuple[Column, ...]:
    return (
        Column(name=say("change")),
        Column(name=findings.primary.in_words, kind="number"),
        Column(name=say("difference"), kind="number"),
        Column(name=say("95 % interval"), kind="number"),
        Column(name=say("pairs"), kind="number"),
    )


def _table(path: SearchPath) -> Table:
    findings = path.findings
    means = means_over_seeds(findings.scores)
    start = findings.experiment.baseline or 0
    first = (say("baseline"), measured(float(means[start]), findings.primary), NONE, NONE, NONE)
    rows = [_row(path, step, means) for step in path.steps]
    return Table(label=say("Ablation path"), columns=_columns(findings), rows=(first, *rows))


def _row(path: SearchPath, tried: Tried, means: Float[np.ndarray, " k"]) -> tuple[str, ...]:
    mean = None if tried.position is None else float(means[tried.position])
    value = measured(mean, path.findings.primary)
    return change_text(tried.changes), value, *_difference(tried.contrast)


def _all_tried(path: SearchPath) -> Table:
    means = means_over_seeds(path.findings.scores)
    change, *rest = _columns(path.findings)
    columns = (change, Column(name=say("round"), kind="number"), *rest, Column(name=say("kept")))
    rows = []
    for tried in path.tried:
        name, *cells = _row(path, tried, means)
        kept = say("yes") if tried.is_kept else say("no")
        rows.append((name, str(tried.number), *cells, kept))
    label = say("Every change that was tried")
    return Table(label=label, columns=columns, rows=tuple(rows), is_folded=True)


def _difference(contrast: Contrast | None) -> tuple[str, str, str]:
    if contrast is None or contrast.estimate is None:
        return NONE, NONE, "0"
    write = Differences(contrast)
    limits = write.interval(contrast.estimate.interval)
    return write.text(contrast.estimate.mean), limits, str(contrast.estimate.num_seeds)


def _left_out(findings: Findings) -> Section:
    experiment, means = findings.experiment, means_over_seeds(findings.scores)
    full = experiment.design.full or 0
    rows = [
        (
            say("without {change}", change=experiment.labels.difference(c.condition, full)),
            measured(float(means[c.condition]), findings.primary),
            *_difference(c),
        )
        for c in findings.left_out
    ]
    first = (say("the best"), measured(float(means[full]), findings.primary), NONE, NONE, NONE)
    return Section(
        name="left-out",
        title=say("The best without each of its changes"),
        sentences=[
            say(
                "Each change is taken back alone: what its difference says also depends on the "
                "others being there. Intervals are of one contrast alone, of the experiment "
                "{name}.",
                name=experiment.name,
            )
        ],
        tables=[
            Table(
                label=say("The best without each of its changes"),
                columns=_columns(findings),
                rows=(first, *rows),
            )
        ],
    )
