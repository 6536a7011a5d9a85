"""A path stands in its spec, which is read with every mistake at its place."""

from pathlib import Path
from typing import Any

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.ablation_path import path_of
from qdexp.experiment.reader import parse_overrides, read_spec
from qdexp.experiment.spec import Spec

TEXT = """\
name: ours_path
question: Which changes carry the gain?
preset: tiny
design: listed
factors:
  model.ema_decay: {levels: [0.98, 0.9], baseline: 0.98}
  model.dropout: {levels: [0.0, 0.1], baseline: 0.0}
  training.learning_rate: {levels: [0.004, 0.01], baseline: 0.004}
conditions:
- {model.ema_decay: 0.9}
- {model.ema_decay: 0.9, model.dropout: 0.1}
- {model.ema_decay: 0.9, model.dropout: 0.1, training.learning_rate: 0.01}
path:
  search: ours
  suggestion: 7
  racing: false
  seeds: [1, 2, 3]
  rounds:
  - {kept: [model.ema_decay], candidates: [[model.ema_decay], [model.dropout]]}
  - {candidates: [[model.dropout], [model.dropout, training.learning_rate]]}
seeds: [1, 2]
"""


def read(folder: Path, text: str) -> Spec:
    path = folder / "path.yaml"
    path.write_text(text)
    return read_spec(path)


def test_rounds_lead_from_condition_to_condition(tmp_path: Path) -> None:
    spec = read(tmp_path, TEXT)
    first, second = path_of(spec.definition())
    levels: list[list[Any]] = [list(each.condition.values()) for each in first.candidates]
    assert list(first.before.values()) == [0.98, 0.0, 0.004]
    assert levels == [[0.9, 0.0, 0.004], [0.98, 0.1, 0.004]]
    assert [each.is_listed for each in first.candidates] == [True, False]
    assert first.kept == first.candidates[0]
    assert second.before == first.candidates[0].condition
    assert [each.is_listed for each in second.candidates] == [True, True]
    assert second.kept is None
    conditions = [condition for condition, _ in spec.grid.conditions]
    assert second.candidates[1].condition == conditions[-1]


def test_what_people_write_has_no_path(tmp_path: Path) -> None:
    before, _, after = TEXT.partition("path:\n")
    spec = read(tmp_path, before + after[after.index("seeds: [1, 2]\n") :])
    assert path_of(spec.definition()) == ()
    assert "path" not in spec.definition()


# What is wrong, where, and what the message holds.
WRONG = {
    "another design": ("design: listed", "design: one_at_a_time", "12:1",
        "path: expected it with `design: listed` only, found it with one_at_a_time"),
    "seeds of another path": ("seeds: [1, 2, 3]", "seeds: [2, 1, 3]", "17:10",
        "seeds: expected all seeds of the path, of which the spec's are the first"),
    "racing in words": ("racing: false", "racing: no", "16:11", "racing: expected true or false"),
    "three levels": ("[0.0, 0.1]", "[0.0, 0.1, 0.2]", "7:27",
        "expected the baseline's level and the winner's on a path, found 3"),
    "no rounds": ("rounds:\n", "rounds: []\nzip:\n", "18:11", "rounds: expected a list of"),
    "a misspelt key": ("racing", "raced", "16:3", "racing, seeds, rounds, found 'raced'"),
    "no factor": ("[[model.ema_decay]", "[[model.ema_decai]", "19:43",
        "candidates: expected lists of factors that were not kept before"),
    "kept twice": ("[[model.dropout], [model.dropout,", "[[model.ema_decay], [model.dropout,",
        "20:18", "expected lists of factors that were not kept before"),
    "kept what was not tried": ("kept: [model.ema_decay]", "kept: [training.learning_rate]",
        "19:12", "kept: expected one of the candidates in every round but the last"),
    "no name": ("search: ours", "search: 3", "14:11", "search: expected a search's name, found 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_a_path_is_found_at_its_place(tmp_path: Path, case: str) -> None:
    old, new, place, problem = WRONG[case]
    text = TEXT.replace(old, new, 1)
    if case == "another design":
        text = text.replace("- {model.ema_decay: 0.9}\n", "")
    if case == "no rounds":
        text = text[: text.index("zip:\n")] + "seeds: [1, 2]\n"
    with pytest.raises(SpecError, match=rf"path\.yaml:{place}: ") as error:
        read(tmp_path, text)
    assert problem in str(error.value)


def test_a_confirmation_keeps_to_seeds_that_the_search_has_not_seen(tmp_path: Path) -> None:
    start = TEXT[: TEXT.index("path:\n")]
    path = tmp_path / "confirm.yaml"
    path.write_text(
        f"{start}confirms: {{search: ours, suggestions: [4, 9, 1]}}\nseeds: [5, 6, 7]\n"
    )
    assert read_spec(path).seeds == (5, 6, 7)
    with pytest.raises(SpecError, match=r"seeds: expected those .*, found \[0, 1\] by --seeds"):
        read_spec(path, parse_overrides((), 2))


def test_a_confirmation_names_a_suggestion_for_each_condition(tmp_path: Path) -> None:
    start = TEXT[: TEXT.index("path:\n")]
    confirms = "confirms: {{search: ours, suggestions: {}}}\n"
    spec = read(tmp_path, start + confirms.format("[4, 9, 1]"))
    assert spec.definition()["confirms"] == {"search": "ours", "suggestions": [4, 9, 1]}
    for wrong in ("[4, 9]", "[4, 9, x]", "3"):
        with pytest.raises(SpecError, match="13:39: suggestions: expected the number of each of"):
            read(tmp_path, start + confirms.format(wrong))
