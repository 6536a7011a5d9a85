"""`qdexp ablate`: which changes from a baseline to a winner carry the gain, as experiments."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.api.ablation_request import Ablation, AblationRequest
from qdexp.api.composition import (
    Audience,
    Conducting,
    Report,
    RunOptions,
    at_work,
    dataset_of,
    nobody,
    refreshed,
)
from qdexp.config.catalogue import OUR_METRICS, OwnMetrics
from qdexp.errors import NotFoundError, RequestError, SameErrorError
from qdexp.results.ledger import Ledger

if TYPE_CHECKING:
    from qdexp.execution.conduct import Conducted
    from qdexp.execution.path_walk import Measured, Rules
    from qdexp.execution.ports import Reported
    from qdexp.experiment.ablation_path import Round
    from qdexp.experiment.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Experimented:
    """One experiment that an ablation made.

    Args:
        name: Its name.
        file: Its spec.
        conducted: What its last run did, and its report if one was wanted.
        num_run: Outcomes that were recorded for it, over all rounds.
    """

    name: str
    file: Path
    conducted: "Conducted"
    num_run: int


@dataclass(frozen=True, kw_only=True)
class Ablated:
    """What an ablation did.

    Args:
        winner: What was explained, in words.
        rounds: The path, round by round.
        steps: It in sentences.
        is_whole: Whether it leads to the winner.
        num_run: Outcomes that this call recorded.
        path: The experiment of the path; None where no candidate of its first round completed.
        left_out: The experiment that leaves changes out of the winner, if it was asked for.
        search: The report of the search whose winner was explained, which has the path now; None
            where reports were not wanted, or where the winner is no search's.
    """

    winner: str
    rounds: "tuple[Round, ...]"
    steps: tuple[str, ...]
    is_whole: bool
    num_run: int
    path: Experimented | None
    left_out: Experimented | None
    search: "Reported | None" = None


def ablated(
    request: AblationRequest,
    options: RunOptions,
    *,
    leave_one_out: bool = False,
    with_report: bool = True,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> Ablated:
    """Runs what is missing of an ablation path; rounds that are decided are not run again.

    Args:
        request: What is explained.
        options: How trials are run.
        leave_one_out: Whether each change is also left out of the winner.
        with_report: Whether the experiments get their reports, and the search a new one.
        listening: Lends who hears of it.
        interrupting: Makes signals an interruption; `signals_interrupt` unless given.

    Raises:
        RequestError: The request was wrong; nothing was written.
        SameErrorError: The first trials of a round all failed with the same error.
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        LedgerError: The ledger cannot be written.
    """
    ablation, runs = request.read(), request.runs_folder
    if leave_one_out:
        _check_several(ablation.changes.fields)
    with at_work(
        ablation.shared, runs, options, listening=listening, interrupting=interrupting
    ) as conducted:
        walk = _Walk(ablation, runs, conducted)
        return walk.whole(leave_one_out=leave_one_out, with_report=with_report)


def _check_several(changes: Sequence[str]) -> None:
    if len(changes) < 2:
        problem = "expected two changes or more, of which one is left out and others stay, found"
        raise RequestError(f"--leave-one-out: {problem} {', '.join(changes)} alone")


class _Walk:
    """Runs an ablation's experiments, and reads from the ledger what they measured."""

    def __init__(self, ablation: Ablation, runs: Path, conducted: Conducting) -> None:
        self._ablation = ablation
        self._draft = ablation.draft
        self._runs = runs
        self._conducted = conducted
        self._dataset = dataset_of(runs)
        self.num_run: Counter[str] = Counter()

    def whole(self, *, leave_one_out: bool, with_report: bool) -> Ablated:
        """Runs what is missing of the path, and of what goes beside it."""
        beside = self.left_out_text() if leave_one_out else None
        rounds = self.rounds()
        path = self.ended(rounds, with_report=with_report)
        left_out = self._experimented(*beside, with_report=with_report) if beside else None
        search = self._draft.winner.search if with_report else None
        return Ablated(
            winner=self._draft.winner.in_words,
            rounds=rounds,
            steps=tuple(self.steps(rounds)),
            is_whole=bool(rounds) and rounds[-1].kept is not None,
            num_run=sum(self.num_run.values()),
            path=path,
            left_out=left_out,
            search=None if search is None else refreshed(search, self._runs),
        )

    def rounds(self) -> "tuple[Round, ...]":
        """Returns the path, running what is missing of it."""
        from qdexp.execution.path_walk import walked

        return walked(self._ablation.changes, self._rules(), self._measure, self._begun())

    def ended(self, rounds: "Sequence[Round]", *, with_report: bool) -> Experimented | None:
        """Records the whole path as its experiment, and reports."""
        if not any(each.is_listed for one in rounds for each in one.candidates):
            return None
        text = self._draft.text(rounds, len(self._draft.seeds))
        return self._experimented(self._draft.name, text, with_report=with_report)

    def left_out_text(self) -> tuple[str, str]:
        """Returns the name and the YAML of the winner without each of its changes, checked."""
        from qdexp.experiment.derived import derived_name
        from qdexp.experiment.path_text import left_out_text

        draft = self._draft
        text = left_out_text(draft.source, draft.winner, self._ablation.changes, draft.seeds)
        return self._spec(text, derived_name(draft.source.name, "left_out")).name, text

    def steps(self, rounds: "Sequence[Round]") -> Iterator[str]:
        """Yields what each round kept, and what its mean is."""
        from qdexp.execution.path_words import step_sentences

        if not rounds or not any(each.is_listed for each in rounds[0].candidates):
            return
        measured = self._known(self._spec(self._draft.text(rounds, len(self._draft.seeds))))
        yield from step_sentences(rounds, measured, self._ablation.shared.metrics.primary)

    def _rules(self) -> "Rules":
        from qdexp.execution.path_walk import Rules

        spec = self._ablation.shared
        known = OwnMetrics(spec.own.metrics) if spec.own else OUR_METRICS
        direction = known.metric(spec.metrics.primary).direction
        assert direction != "neither", "a primary metric has a better direction"
        number = len(self._draft.seeds)
        return Rules(num_seeds=number, direction=direction, is_raced=self._draft.is_raced)

    def _begun(self) -> "list[Round]":
        """Returns the rounds of the same path that were decided by results that are there."""
        from qdexp.execution.path_walk import still_decided
        from qdexp.experiment.ablation_path import path_of

        try:
            with Ledger(self._runs) as ledger:
                last = ledger.specs(self._draft.name)[-1].definition
        except NotFoundError:
            return []
        if not self._draft.is_of(last):
            return []
        decided = [each for each in path_of(last) if each.kept is not None]
        number = len(self._draft.seeds)
        known = self._known(self._spec(self._draft.text(decided, number))) if decided else ()
        return still_decided(decided, known)

    def _measure(self, rounds: "Sequence[Round]", num_seeds: int) -> "Measured":
        from qdexp.execution.planning import plan_of

        spec = self._spec(self._draft.text(rounds, num_seeds))
        with Ledger(self._runs) as ledger:
            is_missing = bool(plan_of(spec, ledger, self._dataset).to_run)
        if is_missing:
            self._run(spec, None)
        return self._known(spec)

    def _known(self, spec: "Spec") -> "Measured":
        from qdexp.execution.path_walk import measured

        with Ledger(self._runs) as ledger:
            return measured(spec, ledger, self._dataset)

    def _spec(self, text: str, name: str = "") -> "Spec":
        from qdexp.experiment.reader import spec_of
        from qdexp.results.derived_files import derived_file

        return spec_of(text, derived_file(self._runs, name or self._draft.name))

    def _experimented(self, name: str, text: str, *, with_report: bool) -> Experimented:
        spec = self._spec(text, name)
        report = partial(refreshed, name, self._runs) if with_report else None
        done = self._run(spec, report)
        number = self.num_run[name]
        return Experimented(name=name, file=Path(spec.file), conducted=done, num_run=number)

    def _run(self, spec: "Spec", report: Report | None) -> "Conducted":
        done = self._conducted(spec, report)
        self.num_run[spec.name] += done.num_run
        if done.stopped:
            raise SameErrorError(done.stopped)
        return done
