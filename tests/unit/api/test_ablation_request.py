"""A configuration's file is compared with a preset or with another file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded_search import recorded, search

from qdexp.api.ablation_request import AblationRequest
from qdexp.api.composition import NO_TRACKING, RunOptions
from qdexp.api.confirming import confirm
from qdexp.backends.place import Place
from qdexp.config.presets import preset
from qdexp.errors import RequestError
from qdexp.experiment.reader import spec_of

EVERY = "training.checkpoint_every_steps"
WINNER = {
    "model.ema_decay": 0.9,
    "model.num_embeddings": 128,
    EVERY: 7,
    "training.data_order": 0,
}


def written(path: Path, name: str, **changes: object) -> str:
    fields = {field.replace("__", "."): value for field, value in changes.items()}
    path.write_text(json.dumps(preset(name).replace(fields).plain()))
    return str(path)


def test_what_differs_in_effect_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "my best.json"
    path.write_text(json.dumps(preset("tiny").replace(WINNER).plain()))
    found = AblationRequest(subject=str(path), baseline="tiny", runs=tmp_path).read()
    assert set(found.changes.fields) == {"model.ema_decay", "model.num_embeddings"}
    assert (found.draft.name, found.draft.seeds) == ("my_best_path", (0, 1, 2, 3, 4))
    (_, baseline), (_, winner) = found.shared.grid.conditions
    assert baseline == preset("tiny")
    assert winner == preset("tiny").replace({**WINNER, EVERY: preset("tiny").value(EVERY)})
    assert not list(tmp_path.glob("searches"))


def test_a_baseline_in_a_file_is_written_as_the_nearest_preset_and_what_differs(
    tmp_path: Path,
) -> None:
    winner = written(tmp_path / "w.json", "small", diffusion__min_step=600, diffusion__max_step=900)
    baseline = written(tmp_path / "b.json", "small", diffusion__max_step=400, model__dropout=0.3)
    settings = ("training.max_steps=9",)
    request = AblationRequest(subject=winner, baseline=baseline, settings=settings, num_seeds=2)
    found = request.read()
    fields = ("diffusion.min_step", "diffusion.max_step", "model.dropout")
    assert sorted(found.changes.fields) == sorted(fields)
    source = found.draft.source.definition
    assert source["preset"] == "small"
    assert source["set"]["training.max_steps"] == 9
    content = found.shared.grid
    assert content.set == {"training.max_steps": 9}
    (_, first), (_, last) = content.conditions
    assert (first.fields()["diffusion.max_step"], last.fields()["diffusion.min_step"]) == (400, 600)
    assert first.num_steps == last.num_steps == 9


def test_a_metric_that_the_changes_redefine_is_refused(tmp_path: Path) -> None:
    winner = written(tmp_path / "w.json", "tiny", data__seed=5)
    problem = "^--metric: expected a primary metric that conditions can be compared on, found 'eval"
    with pytest.raises(RequestError, match=problem):
        AblationRequest(subject=winner, baseline="tiny", runs=tmp_path).read()


def test_alike_configurations_leave_nothing_to_explain(tmp_path: Path) -> None:
    winner = written(tmp_path / "w.json", "tiny", training__checkpoint_every_steps=5)
    with pytest.raises(RequestError, match="there is nothing to explain"):
        AblationRequest(subject=winner, baseline="tiny", runs=tmp_path).read()


def test_a_path_s_text_reads_as_the_request_meant_it(tmp_path: Path) -> None:
    winner = written(tmp_path / "w.json", "tiny", model__ema_decay=0.9, model__dropout=0.2)
    found = AblationRequest(subject=winner, baseline="tiny", is_raced=True, runs=tmp_path).read()
    from qdexp.experiment.ablation_path import Candidate, Round

    place = found.changes.condition([])
    ways = found.changes.candidates([])
    round_ = Round(
        before=place,
        candidates=tuple(
            Candidate(change=way, condition=found.changes.condition(way)) for way in ways
        ),
        kept=None,
    )
    spec = spec_of(found.draft.text([round_], 3), tmp_path / "w_path.yaml")
    assert spec.seeds == (0, 1, 2)
    assert [configuration for _, configuration in spec.grid.conditions] == [
        preset("tiny"),
        *(preset("tiny").replace(found.changes.condition(way)) for way in ways),
    ]
    assert found.draft.is_of(spec.definition())
    other = AblationRequest(subject=winner, baseline="tiny", runs=tmp_path).read()
    assert not other.draft.is_of(spec.definition()), "it is not raced"


SPACE = {name: {"low": 0.0, "high": 1.0} for name in ("big", "small", "key")}


def winner_of(runs: Path, metric: str | None = None) -> str:
    return AblationRequest(subject="planted", runs=runs, metric=metric).read().draft.winner.in_words


def test_a_search_whose_best_is_its_baseline_has_no_gain_to_explain(tmp_path: Path) -> None:
    def worse(fields: dict[str, Any], _seed: int) -> dict[str, float]:
        return {"error": 10 + 2 * fields["big"] + fields["small"]}

    recorded(tmp_path, search(SPACE), [{"big": 1.0}, {"small": 1.0}], worse)
    problem = (
        "^expected a winner that is better than its baseline, found suggestion 2, the best of the "
        "search planted: error 11, the baseline's is 10: there is no gain to explain; `qdexp "
    )
    with pytest.raises(RequestError, match=problem):
        winner_of(tmp_path)
    assert winner_of(tmp_path, metric="cost") == "suggestion 2, the best of the search planted"


def test_what_did_not_hold_up_on_fresh_seeds_has_no_gain_to_explain(tmp_path: Path) -> None:
    of = search(SPACE)
    recorded(tmp_path, of, [{"key": 0.5}], lambda fields, _: {"error": -fields["key"]})
    options = RunOptions(place=Place(executor="inline"), tracking_uri=NO_TRACKING)
    assert winner_of(tmp_path) == "suggestion 1, the best of the search planted"
    confirm(of, tmp_path, options, with_report=False)
    with pytest.raises(RequestError, match="found suggestion 1, the best on fresh seeds of the "):
        winner_of(tmp_path)


def test_a_search_that_goes_on_has_a_best_so_far(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [{"big": 0.5}, {"big": 1.0}], endings={2: "open"})
    assert winner_of(tmp_path) == "suggestion 1, the best so far of the search planted"


def test_another_suggestion_may_be_explained(tmp_path: Path) -> None:
    recorded(
        tmp_path, search(SPACE), [{"big": 0.5}, {"big": 1.0}, {"key": 1.0}], endings={3: "failed"}
    )
    request = AblationRequest(subject="planted", runs=tmp_path, suggestion=1)
    assert request.read().draft.winner.in_words == "suggestion 1 of the search planted"
    assert request.read().draft.winner.values["big"] == 0.5
    for number, found in ((0, "its baseline"), (3, "one that is failed"), (9, "none")):
        problem = f"^--suggestion {number}: expected a complete suggestion of planted beside its "
        with pytest.raises(RequestError, match=f"{problem}baseline, found {found}: `qdexp report"):
            replace(request, suggestion=number).read()
    of_file = written(tmp_path / "w.json", "tiny", training__max_steps=7)
    with pytest.raises(RequestError, match=r"^--suggestion: expected none with a conf"):
        replace(request, subject=of_file, baseline="tiny").read()


def test_a_search_without_any_complete_suggestion_says_how_to_go_on(tmp_path: Path) -> None:
    recorded(tmp_path, search(SPACE), [{"big": 0.5}], endings={1: "failed"})
    with pytest.raises(RequestError, match="found none: `qdexp search` goes on with it"):
        winner_of(tmp_path)
