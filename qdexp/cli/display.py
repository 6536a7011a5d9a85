"""What a person sees while trials run: a live table in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from qdexp.cli.board import Space, board, head_of, left_in_words
from qdexp.cli.durations import in_words
from qdexp.cli.tally import Running, Tally
from qdexp.execution.collaborators import FurtherTrials
from qdexp.experiment.plan import Plan
from qdexp.results.outcome import Outcome, Progress

PLAIN_SECONDS = 20.0
"""Time between two plain lines about one running trial."""


class PlainDisplay:
    """Prints a line to stderr for whatever happens, and now and then one about progress.

    Args:
        primary: The metric that trials are compared on.
    """

    def __init__(self, primary: str = "") -> None:
        self._tally = Tally(primary)
        self._last_line: dict[str, float] = {}
        self._best = ""

    def on_plan(self, plan: Plan) -> None:
        """Prints the counts."""
        self._tally.plan(plan)
        _say(plan.summary())

    def on_suggestion(self, plan: Plan, ahead: FurtherTrials) -> None:
        """Takes note of trials that a search goes on with; their starts are told."""
        self._tally.plan(plan)
        self._tally.ahead = ahead

    def on_best(self, text: str) -> None:
        """Prints what a search found so far, where that changed."""
        if text != self._best:
            self._best = text
            _say(text)

    def on_preparation(self, what: str) -> None:
        """Prints what is made."""
        _say(f"preparing {what}")

    def on_report(self) -> None:
        """Prints it."""
        _say("writing the report")

    def on_start(self, trial_id: str) -> None:
        """Prints which trial begins."""
        running = self._tally.start(trial_id)
        self._last_line[trial_id] = time.monotonic()
        _say(f"{trial_id[:8]}  started    {running.label}")

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """Prints a trial's step, not more often than every `PLAIN_SECONDS`."""
        running = self._tally.progress(trial_id, progress)
        now = time.monotonic()
        if now - self._last_line[trial_id] >= PLAIN_SECONDS:
            self._last_line[trial_id] = now
            _say(f"{trial_id[:8]}  {', '.join(_known(running))}")

    def on_outcome(self, outcome: Outcome) -> None:
        """Prints how a trial ended, and what is left."""
        _say(_ending(outcome, self._tally))
        _say(f"{self._tally.states()}{left_in_words(self._tally)}")


class LiveDisplay:
    """Draws the conditions in place in a terminal; what a person must know scrolls away above.

    Args:
        console: The terminal.
        primary: The metric that trials are compared on.
    """

    def __init__(self, console: Console, primary: str = "") -> None:
        self._tally = Tally(primary)
        self._console = console
        self._note = ""
        self._best = ""
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=2)

    def __enter__(self) -> Self:
        """Begins to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops drawing; the last state stays on the screen."""
        self._note = ""
        self._live.stop()

    def on_plan(self, plan: Plan) -> None:
        """Shows the counts."""
        self._tally.plan(plan)
        self._console.print(plan.summary(), highlight=False)

    def on_suggestion(self, plan: Plan, ahead: FurtherTrials) -> None:
        """Adds the trials that a search goes on with."""
        self._tally.plan(plan)
        self._tally.ahead = ahead

    def on_best(self, text: str) -> None:
        """Shows what a search found so far."""
        self._best = text

    def on_preparation(self, what: str) -> None:
        """Shows what is made."""
        self._note = f"preparing {what}"

    def on_report(self) -> None:
        """Shows it."""
        self._note = "writing the report"

    def on_start(self, trial_id: str) -> None:
        """Adds a row."""
        self._note = ""
        self._tally.start(trial_id)

    def on_progress(self, trial_id: str, progress: Progress) -> None:
        """Moves a row's bar."""
        self._tally.progress(trial_id, progress)

    def on_outcome(self, outcome: Outcome) -> None:
        """Counts it; a line above tells of what did not complete, or warned."""
        line = _ending(outcome, self._tally)
        if outcome.status != "completed" or outcome.warnings:
            colour = "red" if outcome.status == "failed" else "yellow"
            self._console.print(Text(line, style=colour))

    def _draw(self) -> Group:
        parts: list[RenderableType] = []
        if self._tally.num_to_run:
            parts.append(Text(head_of(self._tally), overflow="ellipsis", no_wrap=True))
        if self._best:
            parts.append(Text(self._best, overflow="ellipsis", no_wrap=True))
        if self._note:
            parts.append(Text(self._note + " …", style="dim"))
        if self._tally.num_to_run:
            space = Space(width=self._console.width, height=self._console.height)
            parts.append(board(self._tally, space))
        return Group(*parts)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _ending(outcome: Outcome, tally: Tally) -> str:
    label, seconds = tally.end(outcome)
    reason = f": {outcome.failure.reason}" if outcome.failure else ""
    took = f" in {in_words(seconds)}"
    warned = "".join(f"; warning: {text}" for text in outcome.warnings)
    return f"{outcome.trial_id[:8]}  {outcome.status}  {label}{took}{reason}{warned}"


def _step(running: Running) -> str:
    steps = f"step {running.step}/{running.num_steps}"
    return f"{steps}, measuring" if running.step >= running.num_steps else steps


def _known(running: Running) -> Iterator[str]:
    """Yields what is known of a running trial: its step, and then its speed and its loss."""
    yield _step(running)
    if running.steps_per_second:
        yield f"{running.steps_per_second:.1f} steps/s"
    if running.loss is not None:
        yield f"loss {running.loss:.4g}"
