"""Searches in a ledger, written as the engine of searches writes them, without running anything."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qdexp.config.presets import preset
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import (
    Suggestion,
    TimeSpent,
    Told,
    add_suggestion,
    add_telling,
    add_time_spent,
)

Values = Mapping[str, Any]

LOSS = "eval.denoising_loss"
PARAMETERS: list[dict[str, Any]] = [
    {"field": "model.quantizer", "kind": "categorical", "choices": ["ema", "gradient"]},
    {
        "field": "model.ema_decay", "kind": "float", "low": 0.9, "high": 0.999,
        "when": "model.quantizer == 'ema'",
    },
    {"field": "training.learning_rate", "kind": "float", "low": 1e-4, "high": 1e-2, "log": True},
    {"field": "model.dropout", "kind": "float", "low": 0.0, "high": 0.4, "step": 0.1},
]  # fmt: skip
BASELINE = {
    "model.quantizer": "ema", "model.ema_decay": 0.99, "training.learning_rate": 1e-3,
    "model.dropout": 0.1,
}  # fmt: skip


def loss_of(values: Values) -> float:
    """A made-up loss whose best is at a learning rate of 3e-3 without dropout."""
    rate = math.log10(values.get("training.learning_rate", 1e-3) / 3e-3)
    decay = values.get("model.ema_decay", 0.97) - 0.96
    penalty = 0.02 if values.get("model.quantizer") == "gradient" else 0.0
    return 0.5 + 0.05 * rate**2 + 20 * decay**2 + 0.2 * values.get("model.dropout", 0) + penalty


@dataclass(frozen=True, kw_only=True)
class MadeSearch:
    """What a made-up search consists of.

    Args:
        suggestions: Values of each, the baseline first; with as many as `num` drawn if None.
        endings: How those end that are not complete, by number; "open" for none.
        loss: The first objective of a configuration.
        objectives: Metrics and directions.
        origins: Where those come from that the sampler did not suggest.
    """

    name: str = "search_quantizer"
    question: str = "Which quantizer settings reach the lowest denoising error?"
    parameters: Sequence[dict[str, Any]] = field(default_factory=lambda: PARAMETERS)
    baseline: Values = field(default_factory=lambda: BASELINE)
    num: int = 24
    suggestions: Sequence[Values] | None = None
    endings: Mapping[int, str] = field(default_factory=dict)
    origins: Mapping[int, str] = field(default_factory=dict)
    loss: Callable[[Values], float] = loss_of
    objectives: Sequence[tuple[str, str]] = ((LOSS, "lower"),)
    seeds: tuple[int, ...] = (0,)
    where: str | None = None
    budget: Mapping[str, Any] = field(default_factory=lambda: {"trials": 24})
    confirm: Mapping[str, Any] | None = None
    device: str = "cpu"
    seconds: float = 90.0

    @property
    def spent(self) -> TimeSpent:
        """What each configuration that ended took, two at a time, with an attempt that was lost."""
        seconds = 2 * self.seconds * len(self.seeds)
        on_gpu = 0.0 if self.device == "cpu" else seconds
        return TimeSpent(seconds=seconds / 2, gpu_seconds=on_gpu)

    def configurations(self) -> list[Values]:
        if self.suggestions is not None:
            return list(self.suggestions)
        draw = np.random.default_rng(5)
        return [self.baseline, *(_drawn(self.parameters, draw) for _ in range(self.num - 1))]

    def definition(self) -> dict[str, Any]:
        factors = [
            {"field": f, "levels": [value], "baseline": value} for f, value in self.baseline.items()
        ]
        return {
            "name": self.name, "question": self.question, "preset": "tiny", "set": {},
            "factors": factors, "design": "full_factorial", "where": None,
            "seeds": list(self.seeds),
            "metrics": {
                "primary": self.objectives[0][0], "secondary": [],
                "smallest_effect": {"value": 0.005, "is_relative": True},
            },
            "resources": {"cpus": 1, "gpus": None}, "budget": {"trial": None},
            "trainable": "qdexp.training.run_trial:run_trial",
            "search": {
                "space": {"parameters": list(self.parameters), "where": self.where},
                "objectives": [{"metric": m, "direction": d} for m, d in self.objectives],
                "sampler": {"name": "tpe", "options": {"n_startup_trials": 8}, "seed": 0},
                "budget": {"hours": None, "gpu_hours": None, **self.budget},
                "enqueue": [], "pruning": None, "confirm": self.confirm,
            },
        }  # fmt: skip


def write_search(runs: Path, made: MadeSearch) -> Path:
    """Writes a search with its suggestions, trials, outcomes and endings."""
    definition = made.definition()
    text = f"name: {made.name}\nquestion: {made.question}\npreset: tiny\nspace: ...\n"
    text += f"budget: {json.dumps(dict(made.budget))}\n"
    with Recorder(runs) as recorder:
        recorder.record_plan((f"experiments/{made.name}.yaml", text, definition), [])
        for number, values in enumerate(made.configurations()):
            origin: Any = made.origins.get(number, "sampler" if number else "baseline")
            suggestion = Suggestion(number=number, values=values, origin=origin, attributes={})
            trials = [_trial(values, seed) for seed in made.seeds]
            with recorder.transaction() as write:
                add_suggestion(write, made.name, suggestion, trials)
            ending = made.endings.get(number, "complete")
            if ending != "open":
                told = _end(recorder, made, values, trials, ending)
                with recorder.transaction() as write:
                    add_telling(write, made.name, number, told)
                    add_time_spent(write, made.name, made.spent)
    return runs


def write_check(
    runs: Path,
    name: str,
    conditions: Sequence[Values],
    loss: Callable[[Values, int], float],
    **definition: Any,  # noqa: ANN401
) -> Path:
    """Writes an ordinary experiment whose first condition is the baseline; see `write_measured`."""

    def measure(values: Values, seed: int) -> dict[str, float]:
        return {LOSS: loss(values, seed)}

    return write_measured(runs, name, conditions, measure, **definition)


def write_measured(
    runs: Path,
    name: str,
    conditions: Sequence[Values],
    measure: Callable[[Values, int], Mapping[str, float]],
    *,
    seeds: Sequence[int] = (100, 101, 102, 103, 104),
    **definition: Any,  # noqa: ANN401
) -> Path:
    """Writes an ordinary experiment whose trials measure several things."""
    fields = dict.fromkeys(name for each in conditions for name in each)
    factors = [
        {
            "field": field,
            "levels": list(dict.fromkeys(c[field] for c in conditions if field in c)),
            "baseline": conditions[0].get(field),
        }
        for field in fields
    ]
    written = {
        **MadeSearch(name=name).definition(), "factors": factors, "seeds": list(seeds),
        "design": "listed", "baseline": dict(conditions[0]),
        "question": "Does the best of the search hold up?", **definition,
    }  # fmt: skip
    del written["search"]
    trials = [(_trial(each, seed), each) for seed in seeds for each in conditions]
    with Recorder(runs) as recorder:
        text = f"name: {name}\nfactors: ...\n"
        recorder.record_plan((f"experiments/{name}.yaml", text, written), trials)
        for trial, values in trials:
            _record(recorder, trial, "cpu", measure(values, trial.seed))
    return runs


def _drawn(parameters: Sequence[dict[str, Any]], draw: np.random.Generator) -> Values:
    values: dict[str, Any] = {}
    for each in parameters:
        if "choices" in each:
            values[each["field"]] = each["choices"][int(draw.integers(len(each["choices"])))]
        elif each.get("log"):
            ends = math.log(each["low"]), math.log(each["high"])
            values[each["field"]] = math.exp(draw.uniform(*ends))
        elif each.get("step"):
            steps = round((each["high"] - each["low"]) / each["step"])
            place = each["low"] + each["step"] * int(draw.integers(steps + 1))
            values[each["field"]] = round(place, 9)
        else:
            values[each["field"]] = float(draw.uniform(each["low"], each["high"]))
    if values.get("model.quantizer") == "gradient":
        values.pop("model.ema_decay", None)
    return values


def _trial(values: Values, seed: int) -> Trial:
    return Trial(
        configuration=preset("tiny").replace(dict(values)), seed=seed, data_fingerprint="made-up"
    )


def _end(
    recorder: Recorder, made: MadeSearch, values: Values, trials: Sequence[Trial], ending: str
) -> Told:
    if ending in ("pruned", "failed"):
        reason = (
            "worse than the best third at step 25"
            if ending == "pruned"
            else "loss is <b>too</b> large | at 31"
        )
        for trial in trials:
            status: Any = "pruned" if ending == "pruned" else "diverged"
            recorder.record_start(trial.trial_id, 1.0e9)
            recorder.record_outcome(
                Outcome(
                    trial_id=trial.trial_id, status=status, step=25,
                    failure=Failure(reason=reason, step=25),
                    provenance=_provenance(made.device, 30.0),
                )
            )  # fmt: skip
        return Told(ending=ending, reason=reason)  # type: ignore[arg-type]
    losses = {LOSS: made.loss(values)}
    measured = losses | {m: _other(m, values) for m, _ in made.objectives if m != LOSS}
    for trial in trials:
        _record(recorder, trial, made.device, measured, made.seconds)
    return Told(ending="complete", values=tuple(measured[m] for m, _ in made.objectives))


def _other(metric: str, values: Values) -> float:
    """Returns a second objective, which dropout makes better and the first one worse."""
    sign = -1 if metric == "cost.step_seconds" else 1
    return (
        0.1
        + sign * 0.1 * values.get("model.dropout", 0)
        + 10 * values.get("training.learning_rate", 0)
    )


def _record(
    recorder: Recorder,
    trial: Trial,
    device: str,
    measurements: Mapping[str, float],
    seconds: float = 90.0,
) -> None:
    recorder.record_start(trial.trial_id, 1.0e9)
    recorder.record_outcome(
        Outcome(
            trial_id=trial.trial_id, status="completed", step=100, measurements=dict(measurements),
            provenance=_provenance(device, seconds),
        )
    )  # fmt: skip


def _provenance(device: str, seconds: float) -> dict[str, Any]:
    return {
        "commit": "b5d9bd8f00", "dirty": False, "versions": {"torch": "2.13.0"},
        "hardware": {"cpu": "Xeon", "cores": 2}, "host": "builder", "device": device,
        "seconds": seconds,
    }  # fmt: skip
