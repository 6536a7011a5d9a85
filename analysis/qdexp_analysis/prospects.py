"""What more trials could decide about a contrast."""

from dataclasses import dataclass
from typing import Literal

from qdexp_analysis.contrasts import Contrast, Margin
from qdexp_analysis.looks import ONE_LOOK, Looks
from qdexp_analysis.planning import clips_suffice, family_level, minimum_detectable, seeds_needed


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What more trials could decide about a contrast.

    Args:
        minimum_detectable: The true difference found with 80 % power, or None if unknown.
        seeds_needed: Seeds that would find the smallest effect of interest, or None.
        obstacle: Why no number of seeds is given: it is above `MOST_SEEDS`, or no number is
            enough because the clips differ too much; None where neither is so.
    """

    minimum_detectable: float | None = None
    seeds_needed: int | None = None
    obstacle: Literal["seeds", "clips"] | None = None


def prospect(
    contrast: Contrast, margin: Margin | None, num_contrasts: int, looks: Looks = ONE_LOOK
) -> Prospect:
    """Returns what more trials could decide about one of a family of contrasts."""
    if contrast.estimate is None or not contrast.estimate.errors:
        return Prospect()
    level = looks.level(family_level(num_contrasts))
    detectable = max(minimum_detectable(error, level) for error in contrast.estimate.errors)
    if margin is None or contrast.verdict != "undecided" or not contrast.is_paired:
        return Prospect(minimum_detectable=detectable)
    effect = margin.around(contrast.baseline_mean)
    if not clips_suffice(contrast.differences, effect, level):
        return Prospect(minimum_detectable=detectable, obstacle="clips")
    needed = seeds_needed(contrast.differences, effect, level)
    obstacle = "seeds" if needed is None else None
    return Prospect(minimum_detectable=detectable, seeds_needed=needed, obstacle=obstacle)
