"""What is made of an experiment once, however often it is asked for."""

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from qdexp_analysis.table import Experiment

T = TypeVar("T")


def once(function: Callable[[Experiment], T]) -> Callable[[Experiment], T]:
    """Returns a function that keeps its result for each experiment as long as that lives.

    An experiment is frozen, and what is made of it holds no reference to it.
    """
    known: WeakKeyDictionary[Experiment, T] = WeakKeyDictionary()

    def remembering(experiment: Experiment) -> T:
        if experiment not in known:
            known[experiment] = function(experiment)
        return known[experiment]

    remembering.__doc__ = function.__doc__
    return remembering
