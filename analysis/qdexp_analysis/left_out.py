"""What each factor gives to the full condition: that one without it, against it, paired by seed."""

from dataclasses import replace

from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge
from qdexp_analysis.design import Design
from qdexp_analysis.looks import ONE_LOOK, Looks


def left_out(
    scores: Scores, design: Design, margin: Margin | None, looks: Looks = ONE_LOOK
) -> tuple[Contrast, ...]:
    """Returns the contrast of each condition in which a factor is set back with the full condition.

    They are a family of their own, beside that of the contrasts with the baseline. None unless the
    design leaves factors out.
    """
    if design.full is None:
        return ()
    positions = [design.full, *design.set_back]
    return tuple(
        replace(contrast, condition=positions[contrast.condition])
        for contrast in judge(scores.at(positions), 0, margin, looks)
    )
