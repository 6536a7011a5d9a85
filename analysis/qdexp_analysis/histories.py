"""Histories of metrics as tidy frames, thinned where they are only to be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from qdexp.results.blocks import numbers
from qdexp.results.ledger import Ledger

MOST_DRAWN = 128
"""Points of each trial's history that a picture is drawn from: it is some 350 pixels wide."""

COLUMNS = ("condition", "seed", "trial_id", "metric", "step", "value")

Place = tuple[int, int]
"""Position of a condition, and a seed."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """One history, of which every `stride`-th point was kept, and the last."""

    place: Place
    trial_id: str
    metric: str
    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    num_points: int
    stride: int


@dataclass
class _Steps:
    """The steps of histories, each distinct sequence kept once: most trials share theirs."""

    known: dict[bytes, Int[np.ndarray, " n"]] = field(default_factory=dict)

    def shared(self, steps: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        return self.known.setdefault(steps.tobytes(), steps)


def read_histories(
    ledger: Ledger,
    places: Mapping[str, Place],
    metrics: Sequence[str] | None = None,
    most_points: int | None = None,
) -> pd.DataFrame:
    """Returns one row for each point: condition, seed, trial_id, metric, step, value.

    Thinned histories of one metric all keep points by the same rule, so that their steps meet, and
    the longest of them keep their last.

    Args:
        ledger: Where they are.
        places: The trials, by id: their condition's position and their seed.
        metrics: Which histories; all unless given.
        most_points: About how many points of each history are wanted; all unless given.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    read: list[_Read] = []
    steps = _Steps()
    for trial_id, metric, first, values in numbers(ledger, "history", list(places), metrics):
        if not len(values):
            continue
        stride = _stride(len(values), most_points)
        kept = _kept(len(values), stride)
        read.append(
            _Read(
                place=places[trial_id],
                trial_id=trial_id,
                metric=metric,
                steps=steps.shared(np.asarray(first, dtype=np.int64)[kept]),
                values=np.asarray(values, dtype=float)[kept],
                num_points=len(values),
                stride=stride,
            )
        )
    return _frame(_alike(read))


def history_names(ledger: Ledger, places: Mapping[str, Place]) -> set[str]:
    """Returns the metrics that have a history in one of these trials.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    rows = ledger.rows(
        "SELECT DISTINCT o.trial_id, b.name FROM blocks b JOIN outcomes o USING (outcome_id)"
        " WHERE b.kind = 'history'"
    )
    return {name for trial_id, name in rows if trial_id in places}


def _stride(num_points: int, most_points: int | None) -> int:
    """Returns a power of two, so that a longer history's points are among a shorter one's."""
    stride = 1
    while most_points is not None and num_points > stride * most_points:
        stride *= 2
    return stride


def _kept(num_points: int, stride: int) -> Int[np.ndarray, " n"]:
    positions = np.arange(0, num_points, stride)
    return positions if positions[-1] == num_points - 1 else np.append(positions, num_points - 1)


def _alike(read: Sequence[_Read]) -> list[_Read]:
    """Returns the histories of each metric thinned as the longest of them."""
    strides: dict[str, int] = {}
    lengths: dict[str, int] = {}
    for each in read:
        strides[each.metric] = max(strides.get(each.metric, 1), each.stride)
        lengths[each.metric] = max(lengths.get(each.metric, 0), each.num_points)
    found: list[_Read] = []
    for each in read:
        stride = strides[each.metric]
        if stride == 1 or each.num_points == lengths[each.metric]:
            found.append(each)
            continue
        is_kept = _kept(each.num_points, each.stride) % stride == 0
        found.append(replace(each, steps=each.steps[is_kept], values=each.values[is_kept]))
    return found


def _frame(read: Sequence[_Read]) -> pd.DataFrame:
    if not read:
        return pd.DataFrame(columns=list(COLUMNS))
    lengths = [len(each.values) for each in read]
    return pd.DataFrame(
        {
            "condition": np.repeat([each.place[0] for each in read], lengths),
            "seed": np.repeat([each.place[1] for each in read], lengths),
            "trial_id": pd.Categorical([each.trial_id for each in read]).repeat(lengths),
            "metric": pd.Categorical([each.metric for each in read]).repeat(lengths),
            "step": np.concatenate([each.steps for each in read]),
            "value": np.concatenate([each.values for each in read]),
        }
    )
