"""What two trials are compared by."""

from qdexp.config.metrics import metric
from qdexp.results.outcome import Outcome


def numbers(outcome: Outcome) -> tuple[object, ...]:
    """Everything that a trial measures, but what it costs."""
    return (
        outcome.status,
        outcome.step,
        {k: v for k, v in outcome.measurements.items() if not metric(k).is_timing},
        {k: v for k, v in outcome.history.items() if not metric(k).is_timing},
        outcome.arrays,
    )
