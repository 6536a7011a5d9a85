"""An outcome that contradicts itself cannot be built."""

import pytest

from qdexp.results.outcome import Array, Failure, Outcome, Series


def test_outcome_survives_its_journey_as_json() -> None:
    outcome = Outcome(
        trial_id="a",
        status="failed",
        step=3,
        measurements={"train.loss": 0.5},
        history={"train.loss": Series(steps=(1,), values=(0.5,))},
        arrays={"x": Array(shape=(1, 2), values=(1.0, 2.0))},
        warnings=("w",),
        failure=Failure(reason="r", kind="timeout", step=3, traceback="t"),
        provenance={"host": "h"},
    )
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_completed_outcome_has_no_failure() -> None:
    with pytest.raises(ValueError, match="a completed outcome with failure"):
        Outcome(trial_id="a", status="completed", step=1, failure=Failure(reason="r"))


def test_failed_outcome_says_why() -> None:
    with pytest.raises(ValueError, match="a failed outcome with failure=None"):
        Outcome(trial_id="a", status="failed", step=1)


def test_status_is_one_of_five() -> None:
    with pytest.raises(ValueError, match="expected a status"):
        Outcome(trial_id="a", status="ended", step=1)  # pyright: ignore[reportArgumentType]


def test_series_and_arrays_fit_their_lengths() -> None:
    with pytest.raises(ValueError, match="2 steps for 1 values"):
        Series(steps=(1, 2), values=(1.0,))
    with pytest.raises(ValueError, match="shape"):
        Array(shape=(2, 2), values=(1.0,))
