"""The pictures of a trial."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.api.interruption import interruptions_wait
from qdexp.results.folders import CODE_HISTOGRAM, REAL_CLIPS, SAMPLED_CLIPS

if TYPE_CHECKING:
    from qdexp.results.outcome import Outcome


def draw(outcome: "Outcome", folder: Path) -> Sequence[Path]:
    """Draws the histogram of a trial's codes, if it counted them; its clips are there already."""
    clips = [folder / name for name in (SAMPLED_CLIPS, REAL_CLIPS) if (folder / name).is_file()]
    counts = outcome.arrays.get("eval.code_counts")
    if counts is None:
        return clips
    from qdexp_analysis.code_histogram import save_code_histogram

    with interruptions_wait():  # of one in its renderer, matplotlib makes a ValueError
        return [save_code_histogram(counts.values, folder / CODE_HISTOGRAM), *clips]
