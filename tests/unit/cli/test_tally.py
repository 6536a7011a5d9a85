"""The display's arithmetic: states, speed, time left."""

from qdexp.cli.board import head_of, left_in_words
from qdexp.cli.durations import in_words
from qdexp.cli.tables import aligned
from qdexp.cli.tally import Tally
from qdexp.config.presets import preset
from qdexp.execution.collaborators import FurtherTrials
from qdexp.experiment.plan import Known, Plan, make_plan
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, Outcome, Progress

CONFIGURATION = preset("tiny").replace({"training.max_steps": 100})
TRIALS = [Trial(configuration=CONFIGURATION, seed=s, data_fingerprint="d") for s in range(4)]


def plan_of_four() -> Plan:
    done = {TRIALS[3].trial_id: Known(status="completed", is_final=True)}
    return make_plan("e", [(trial, {"a.b": 1}) for trial in TRIALS], done, [])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_tally_counts_only_what_is_to_run() -> None:
    tally = Tally(clock=Clock())
    tally.plan(plan_of_four())
    assert tally.num_to_run == 3
    assert tally.states() == "3 waiting"


def test_speed_and_time_left_follow_from_progress() -> None:
    clock = Clock()
    tally = Tally(clock=clock)
    tally.plan(plan_of_four())
    trial_id = TRIALS[0].trial_id
    assert tally.start(trial_id).label == "b=1, seed 0"
    assert tally.seconds_left() is None
    clock.now += 10
    tally.progress(trial_id, Progress(step=0, num_steps=100))
    clock.now += 20
    loss = {"train.denoising_loss": 0.5}
    running = tally.progress(trial_id, Progress(step=60, num_steps=100, measurements=loss))
    assert (running.steps_per_second, running.loss) == (3.0, 0.5)
    seconds = tally.seconds_left()
    assert seconds is not None
    whole = 30 / (0.8 * 0.6)
    assert round(seconds) == round(whole - 30 + 2 * whole)
    outcome = Outcome(trial_id=trial_id, status="completed", step=100)
    assert tally.end(outcome) == ("b=1, seed 0", 30.0)
    assert tally.states() == "1 completed, 2 waiting"
    assert tally.seconds_left() == 2 * 30.0


def test_time_left_of_a_search_includes_its_confirmation() -> None:
    clock = Clock()
    tally = Tally(clock=clock)
    tally.plan(plan_of_four())
    tally.ahead = FurtherTrials(num_of_search=6, num_to_confirm=12)
    tally.start(TRIALS[0].trial_id)
    clock.now += 30
    tally.end(Outcome(trial_id=TRIALS[0].trial_id, status="completed", step=100))
    assert tally.seconds_left() == (2 + 6 + 12) * 30.0
    assert left_in_words(tally) == "; about 10 min 00 s left, the confirmation included"
    assert head_of(tally).startswith("1/9 trials: ")
    tally.ahead = FurtherTrials(num_of_search=None, num_to_confirm=12)
    assert head_of(tally) == "1 trial: 1 completed, 2 waiting"


def test_reports_that_arrive_together_give_no_speed() -> None:
    clock = Clock()
    tally = Tally(clock=clock)
    tally.plan(plan_of_four())
    trial_id = TRIALS[0].trial_id
    tally.start(trial_id)
    tally.progress(trial_id, Progress(step=1, num_steps=100))
    clock.now += 0.001
    assert tally.progress(trial_id, Progress(step=9, num_steps=100)).steps_per_second is None


def test_trial_that_never_started_can_end() -> None:
    tally = Tally(clock=Clock())
    tally.plan(plan_of_four())
    failure = Failure(reason="worker died", kind="worker_lost")
    tally.end(Outcome(trial_id=TRIALS[1].trial_id, status="failed", step=0, failure=failure))
    assert tally.states() == "1 failed, 2 waiting"


def test_durations_read_naturally() -> None:
    assert [in_words(s) for s in (0.4, 59, 61, 3599, 7800)] == [
        "0 s", "59 s", "1 min 01 s", "59 min 59 s", "2 h 10 min",
    ]  # fmt: skip


def test_tables_are_as_wide_as_their_cells() -> None:
    assert aligned(("a", "bb"), [("long", 1), ("x", 22)]) == "a     bb\nlong  1\nx     22"
