"""A running trial is seen from outside by a small file, which costs nothing and stays nowhere."""

from pathlib import Path

from qdexp.execution.beacon import Beacon, Seen, seen
from qdexp.results.folders import PROGRESS_FILE, trial_folder
from qdexp.results.outcome import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def begun(runs: Path) -> tuple[Beacon, Clock]:
    clock = Clock()
    trial_folder(runs, "abc").mkdir(parents=True)
    beacon = Beacon(runs, clock)
    beacon.start("abc")
    return beacon, clock


def report(step: int, loss: float) -> Progress:
    return Progress(step=step, num_steps=100, measurements={"train.loss": loss})


def test_others_see_a_trial_at_most_once_a_second(tmp_path: Path) -> None:
    beacon, clock = begun(tmp_path)
    beacon.progress("abc", report(10, 1.0))
    assert seen(tmp_path, "abc") is None
    clock.now += 2
    beacon.progress("abc", report(20, 0.5))
    expected = Seen(
        step=20, num_steps=100, measurements={"train.loss": 0.5}, first_step=10, seconds=2.0
    )
    assert seen(tmp_path, "abc") == expected
    clock.now += 0.5
    beacon.progress("abc", report(30, 0.4))
    assert seen(tmp_path, "abc") == expected


def test_the_last_step_is_seen_at_once(tmp_path: Path) -> None:
    beacon, clock = begun(tmp_path)
    for step in (10, 100):
        clock.now += 1.0 if step == 10 else 0.1
        beacon.progress("abc", report(step, 1.0))
    found = seen(tmp_path, "abc")
    assert found is not None
    assert found.step == 100


def test_trial_that_is_over_within_a_second_leaves_no_file(tmp_path: Path) -> None:
    beacon, _ = begun(tmp_path)
    beacon.progress("abc", report(100, 1.0))
    beacon.end("abc")
    assert list(trial_folder(tmp_path, "abc").iterdir()) == []


def test_the_end_takes_away_what_a_killed_driver_left_too(tmp_path: Path) -> None:
    beacon, _ = begun(tmp_path)
    folder = trial_folder(tmp_path, "abc")
    (folder / PROGRESS_FILE).write_text("{}")
    (folder / f"{PROGRESS_FILE}.part").write_text("{")
    beacon.end("abc")
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_written_costs_only_the_view(tmp_path: Path) -> None:
    beacon, clock = begun(tmp_path)
    trial_folder(tmp_path, "abc").rmdir()
    clock.now += 2
    beacon.progress("abc", report(10, 1.0))
    beacon.end("abc")
    assert seen(tmp_path, "abc") is None


def test_file_that_is_damaged_or_of_another_version_is_not_seen(tmp_path: Path) -> None:
    begun(tmp_path)
    for content in ("{", "{}", "[]", '{"stop": 1}'):
        (trial_folder(tmp_path, "abc") / PROGRESS_FILE).write_text(content)
        assert seen(tmp_path, "abc") is None
