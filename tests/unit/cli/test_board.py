"""The table by condition is readable in narrow and wide terminals, with few and many conditions."""

import io

import pytest
from rich.console import Console

from qdexp.cli.board import Space, board
from qdexp.cli.tally import Tally, comparable
from qdexp.config.presets import preset
from qdexp.experiment.plan import make_plan
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Failure, Outcome, Progress

PRIMARY = "eval.denoising_loss"
FIELDS = ("model.num_embeddings", "training.learning_rate", "model.ema_decay", "model.dropout")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Run:
    """A plan of conditions and seeds, played by hand."""

    def __init__(
        self, num_conditions: int, num_factors: int = 1, seeds: int = 2, primary: str = PRIMARY
    ) -> None:
        self.clock = Clock()
        self.primary = primary
        self.tally = Tally(primary, self.clock)
        self.trials: list[Trial] = []
        asked: list[tuple[Trial, Condition]] = []
        for number in range(num_conditions):
            condition = {field: 64 + number for field in FIELDS[:num_factors]}
            configuration = preset("tiny").replace({FIELDS[0]: 64 + number})
            for seed in range(seeds):
                trial = Trial(configuration=configuration, seed=seed, data_fingerprint="d")
                self.trials.append(trial)
                asked.append((trial, condition))
        self.tally.plan(make_plan("e", asked, {}, []))

    def progress(self, index: int, step: int, gpu: int | None = None, **measured: float) -> None:
        values = {name.replace("__", "."): value for name, value in measured.items()}
        report = Progress(step=step, num_steps=300, measurements=values, gpu_memory_bytes=gpu)
        self.tally.progress(self.trials[index].trial_id, report)

    def start(self, index: int) -> None:
        self.tally.start(self.trials[index].trial_id)

    def end(self, index: int, value: float | None = None) -> None:
        failure = None if value is not None else Failure(reason="no", kind="exception")
        self.tally.end(
            Outcome(
                trial_id=self.trials[index].trial_id,
                status="completed" if failure is None else "failed",
                step=300,
                measurements={} if value is None else {self.primary: value},
                failure=failure,
            )
        )

    def drawn(self, width: int, height: int = 24) -> list[str]:
        screen = io.StringIO()
        console = Console(file=screen, width=width, color_system=None, force_terminal=True)
        console.print(board(self.tally, Space(width=width, height=height)))
        return screen.getvalue().splitlines()


def playing() -> Run:
    run = Run(3)
    run.start(0)
    run.end(0, 0.25)
    run.start(1)
    run.end(1)
    run.start(2)
    run.progress(2, 0)
    run.clock.now += 10
    run.progress(2, 150, eval__curve_denoising_loss=0.5, train__loss=9.0)
    return run


@pytest.mark.parametrize("width", [80, 120])
def test_a_row_says_what_is_done_what_runs_how_well_how_fast_and_how_long_still(width: int) -> None:
    head, first, second, third, note = playing().drawn(width)
    assert head.split() == [
        *("condition", "done", "now", "bad", "steps", "denoising", "loss", "steps/s", "left"),
    ]
    plain = [
        row.replace("━", "").replace("╸", "").replace("╺", "").split()
        for row in (first, second, third)
    ]
    assert plain[0] == ["num_embeddings=64", "1/2", "1", "100", "%", "0.25", "done"]
    assert plain[1] == ["num_embeddings=65", "0/2", "1", "25", "%", "~0.5", "15", "10", "s"]
    assert plain[2] == ["num_embeddings=66", "0/2", "0", "%", "-"]
    assert note.startswith("~ of trials that run")
    assert ("━" in first) == (width == 120)


def test_metric_of_an_own_function_has_its_column_and_its_mark_means_no_clips() -> None:
    run = Run(2, seeds=1, primary="error")
    run.start(0)
    run.end(0, 0.25)
    assert len(run.drawn(110)) == 3
    run.start(1)
    run.progress(1, 30, error=0.5)
    head, first, second, note = run.drawn(110)
    assert "error" in head.split()
    assert first.split()[-2:] == ["0.25", "done"]
    assert "~0.5" in second.split()
    assert note == "~ of trials that run: no result yet"


def test_one_condition_that_is_left_out_is_one() -> None:
    run = Run(13, seeds=1)
    for index in range(12):
        run.start(index)
    assert "1 other condition: 1 waiting" in run.drawn(80, height=20)[-1:]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("num_factors", [1, 4])
def test_no_line_is_wider_than_the_terminal(width: int, num_factors: int) -> None:
    run = Run(5, num_factors)
    run.start(0)
    run.progress(0, 10, gpu=3 * 2**30)
    run.start(2)
    run.end(2)
    lines = run.drawn(width)
    assert len(lines) == 6
    assert max(map(len, lines)) <= width
    assert "left" in lines[0]
    assert "3.0 GiB" in lines[1]


def test_labels_that_do_not_fit_lose_their_names_and_not_their_levels() -> None:
    head, first, *_ = Run(2, 4).drawn(80)
    assert head.startswith("num_embeddings / ")
    assert first.startswith("64 / 64 / 64 / 64 ")


def test_of_hundreds_of_conditions_those_that_run_are_shown_and_the_rest_is_counted() -> None:
    run = Run(300)
    for index in range(10):
        run.start(index)
        run.end(index, 0.5) if index < 8 else run.end(index)
    run.start(40)
    lines = run.drawn(80, height=20)
    assert len(lines) <= 20
    assert [line for line in lines if line.startswith("num_embeddings=84 ")]
    said = "299 other conditions: 4 done, 1 with bad trials, 294 waiting"
    assert said in lines


def test_more_running_conditions_than_lines_are_counted_as_running() -> None:
    run = Run(50, seeds=1)
    for index in range(50):
        run.start(index)
    lines = run.drawn(80, height=20)
    assert len(lines) <= 20
    assert "38 other conditions: 38 running" in lines


def test_curve_whose_definition_a_factor_changes_is_not_shown_beside_others() -> None:
    assert comparable(PRIMARY, [{"model.num_embeddings": 1}]) == (
        PRIMARY,
        "eval.curve_denoising_loss",
    )
    assert comparable(PRIMARY, [{"diffusion.min_step": 1}]) == (PRIMARY,)
    assert comparable("their.score", [{"a.b": 1}]) == ("their.score",)


def test_a_trial_that_measures_says_so() -> None:
    run = Run(1)
    run.start(0)
    run.progress(0, 300)
    assert run.drawn(80)[1].endswith("measuring")
