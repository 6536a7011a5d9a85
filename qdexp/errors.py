"""Every exception that qdexp raises on purpose.

::

    QdexpError
    ├── RequestError            the request was wrong: exit code 2
    │   ├── SpecError           a spec file, with file:line:column
    │   ├── ConfigurationError  a configuration or one of its fields
    │   ├── DataError           the training data are not what they should be
    │   └── NotFoundError       a name or an id that the ledger does not know
    ├── LedgerError             the ledger cannot be read or written
    │   └── LedgerInUseError    another driver is writing to it
    ├── CheckpointError         a checkpoint cannot be used
    ├── TrainingMemoryError     a training does not fit into memory, not even in small pieces
    ├── DivergedError           a loss became non-finite: the trial's outcome is `diverged`
    ├── TrialTimeoutError       a trial took longer than its budget: `failed`, of kind timeout
    ├── SameErrorError          the first trials all failed in the same way: the rest is cancelled
    └── InterruptedRunError     stopped by a signal, resumable: exit code 130
        └── BudgetSpentError    stopped by the experiment's own budget, resumable: exit code 130

A message says what was expected, what was found, and what to do.
"""

import difflib
from collections.abc import Iterable


class QdexpError(Exception):
    """Something that qdexp can explain to its user."""


class RequestError(QdexpError):
    """The request (spec, arguments, data) was wrong; nothing was written."""


class SpecError(RequestError):
    """A spec is wrong at a known position.

    Args:
        problem: What was expected, what was found, what to do.
        file: Path of the spec as the user gave it.
        line: Line, from 1.
        column: Column, from 1.
        keys: The keys that lead to the place, in a spec that is no file and so has no lines.
    """

    def __init__(
        self, problem: str, *, file: str, line: int, column: int, keys: str | None = None
    ) -> None:
        place = f"{line}:{column}" if keys is None else keys
        super().__init__(f"{file}:{place}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column
        self.keys = keys


class ConfigurationError(RequestError):
    """A configuration, or a value given to one of its fields, is wrong."""


class DataError(RequestError):
    """The training data are not what they should be."""


class NotFoundError(RequestError):
    """A name or an id is unknown, or an id prefix is ambiguous."""


class LedgerError(QdexpError):
    """The ledger cannot be read or written."""


class LedgerInUseError(LedgerError):
    """Another driver is writing to the same runs folder."""


class CheckpointError(QdexpError):
    """A checkpoint is missing, damaged, or belongs to something else."""


class DivergedError(QdexpError):
    """A loss became non-finite.

    Args:
        step: The optimizer step, from 0, at which it did.
        what: The quantity and its value, such as ``loss is nan``.
        rate: The field of the learning rate that is to be lowered.

    The advice in its message is for qdexp's training; of a user's own only the fact is recorded.
    """

    def __init__(self, *, step: int, what: str, rate: str = "training.learning_rate") -> None:
        super().__init__(
            f"{what} at step {step}: lower {rate}, raise training.warmup_steps, "
            "lower training.max_grad_norm, or check the data's normalisation"
        )
        self.step = step
        self.what = what


class TrainingMemoryError(QdexpError, MemoryError):
    """A training does not fit into memory.

    Args:
        step: The optimizer step, from 0, at which memory ran out.
        micro_batch: Clips in one micro-batch, at the last try.
        problem: The allocator's message, in one line.
    """

    def __init__(self, *, step: int, micro_batch: int, problem: str) -> None:
        super().__init__(
            f"out of memory at step {step} with {micro_batch} clips in a micro-batch: lower "
            "training.batch_size and raise training.gradient_accumulation_steps, set "
            "training.activation_checkpointing, lower model.hidden_dim or model.num_layers, or "
            f"lower the resolution, data.height and data.width ({problem})"
        )


class TrialTimeoutError(QdexpError):
    """A trial took longer than its budget.

    Args:
        seconds: The budget.
        what: What was done about it.
    """

    def __init__(self, seconds: float, what: str) -> None:
        super().__init__(
            f"it took longer than its budget of {seconds:g} s and {what}; raise budget.trial in "
            "the spec, or give the same command again: it goes on from its last checkpoint"
        )


class SameErrorError(QdexpError):
    """The first trials that ended all failed in the same way; those that wait would as well."""


class InterruptedRunError(QdexpError):
    """A signal stopped the run; what is finished is kept and the rest can go on."""


class BudgetSpentError(InterruptedRunError):
    """The experiment took as long as its budget allows; the rest can go on."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns ``; did you mean 'x'?`` for the valid name closest to `name`, or nothing."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        tails = {full.rpartition(".")[2]: full for full in names}
        tail = difflib.get_close_matches(name.rpartition(".")[2], list(tails), n=1, cutoff=0.6)
        close = [tails[match] for match in tail]
    return f"; did you mean '{close[0]}'?" if close else ""
