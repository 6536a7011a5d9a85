"""Whatever a trainable reports, an attempt yields plain reports and one outcome."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from qdexp.config.presets import preset
from qdexp.execution.attempt import attempt
from qdexp.execution.ports import Assignment, Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress

TOYS = Path(__file__).parents[2] / "contract" / "toy_trainables.py"


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    spec = importlib.util.spec_from_file_location("toys_of_attempts", TOYS)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["toys_of_attempts"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield
    del sys.modules["toys_of_attempts"]


def reports_of(toy: str) -> list[Progress | Outcome]:
    trial = Trial(
        configuration=preset("tiny"),
        seed=0,
        data_fingerprint="none",
        trainable=f"toys_of_attempts:{toy}",
    )
    workspace = Workspace(folder=Path("absent"), latents=Path("absent"))
    return list(attempt(Assignment(trial=trial, workspace=workspace)))


@pytest.mark.parametrize(
    ("toy", "reason"),
    [
        ("steps_by_halves", "TypeError: expected step as a whole number, found float"),
        ("steps_beyond_64_bits", "TypeError: expected step from 0 to below 2**53"),
        ("measures_a_word", "TypeError: expected train.toy as a number, found str"),
        (
            "measured_before_without_a_step",
            "TypeError: expected earlier values of train.toy as (step, value)",
        ),
        ("warns_of_nothing", "TypeError: expected a warning as text, found NoneType"),
        ("comes_from_an_object", "TypeError: expected provenance as JSON"),
        ("reports_none", "TypeError: expected Progress or an Outcome, found NoneType"),
        ("raises_what_cannot_be_shown", "UnspeakableError: its message cannot be shown"),
        ("raises_control_characters", "ValueError: \ufffd[2J\ufffdxxx"),
    ],
)
def test_report_that_is_none_fails_the_trial_and_is_named(toy: str, reason: str) -> None:
    (outcome,) = reports_of(toy)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.step) == ("failed", 0)
    assert outcome.failure is not None
    assert outcome.failure.reason.startswith(reason)
    assert len(outcome.failure.reason) <= 2_000
    assert json.dumps(asdict(outcome), ensure_ascii=False).encode()


def test_numbers_of_numpy_become_plain_ones() -> None:
    progress, outcome = reports_of("measures_with_numpy")
    assert isinstance(progress, Progress)
    assert isinstance(outcome, Outcome)
    assert {type(progress.step), type(progress.measurements["train.toy"])} == {int, float}
    assert json.dumps(progress.earlier) == '{"train.toy": [[1, 0.5]]}'
    assert json.loads(outcome.to_json())["measurements"] == {"eval.toy": 0.5}
