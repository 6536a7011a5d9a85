"""Searches in a ledger, as the engine leaves them behind, without running one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from planted_trainables import measurements

from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import SearchSpec
from qdexp.experiment.trial import Condition, Trial
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder
from qdexp.results.suggestions import Suggestion, Told, add_suggestion, add_telling

Measure = Callable[[dict[str, Any], int], Mapping[str, float]]


def search(space: Mapping[str, Any], **changes: Any) -> SearchSpec:  # noqa: ANN401
    """Returns a search over planted effects."""
    content = {
        "name": "planted",
        "question": "Which settings make the fewest errors?",
        "trainable": "tests.contract.planted_trainables:plant",
        "space": dict(space),
        "seeds": [0],
        "metrics": {"primary": "error", "smallest_effect": "1%"},
        "budget": {"trials": 100},
        "confirm": {"top": 2, "seeds": [11, 12, 13, 14]},
        "resources": {"cpus": 1, "gpus": 0, "retries": 0},
        **changes,
    }
    return read_search(content)


def recorded(
    runs: Path,
    of: SearchSpec,
    suggested: Sequence[Condition],
    measure: Measure = measurements,
    endings: Mapping[int, str] | None = None,
) -> None:
    """Records a search that suggested the baseline and then these values, each told."""
    baseline = of.spec.grid.baseline
    asked = [*of.spec.trials([of.baseline.data_fingerprint])]  # pyright: ignore
    with Recorder(runs) as recorder:
        recorder.record_plan((of.spec.file, of.spec.text, of.definition()), asked)
        for number, values in enumerate([baseline, *suggested]):
            trials = _trials(of, values)
            origin = "sampler" if number else "baseline"
            suggestion = Suggestion(number=number, values=values, origin=origin, attributes={})
            results = [measure(each.configuration.fields(), each.seed) for each in trials]
            ending: Any = (endings or {}).get(number, "complete")
            names = [each.metric for each in of.objectives]
            means = [sum(result[name] for result in results) / len(results) for name in names]
            told = Told(ending=ending, values=tuple(means) if ending == "complete" else ())
            with recorder.transaction() as write:
                add_suggestion(write, of.name, suggestion, trials)
                if ending == "open":
                    continue
                add_telling(write, of.name, number, told)
            for trial, result in zip(trials, results, strict=True):
                recorder.record_start(trial.trial_id, 1.0e9)
                recorder.record_outcome(
                    Outcome(
                        trial_id=trial.trial_id,
                        status="completed",
                        step=1,
                        measurements=dict(result),
                    )
                )


def _trials(of: SearchSpec, values: Condition) -> list[Trial]:
    configuration = of.configuration(values)
    return [
        Trial(
            configuration=configuration,
            seed=seed,
            data_fingerprint=configuration.data_fingerprint,  # pyright: ignore
            trainable=of.spec.trainable,
        )
        for seed in of.spec.seeds
    ]
