"""Memory that runs out makes micro-batches smaller, and the step what it would have been."""

from collections.abc import Callable

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.errors import TrainingMemoryError
from qdexp.model.predictor import Prediction, QuantizedDiffusionPredictor
from qdexp.training.course import Course
from qdexp.training.memory import smaller_micro_batch
from qdexp.training.record import Record
from qdexp.training.stepping import take_step
from qdexp.training.training_state import TrainingState

MakeConfig = Callable[..., Configuration]
Start = Callable[..., tuple[TrainingState, Course]]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a network run out of memory with more than so many clips at once."""

    def room(clips: int) -> None:
        forward = QuantizedDiffusionPredictor.forward

        def limited(
            self: QuantizedDiffusionPredictor, x_t: torch.Tensor, t: torch.Tensor
        ) -> Prediction:
            if len(x_t) > clips:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return forward(self, x_t, t)

        monkeypatch.setattr(QuantizedDiffusionPredictor, "forward", limited)

    return room


def test_a_step_that_does_not_fit_is_taken_in_smaller_pieces_and_recorded(
    make_config: MakeConfig, start: Start, room: Callable[[int], None]
) -> None:
    config = make_config(
        training__batch_size=8, training__gradient_accumulation_steps=1, model__dropout=0.0
    )
    state, course = start(config)
    expected = take_step(state, course, Record())
    room(2)
    state, course = start(config)
    record = Record()
    measured = take_step(state, course, record)

    assert measured == pytest.approx(expected, rel=1e-5)
    assert state.micro_batch == record.micro_batch == 2
    assert [w.partition(":")[2] for w in record.warnings] == [
        f" {fewer} instead of {more} clips in a micro-batch from there on, "
        "as many as before in an optimizer step"
        for more, fewer in ((8, 4), (4, 2))
    ]


def test_what_does_not_fit_in_the_smallest_pieces_says_what_to_do(
    make_config: MakeConfig, start: Start, room: Callable[[int], None]
) -> None:
    room(0)
    state, course = start(make_config(training__batch_size=32))

    with pytest.raises(
        TrainingMemoryError, match=r"raise training\.gradient_accumulation"
    ) as raised:
        take_step(state, course, Record())
    assert state.micro_batch == 4, "three halvings"
    assert "lower model.hidden_dim" in str(raised.value)
    assert "Tried to allocate 2 GiB" in str(raised.value)


def test_another_error_is_not_taken_for_memory(
    make_config: MakeConfig, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, course = start(make_config())

    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(QuantizedDiffusionPredictor, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        take_step(state, course, Record())
    assert state.micro_batch == 3


@pytest.mark.parametrize(
    ("micro_batch", "configured", "expected"),
    [(8, 8, 4), (6, 6, 3), (3, 6, 1), (5, 5, 1), (1, 4, None), (2, 16, None), (4, 16, 2)],
)
def test_a_smaller_micro_batch_divides_the_former(
    micro_batch: int, configured: int, expected: int | None
) -> None:
    assert smaller_micro_batch(micro_batch, configured) == expected
