"""What trials of a search are compared by while they run: in the ledger before anybody decides."""

import math

from qdexp.execution.pruning import reason_to_prune, rung_of
from qdexp.execution.study import Study
from qdexp.execution.watched import Watched
from qdexp.experiment.search_spec import Pruning
from qdexp.results.outcome import Progress


class Rungs:
    """Takes note of what trials reach at the steps of pruning, and judges them there.

    Args:
        pruning: The rule, or None where nothing is pruned.
        study: What the search knows.
    """

    def __init__(self, pruning: Pruning | None, study: Study) -> None:
        self._pruning = pruning
        self._study = study

    def hear(self, watched: Watched, progress: Progress) -> None:
        """Takes note of what a trial reports and of what it says that it measured before."""
        pruning, trial_id = self._pruning, watched.planned.trial.trial_id
        if pruning is None or trial_id not in self._study.number_of:  # a teacher
            return
        points = list(progress.earlier.get(pruning.metric, ()))
        watched.is_fresh |= bool(points)
        if pruning.metric in progress.measurements:
            points.append((progress.step, progress.measurements[pruning.metric]))
        for step, value in points:
            rung = rung_of(pruning, step)
            if rung is None:
                continue
            if not math.isfinite(value):
                watched.broken = reason_to_prune(pruning, value, (), step)
            elif watched.is_first_at(rung, step):
                self._study.add_rung(trial_id, rung, value)

    def judged(self, trial_id: str, judged: set[int]) -> str:
        """Returns why a trial ends at the last step that it reached, if it was not judged there."""
        rungs = self._study.rungs(trial_id)
        step = max(rungs, default=None)
        if self._pruning is None or step is None or step in judged:
            return ""
        judged.add(step)
        others = self._study.others_at(trial_id, step)
        return reason_to_prune(self._pruning, rungs[step], others, step)
