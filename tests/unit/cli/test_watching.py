"""A run is watched from another process: by the ledger, and by what its driver leaves to see."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.cli.watching import NO_DRIVER, read_tally, watch
from qdexp.config.presets import preset
from qdexp.errors import NotFoundError, RequestError
from qdexp.execution.beacon import Beacon
from qdexp.experiment.trial import Trial
from qdexp.results.folders import trial_folder
from qdexp.results.outcome import Failure, Outcome, Progress
from qdexp.results.recorder import Recorder

PRIMARY = "eval.denoising_loss"
LEVELS = (64, 128)
ASKED = [
    (
        Trial(
            configuration=preset("tiny").replace({"model.num_embeddings": level}),
            seed=seed,
            data_fingerprint="d",
        ),
        {"model.num_embeddings": level},
    )
    for seed in range(2)
    for level in LEVELS
]
IDS = [trial.trial_id for trial, _ in ASKED]


def begun(runs: Path, name: str = "sizes") -> Recorder:
    recorder = Recorder(runs)
    definition = {"name": name, "metrics": {"primary": PRIMARY}}
    recorder.record_plan(("spec.yaml", "text", definition), ASKED)
    return recorder


def complete(recorder: Recorder, trial_id: str, value: float) -> None:
    recorder.record_start(trial_id, 5.0)
    recorder.record_outcome(
        Outcome(
            trial_id=trial_id,
            status="completed",
            step=300,
            measurements={PRIMARY: value},
            provenance={"started_at": 5.0, "finished_at": 15.0},
        )
    )


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def shine(runs: Path, trial_id: str, step: int) -> None:
    """Leaves what a driver lets others see of a trial."""
    clock = Clock()
    trial_folder(runs, trial_id).mkdir(parents=True, exist_ok=True)
    beacon = Beacon(runs, clock)
    beacon.start(trial_id)
    beacon.progress(trial_id, Progress(step=0, num_steps=300))
    clock.now += 10
    measured = {"eval.curve_denoising_loss": 0.75}
    beacon.progress(trial_id, Progress(step=step, num_steps=300, measurements=measured))


def terminal() -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, width=80, height=24, force_terminal=True, color_system=None)
    return console, screen


def test_what_runs_is_seen_with_its_speed_and_its_curve(tmp_path: Path) -> None:
    with begun(tmp_path) as recorder:
        complete(recorder, IDS[0], 0.5)
        recorder.record_start(IDS[1], time.time())
        shine(tmp_path, IDS[1], 150)
        tally = read_tally("sizes", tmp_path, is_driven=True)
        assert tally.states() == "1 completed, 1 running, 2 waiting"
        running = tally.running[IDS[1]]
        assert (running.step, running.steps_per_second, running.value) == (150, 15.0, 0.75)
        assert tally.conditions["num_embeddings=64"].values == [0.5]
        assert tally.seconds_left() is not None


def test_without_a_driver_nothing_runs(tmp_path: Path) -> None:
    with begun(tmp_path) as recorder:
        recorder.record_start(IDS[1], time.time())
        shine(tmp_path, IDS[1], 150)
    assert read_tally("sizes", tmp_path, is_driven=False).states() == "4 waiting"


def test_what_a_killed_driver_left_does_not_run_before_the_next_one_starts_it(
    tmp_path: Path,
) -> None:
    with begun(tmp_path) as recorder:
        recorder.record_start(IDS[1], time.time() - 3600)
        shine(tmp_path, IDS[1], 150)
        assert read_tally("sizes", tmp_path, is_driven=True).states() == "4 waiting"
        recorder.record_start(IDS[1], time.time() + 1)
        (running,) = read_tally("sizes", tmp_path, is_driven=True).running.values()
        assert running.step == 0


def test_failed_trial_that_is_tried_again_runs(tmp_path: Path) -> None:
    with begun(tmp_path) as recorder:
        recorder.record_start(IDS[0], time.time())
        failure = Failure(reason="no", kind="exception")
        recorder.record_outcome(Outcome(trial_id=IDS[0], status="failed", step=3, failure=failure))
        assert read_tally("sizes", tmp_path, is_driven=True).states() == "1 failed, 3 waiting"
        recorder.record_start(IDS[0], time.time())
        shine(tmp_path, IDS[0], 10)
        assert read_tally("sizes", tmp_path, is_driven=True).states() == "1 running, 3 waiting"


def test_watching_goes_on_until_the_driver_ends_and_shows_its_last_word(tmp_path: Path) -> None:
    recorder, (console, screen) = begun(tmp_path), terminal()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) < 4:
            complete(recorder, IDS[len(pauses) - 1], 0.5)
        else:
            complete(recorder, IDS[3], 0.5)
            recorder.close()

    watch("sizes", tmp_path, console=console, pause=pause)
    assert len(pauses) == 4
    assert min(pauses) >= 1
    text = screen.getvalue()
    assert "sizes: 3/4 trials: 3 completed, 1 waiting" in text
    assert "sizes: 4/4 trials: 4 completed" in text
    assert NO_DRIVER in text


def test_ctrl_c_leaves_the_driver_alone(tmp_path: Path) -> None:
    console, screen = terminal()

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with begun(tmp_path):
        watch("sizes", tmp_path, console=console, pause=interrupted)
    assert "0/4 trials: 4 waiting" in screen.getvalue()
    assert NO_DRIVER not in screen.getvalue()


def test_elsewhere_a_line_is_printed_when_something_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = begun(tmp_path)
    steps: list[Callable[[], None]] = [
        lambda: None,
        lambda: complete(recorder, IDS[0], 0.5),
        recorder.close,
    ]
    watch("sizes", tmp_path, console=Console(file=io.StringIO()), pause=lambda _: steps.pop(0)())
    assert capsys.readouterr().out.splitlines() == [
        "sizes: 0/4 trials: 4 waiting",
        "sizes: 1/4 trials: 1 completed, 3 waiting; about 30 s left",
        NO_DRIVER,
    ]


def test_only_experiment_needs_no_name(tmp_path: Path) -> None:
    begun(tmp_path).close()
    console, screen = terminal()
    watch(None, tmp_path, console=console)
    assert "sizes: 0/4" in screen.getvalue()
    begun(tmp_path, "others").close()
    with pytest.raises(RequestError, match="has sizes, others"):
        watch(None, tmp_path, console=console)
    with pytest.raises(NotFoundError):
        watch("nothing", tmp_path, console=console)


def test_json_and_watch_exclude_each_other(tmp_path: Path) -> None:
    words = ["status", "sizes", "--watch", "--json", "--runs", str(tmp_path)]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, RequestError)
