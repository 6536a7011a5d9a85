"""Heat maps of two factors, each with its caption: what is drawn from which findings."""

import numpy as np

from qdexp.experiment.trial import Condition
from qdexp_analysis import figures_factors
from qdexp_analysis.appearance import MUTED, draw
from qdexp_analysis.design_words import change_text
from qdexp_analysis.factor import Axis
from qdexp_analysis.findings import Findings
from qdexp_analysis.interactions import Cells
from qdexp_analysis.language import say
from qdexp_analysis.picture import Picture
from qdexp_analysis.quantities import sentence_case, signed

MOST_MAPS = 3
"""Pairs of factors that are drawn, the clearest interactions first."""


def factor_maps(findings: Findings) -> list[Picture]:
    """Draws the cells of two factors, and beside them what the two do not add up to."""
    tables = findings.factors.cells[:MOST_MAPS]
    return [_drawn(findings, table, number) for number, table in enumerate(tables, start=1)]


def _drawn(findings: Findings, table: Cells, number: int) -> Picture:
    panels = [table.shares] if table.beyond is None else [table.shares, table.beyond]
    scale = 100.0 if table.is_relative else 1.0
    names = (_names(table.axes[0], table.levels[0]), _names(table.axes[1], table.levels[1]))
    is_wide = len(names[1]) > 3 or max(map(len, names[1])) * len(names[1]) > 18
    shape = (len(panels), 1) if is_wide else (1, len(panels))
    height = (0.75 + 0.4 * len(names[0])) * shape[0] + 0.3
    figure, axes = draw(height, num_rows=shape[0], num_columns=shape[1])
    most = scale * max(float(np.nanmax(np.abs(panel))) for panel in panels)
    for panel, values in zip(axes, panels, strict=True):
        figures_factors.interaction(
            panel, scale * values, names,
            is_lower_better=findings.direction == "lower", most=most,
        )  # fmt: skip
        panel.set_xlabel(table.axes[1].name)
    axes[0].set_ylabel(table.axes[0].name)
    from_baseline, beyond = _titles(table)
    axes[0].set_title(from_baseline, color=MUTED, weight="normal")
    if table.beyond is not None:
        axes[1].set_title(beyond, color=MUTED, weight="normal")
        axes[1].tick_params(labelleft=is_wide)
    pair = say("{one} and {other}", one=table.axes[0].name, other=table.axes[1].name)
    title = say(
        "{metric} by {pair}: differences from the baseline",
        metric=findings.primary.in_words,
        pair=pair,
    )
    return Picture(
        name=f"interaction-{number}",
        section="verdicts",
        title=sentence_case(title),
        caption=_caption(findings, table),
        text=_text(names, scale * panels[0], " %" if table.is_relative else ""),
        figure=figure,
    )


def _titles(table: Cells) -> tuple[str, str]:
    if table.is_relative:
        return say("from the baseline, %"), say("beyond both effects, %")
    return say("from the baseline"), say("beyond both effects")


def _text(names: tuple[list[str], list[str]], values: np.ndarray, unit: str) -> str:
    """Returns every cell of a map: ``64 and 0.1: +1.2 %; ...``."""
    return say("; ").join(
        say(
            "{one} and {other}: {value}{unit}",
            one=one,
            other=other,
            value=signed(float(values[row, column])),
            unit=unit,
        )
        for row, one in enumerate(names[0])
        for column, other in enumerate(names[1])
        if np.isfinite(values[row, column])
    )


def _names(axis: Axis, levels: tuple[Condition, ...]) -> list[str]:
    return [
        say(" with ").join(str(each[factor.field]) for factor in axis.factors) for each in levels
    ]


def _caption(findings: Findings, table: Cells) -> str:
    others = len(findings.experiment.design.axes) > 2
    text = say("Blue is better, orange worse.")
    if others:
        text = say("Blue is better, orange worse, over all levels of the others.")
    if table.beyond is not None:
        text += say(
            " On the right, or below: what is left when both factors' mean effects are taken "
            "away; all 0 would mean that they add up."
        )
    told = [effect for effect in table.effects if effect.estimate.interval is not None]
    if len(told) == 1:
        change = change_text(told[0].contrast)
        if told[0].holds:
            text += say(" The interaction holds: {change}.", change=change)
        else:
            text += say(" The interaction is not clear: {change}.", change=change)
    elif told:
        number = sum(effect.holds for effect in told)
        text += say(
            " {number} of {total} interactions of their levels hold.",
            number=number,
            total=len(told),
        )
    return text
