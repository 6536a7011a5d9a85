"""What a person sees while trials run, in a terminal and without one."""

import io

import pytest
from rich.console import Console

from qdexp.cli.display import LiveDisplay, PlainDisplay
from qdexp.config.presets import preset
from qdexp.execution.collaborators import Display
from qdexp.experiment.plan import make_plan
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, Outcome, Progress

TRIALS = [Trial(configuration=preset("tiny"), seed=s, data_fingerprint="d") for s in range(3)]
PLAN = make_plan("e", [(trial, {"model.num_embeddings": 8192}) for trial in TRIALS], {}, [])
FAILED = Failure(reason="ValueError: the disk is on fire", kind="exception")


def play(display: Display) -> None:
    first, second, _ = (trial.trial_id for trial in TRIALS)
    loss = {"train.denoising_loss": 0.25}
    display.on_plan(PLAN)
    display.on_preparation("workers")
    display.on_start(first)
    display.on_progress(first, Progress(step=30, num_steps=300, measurements=loss))
    display.on_start(second)
    display.on_outcome(Outcome(trial_id=second, status="failed", step=0, failure=FAILED))
    display.on_progress(first, Progress(step=300, num_steps=300))


@pytest.mark.parametrize("width", [80, 160])
def test_live_display_shows_the_plan_each_running_trial_and_what_ended(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    with LiveDisplay(console) as display:
        play(display)
    text = screen.getvalue()
    assert "3 trials: 3 new" in text
    assert "1/3 trials: 1 failed, 1 running, 1 waiting" in text
    assert "measuring" in text
    assert "ValueError: the disk is on fire" in text.replace("\n", " ")
    assert ("━" in text) == (width == 160)


def test_what_is_not_known_of_a_running_trial_is_not_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qdexp.cli.display.PLAIN_SECONDS", 0.0)
    play(PlainDisplay())
    lines = capsys.readouterr().err.splitlines()
    assert lines[3].endswith("  step 30/300, loss 0.25")


def test_a_report_that_is_written_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay().on_report()
    assert capsys.readouterr().err == "writing the report\n"
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with LiveDisplay(console) as display:
        display.on_report()
        console.print(display._draw())
    assert "writing the report …" in screen.getvalue()


def test_plain_display_prints_a_line_for_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    play(PlainDisplay())
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0] == "3 trials: 3 new"
    assert lines[1] == "preparing workers"
    assert lines[2].endswith("started    num_embeddings=8192, seed 0")
    assert "failed  num_embeddings=8192, seed 1 in 0 s: ValueError: the disk is on fire" in lines[4]
    assert lines[5].startswith("1 failed, 1 running, 1 waiting")
