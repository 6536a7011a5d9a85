"""An optimizer step of any objective, in smaller micro-batches where memory runs out."""

# pyright: basic

from qdexp.training import memory
from qdexp.training.course import Course
from qdexp.training.dmd import dmd_step
from qdexp.training.record import Record
from qdexp.training.train_step import train_step
from qdexp.training.training_state import TrainingState

OBJECTIVES = {"diffusion": train_step, "dmd": dmd_step}


def take_step(state: TrainingState, course: Course, record: Record) -> dict[str, float]:
    """Takes an optimizer step and returns what it measured.

    Where memory runs out the micro-batch becomes smaller, up to three times, and `record` says so;
    the clips of the step stay the same.

    Raises:
        DivergedError: A loss or a gradient is not finite; the state is as before the step.
        TrainingMemoryError: Memory ran out all the same, or in a group of processes, where it
            would have to run out in all of them at once.
    """
    step = OBJECTIVES[course.config.training.objective]
    while True:
        try:
            return step(state, course)
        except (RuntimeError, MemoryError) as error:
            if not memory.has_run_out(error):
                raise
            smaller = memory.smaller_micro_batch(
                state.micro_batch, course.config.training.batch_size
            )
            if smaller is None or course.ranks.world_size > 1:
                with memory.explained(state.step, state.micro_batch):
                    raise
            record.warnings.append(
                f"memory ran out at step {state.step}: {smaller} instead of {state.micro_batch} "
                "clips in a micro-batch from there on, as many as before in an optimizer step"
            )
        # Outside of the handler: its traceback holds the failed step's tensors.
        state.micro_batch = record.micro_batch = smaller
        memory.release()
