"""A display that shows nothing."""

from qdexp.execution.collaborators import FurtherTrials
from qdexp.experiment.plan import Plan
from qdexp.results.outcome import Outcome, Progress


class SilentDisplay:
    """Hears what happens to trials, and tells nobody."""

    def on_plan(self, plan: Plan) -> None:
        """The plan is known."""

    def on_suggestion(self, plan: Plan, ahead: FurtherTrials) -> None:
        """A search goes on."""

    def on_best(self, text: str) -> None:
        """A search found something."""

    def on_preparation(self, what: str) -> None:
        """Something that takes a while begins."""

    def on_report(self) -> None:
        """A report is written."""

    def on_start(self, trial_id: str) -> None:
        """An attempt began."""

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """A running trial reported."""

    def on_outcome(self, outcome: Outcome) -> None:
        """A trial ended."""


SILENT = SilentDisplay()
