"""What every executor has in common that runs trials one by one, as a search gives them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from test_executors import Heard, assignment

from qdexp.backends.inline import InlineExecutor
from qdexp.errors import BudgetSpentError, InterruptedRunError, LedgerError
from qdexp.execution.ports import Assignment
from qdexp.execution.search_ports import SearchExecutor
from qdexp.experiment.spec import Resources
from qdexp.results.outcome import Failure, Outcome, Progress

Prunes = Callable[[str], bool]


class Given(Heard):
    """A feed of a list, which also is the listener, as a search is.

    Attributes:
        at_once: The most trials that ran at one time.
        before: For each trial that was given, how many outcomes had been heard then.
        closed: Trials that were ended early and had been closed when that was heard.
    """

    def __init__(self, assignments: Sequence[Assignment], prunes: Prunes = lambda _: False) -> None:
        super().__init__()
        self._left = list(assignments)
        self._prunes = prunes
        self._is_busy = False
        self.running: dict[str, Assignment] = {}
        self.at_once = 0
        self.before: list[int] = []
        self.closed: set[str] = set()

    def take(self) -> Assignment | None:
        if not self._left:
            return None
        self.before.append(sum(isinstance(event, Outcome) for _, event in self.events))
        given = self._left.pop(0)
        self.running[given.trial.trial_id] = given
        self.at_once = max(self.at_once, len(self.running))
        return given

    def pruned(self, trial_id: str) -> Outcome | None:
        assert isinstance(self.of(trial_id)[-1], Progress)  # it was heard before
        if not self._prunes(trial_id):
            return None
        failure = Failure(reason="no good")
        return Outcome(trial_id=trial_id, status="pruned", step=1, failure=failure)

    def on_outcome(self, outcome: Outcome) -> None:
        super().on_outcome(outcome)
        ended = self.running.pop(outcome.trial_id)
        if outcome.status == "pruned" and (ended.workspace.folder / "was_closed").exists():
            self.closed.add(outcome.trial_id)


class OneAfterTheOther(Given):
    """A feed in which nothing comes before what runs has ended, and then once more the first."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        super().__init__([*assignments, assignments[0]])

    def take(self) -> Assignment | None:
        return None if self.running else super().take()


class FollowContract:
    """The suite; a subclass names its executor."""

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> SearchExecutor:
        raise NotImplementedError

    def test_every_trial_that_is_given_ends_once_whatever_it_ends_in(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        toys = ("completes", "raises", "diverges", "completes", "ends_in_nan")
        trials = [assignment(tmp_path, toy, seed=seed) for seed, toy in enumerate(toys)]
        feed = Given(trials)
        executor.follow(feed, feed)
        assert [feed.outcome(each).status for each in trials] == [
            "completed", "failed", "diverged", "completed", "diverged",
        ]  # fmt: skip
        for each in trials:
            first, *between, last = feed.of(each.trial.trial_id)
            assert first == "start"
            assert all(isinstance(event, Progress) for event in between)
            assert isinstance(last, Outcome)

    def test_one_worker_is_given_a_trial_when_all_before_have_ended(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        feed = Given([assignment(tmp_path, "completes", seed=seed) for seed in range(4)])
        executor.follow(feed, feed, workers=1)
        assert feed.at_once == 1
        assert feed.before == [0, 1, 2, 3]

    def test_feed_may_have_nothing_for_a_while_and_give_a_trial_again(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        trials = [assignment(tmp_path, "raises"), assignment(tmp_path, "completes")]
        feed = OneAfterTheOther(trials)
        executor.follow(feed, feed)
        assert feed.at_once == 1
        assert [event for _, event in feed.events].count("start") == 3
        statuses = [event.status for _, event in feed.events if isinstance(event, Outcome)]
        assert statuses == ["failed", "completed", "failed"]

    def test_trial_that_is_ended_early_was_closed_before_that_is_heard(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        endless = assignment(tmp_path, "never_ends")
        endless.workspace.folder.mkdir(parents=True, exist_ok=True)
        feed = Given(
            [endless, assignment(tmp_path, "completes")], lambda trial_id: trial_id == ended
        )
        ended = endless.trial.trial_id
        executor.follow(feed, feed, workers=1)
        assert feed.closed == {ended}
        assert [outcome.status for outcome in feed.outcomes.values()] == ["pruned", "completed"]
        assert [event for event in feed.of(ended) if isinstance(event, Outcome)] == [
            feed.outcomes[ended]
        ]

    def test_nothing_to_give_is_done(self, executor: SearchExecutor) -> None:
        feed = Given([])
        executor.follow(feed, feed)
        assert feed.events == []

    @pytest.mark.parametrize("moment", ["take", "pruned", "on_outcome"])
    def test_what_a_feed_raises_ends_the_run_as_it_is(
        self, executor: SearchExecutor, tmp_path: Path, moment: str
    ) -> None:
        toy = assignment(tmp_path, "never_ends" if moment == "pruned" else "completes")
        toy.workspace.folder.mkdir(parents=True, exist_ok=True)
        feed = Given([toy])

        def refuse(*_arguments: object) -> None:
            raise LedgerError("no space left")

        setattr(feed, moment, refuse)
        with pytest.raises(LedgerError, match="no space left"):
            executor.follow(feed, feed)

    def test_signal_closes_running_trials_and_leaves_them_without_outcome(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        stopping = assignment(
            tmp_path, "asks_its_driver_to_stop", start_from=Path(f"/SIGTERM-{os.getpid()}")
        )
        before = signal.getsignal(signal.SIGTERM)
        feed = Given([stopping])
        with pytest.raises(InterruptedRunError, match="SIGTERM"):
            executor.follow(feed, feed)
        assert (stopping.workspace.folder / "was_closed").exists()
        assert feed.outcomes == {}
        assert signal.getsignal(signal.SIGTERM) is before

    def test_deadline_closes_running_trials(self, executor: SearchExecutor, tmp_path: Path) -> None:
        endless = assignment(tmp_path, "never_ends")
        endless.workspace.folder.mkdir(parents=True, exist_ok=True)

        class Late(Given):
            def pruned(self, trial_id: str) -> Outcome | None:
                time.sleep(0.05)
                return super().pruned(trial_id)

        feed = Late([endless])
        with pytest.raises(BudgetSpentError):
            executor.follow(feed, feed, deadline=time.monotonic() + 1)
        assert feed.outcomes == {}


class TestInline(FollowContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> SearchExecutor:
        return InlineExecutor()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from qdexp.backends.ray_tune import local_cluster

    with local_cluster():
        yield


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
class TestRayTune(FollowContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, tmp_path_factory: pytest.TempPathFactory) -> SearchExecutor:
        from qdexp.backends.ray_tune import RayTuneExecutor

        folder = tmp_path_factory.mktemp("ray")
        return RayTuneExecutor(storage=folder, resources=Resources())

    def test_workers_are_limited_and_used(self, executor: SearchExecutor, tmp_path: Path) -> None:
        feed = Given([assignment(tmp_path, "completes", seed=seed) for seed in range(6)])
        executor.follow(feed, feed, workers=2)
        assert feed.at_once == 2

    def test_worker_of_a_trial_that_was_ended_early_is_kept_for_the_next(
        self, executor: SearchExecutor, tmp_path: Path
    ) -> None:
        endless = assignment(tmp_path, "says_who_it_is")
        others = [assignment(tmp_path, "completes", seed=seed) for seed in range(2)]
        for each in (endless, *others):
            each.workspace.folder.mkdir(parents=True, exist_ok=True)
        feed = Given([*others[:1], endless, *others[1:]], lambda each: each == ended)
        ended = endless.trial.trial_id
        executor.follow(feed, feed, workers=1)
        pids = {feed.outcome(each).provenance["pid"] for each in others}
        assert pids == {int((endless.workspace.folder / "pid").read_text())}
