"""Each design has its conditions, no trial twice, and knows its size before it is made."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.errors import ConfigurationError, SpecError
from qdexp.experiment.designs import (
    Design,
    FractionalFactorial,
    FullFactorial,
    LeaveOneOut,
    OneAtATime,
    baseline_condition,
)
from qdexp.experiment.factor import Axis, Factor
from qdexp.experiment.fraction import smallest_fraction
from qdexp.experiment.reader import NO_OVERRIDES, Overrides, parse_overrides, read_spec
from qdexp.experiment.spec import Spec

DOCUMENT = Path("docs/designs.md").read_text(encoding="utf-8")
HEAD = "name: d\nquestion: What?\npreset: tiny\nseeds: 3\n"
SIZE = "  model.num_embeddings: {levels: [64, 128, 256], baseline: 64, full: 256}\n"
SIZES = "  model.num_embeddings: {levels: [64, 128, 256], baseline: 64}\n"
DECAY = "  model.ema_decay: {levels: [0.9, 0.99], baseline: 0.9}\n"
COST = "  model.commitment_cost: {levels: [0.25, 0.5], baseline: 0.25}\n"
DEAD = "  model.dead_code_threshold: {levels: [0.0, 0.3], baseline: 0.0}\n"
RATE = "  training.learning_rate: {levels: [0.001, 0.002], baseline: 0.001}\n"
DROPOUT = "  model.dropout: {levels: [0.0, 0.1], baseline: 0.0}\n"
KIND = "  model.quantizer: {levels: [none, ema], baseline: none}\n"
WHEN = "when: model.quantizer == 'ema'"
EMA_ONLY = f"  model.ema_decay: {{levels: [0.9, 0.99], baseline: 0.9, {WHEN}}}\n"
WIDTH = "  model.hidden_dim: {levels: [32, 64, 64], baseline: 32}\n"
HEADS = "  model.num_heads: {levels: [2, 2, 4], baseline: 2}\n"
ZIP = "zip: [[model.hidden_dim, model.num_heads]]\n"


def read(folder: Path, factors: str, rest: str = "", overrides: Overrides = NO_OVERRIDES) -> Spec:
    path = folder / "spec.yaml"
    path.write_text(f"{HEAD}factors:\n{factors}{rest}", encoding="utf-8")
    return read_spec(path, overrides)


def levels(spec: Spec) -> list[tuple[Any, ...]]:
    return [tuple(condition.values()) for condition, _ in spec.grid.conditions]


def test_one_at_a_time_changes_one_factor_of_the_baseline(tmp_path: Path) -> None:
    spec = read(tmp_path, SIZES + DECAY, "design: one_at_a_time\n")
    assert levels(spec) == [(64, 0.9), (128, 0.9), (256, 0.9), (64, 0.99)]
    assert spec.size_in_words == (
        "2 factors, one at a time (the baseline and 3 with one factor changed): "
        "4 conditions x 3 seeds = 12 trials"
    )


def test_leave_one_out_sets_each_factor_of_the_full_condition_back(tmp_path: Path) -> None:
    spec = read(tmp_path, DECAY + COST + DEAD, "design: leave_one_out\n")
    assert levels(spec) == [
        (0.9, 0.25, 0.0),
        (0.99, 0.5, 0.3),
        (0.9, 0.5, 0.3),
        (0.99, 0.25, 0.3),
        (0.99, 0.5, 0.0),
    ]
    assert spec.size_in_words == (
        "3 factors, leave one out (the baseline, the full condition and 3 with one set back): "
        "5 conditions x 3 seeds = 15 trials"
    )


def test_listed_compares_the_baseline_with_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    own = "conditions: [{model.num_embeddings: 256, model.ema_decay: 0.95}, {model.ema_decay: 0.8}]"
    spec = read(tmp_path, SIZES + DECAY, f"design: listed\n{own}\n")
    assert levels(spec) == [(64, 0.9), (256, 0.95), (64, 0.8)]
    assert spec.baseline == spec.grid.conditions[0][0]


def test_leave_one_out_tries_every_level_but_the_full_one(tmp_path: Path) -> None:
    spec = read(tmp_path, SIZE + DECAY, "design: leave_one_out\n")
    assert levels(spec) == [(64, 0.9), (256, 0.99), (64, 0.99), (128, 0.99), (256, 0.9)]


def test_leave_one_out_with_a_conditional_factor_asks_for_no_trial_twice(tmp_path: Path) -> None:
    spec = read(tmp_path, KIND + EMA_ONLY + RATE, "design: leave_one_out\n")
    assert levels(spec) == [
        ("none", 0.001),
        ("ema", 0.99, 0.002),
        ("none", 0.002),
        ("ema", 0.9, 0.002),
        ("ema", 0.99, 0.001),
    ]
    spec = read(tmp_path, KIND + EMA_ONLY, "design: leave_one_out\n")
    assert levels(spec) == [("none",), ("ema", 0.99), ("ema", 0.9)]
    assert spec.size_in_words.endswith(
        ": 4 combinations - 1 that coincide where a factor does not act = 3 conditions x 3 seeds = "
        "9 trials"
    )


def test_fraction_contains_the_baseline_and_keeps_its_aliases(tmp_path: Path) -> None:
    spec = read(tmp_path, DECAY + COST + DEAD + RATE, "design: fractional_factorial\n")
    assert spec.size_in_words == (
        "4 factors, fractional 2^(4-1) of resolution IV: 8 conditions x 3 seeds = 24 trials"
    )
    assert spec.baseline == dict(spec.grid.conditions[0][0])
    assert spec.definition()["fraction"] == {
        "letters": {
            "a": ["model.ema_decay"],
            "b": ["model.commitment_cost"],
            "c": ["model.dead_code_threshold"],
            "d": ["training.learning_rate"],
        },
        "generators": "a b c abc",
        "resolution": 4,
        "aliases": [
            ["a", "bcd"], ["b", "acd"], ["c", "abd"], ["d", "abc"],
            ["ab", "cd"], ["ac", "bd"], ["ad", "bc"],
        ],
    }  # fmt: skip


def test_generators_are_taken_as_they_are(tmp_path: Path) -> None:
    options = "design: fractional_factorial\ngenerators: a b ab\n"
    spec = read(tmp_path, DECAY + COST + DEAD, options)
    assert levels(spec) == [(0.9, 0.25, 0.0), (0.9, 0.5, 0.3), (0.99, 0.25, 0.3), (0.99, 0.5, 0.0)]
    assert spec.definition()["fraction"]["generators"] == "a b -ab"


@pytest.mark.parametrize("baseline", ["0.9", "0.99"])
def test_fraction_begins_with_the_baseline_whichever_level_that_is(
    tmp_path: Path, baseline: str
) -> None:
    decay = DECAY.replace("baseline: 0.9", f"baseline: {baseline}")
    spec = read(tmp_path, decay + COST + DEAD, "design: fractional_factorial\nresolution: 3\n")
    assert levels(spec)[0] == (float(baseline), 0.25, 0.0) == tuple(spec.baseline.values())


def test_resolution_makes_a_fraction_larger(tmp_path: Path) -> None:
    factors = DECAY + COST + DEAD + RATE + DROPOUT
    options = "design: fractional_factorial\nresolution: "
    assert len(levels(read(tmp_path, factors, f"{options}3\n"))) == 8
    assert len(levels(read(tmp_path, factors, f"{options}5\n"))) == 16


def test_zipped_factors_vary_as_one(tmp_path: Path) -> None:
    spec = read(tmp_path, WIDTH + DECAY + HEADS, ZIP)
    assert levels(spec) == [
        (32, 2, 0.9), (32, 2, 0.99), (64, 2, 0.9), (64, 2, 0.99), (64, 4, 0.9), (64, 4, 0.99),
    ]  # fmt: skip
    assert spec.size_in_words.startswith("2 factors, full factorial 3 x 2: 6 conditions")
    definition = spec.definition()
    assert definition["zip"] == [["model.hidden_dim", "model.num_heads"]]
    assert definition["factors"][0]["levels"] == [32, 64]


def test_zipped_factors_are_one_of_a_fraction(tmp_path: Path) -> None:
    width = WIDTH.replace("32, 64, 64", "32, 64")
    heads = HEADS.replace("2, 2, 4", "2, 4")
    options = f"{ZIP}design: fractional_factorial\nresolution: 3\n"
    spec = read(tmp_path, width + heads + DECAY + COST, options)
    assert len(levels(spec)) == 4
    assert spec.definition()["fraction"]["letters"]["a"] == ["model.hidden_dim", "model.num_heads"]


def test_conditional_factor_has_its_baseline_where_it_does_not_act(tmp_path: Path) -> None:
    spec = read(tmp_path, KIND + EMA_ONLY, "where: training.max_steps > 1\n")
    assert levels(spec) == [("none",), ("ema", 0.9), ("ema", 0.99)]
    assert spec.baseline == {"model.quantizer": "none"}
    assert [c.fields()["model.ema_decay"] for _, c in spec.grid.conditions] == [0.9, 0.9, 0.99]
    assert "= 3 conditions x 3 seeds = 9 trials" in spec.size_in_words
    assert spec.definition()["factors"][1]["when"] == "model.quantizer == 'ema'"
    assert len({trial.trial_id for trial, _ in spec.trials(["data"] * 3)}) == 9


def test_a_factor_that_is_set_back_may_take_another_with_it(tmp_path: Path) -> None:
    dead = DEAD.replace("}", ", when: model.ema_decay > 0.95}")
    spec = read(tmp_path, KIND + EMA_ONLY + dead)
    assert levels(spec) == [("none",), ("ema", 0.9), ("ema", 0.99, 0.0), ("ema", 0.99, 0.3)]


def test_where_sees_the_baseline_of_a_factor_that_does_not_act(tmp_path: Path) -> None:
    spec = read(tmp_path, KIND + EMA_ONLY, "where: model.ema_decay < 0.95\n")
    assert levels(spec) == [("none",), ("ema", 0.9)]
    words = "- 1 that coincide where a factor does not act - 1 that `where` leaves out = 2 cond"
    assert words in spec.size_in_words


def test_own_conditions_come_after_the_design_with_levels_of_their_own(tmp_path: Path) -> None:
    rest = "conditions:\n- {model.ema_decay: 0.5}\n- {model.num_embeddings: 99}\n"
    spec = read(
        tmp_path, SIZES + DECAY, f"design: one_at_a_time\n{rest}where: model.ema_decay > 0.6\n"
    )
    assert levels(spec)[-2:] == [(64, 0.5), (99, 0.9)]
    assert spec.definition()["conditions"] == [
        {"model.num_embeddings": 64, "model.ema_decay": 0.5},
        {"model.num_embeddings": 99, "model.ema_decay": 0.9},
    ]
    assert spec.size_in_words.endswith(
        "4 combinations + 2 of its own = 6 conditions x 3 seeds = 18 trials"
    )


def test_own_conditions_alone_are_compared_with_the_baseline(tmp_path: Path) -> None:
    one = DECAY.replace("[0.9, 0.99]", "[0.9]")
    spec = read(tmp_path, one, "conditions: [{model.ema_decay: 0.5}]\n")
    assert levels(spec) == [(0.9,), (0.5,)]


def test_more_trials_may_be_allowed(tmp_path: Path) -> None:
    many = f"  model.num_embeddings: {{levels: {list(range(2, 403))}, baseline: 2}}\n"
    with pytest.raises(SpecError, match="expected at most 1,000 trials, found 1,203"):
        read(tmp_path, many)
    allowed = parse_overrides([], None, max_trials=1203)
    assert len(levels(read(tmp_path, many, overrides=allowed))) == 401
    with pytest.raises(SpecError, match="expected at most 5 trials, found 6"):
        read(tmp_path, DECAY, overrides=parse_overrides([], None, max_trials=5))


def test_trials_are_counted_after_where(tmp_path: Path) -> None:
    many = f"  model.num_embeddings: {{levels: {list(range(2, 403))}, baseline: 2}}\n"
    assert len(levels(read(tmp_path, many, "where: model.num_embeddings < 10\n"))) == 8


def test_a_design_that_is_too_large_is_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conditions(_: FullFactorial) -> None:
        pytest.fail("it was made")

    monkeypatch.setattr(FullFactorial, "conditions", conditions)
    wide = "".join(
        f"  {field}: {{levels: {list(range(1, 2001))}, baseline: 1}}\n"
        for field in ("training.max_steps", "training.warmup_steps", "data.seed", "model.max_grid")
    )
    with pytest.raises(SpecError, match="found 48,000,000,000,000 "):
        read(tmp_path, wide)
    with pytest.raises(SpecError, match="combinations of levels to choose from"):
        read(tmp_path, wide, "where: data.seed < 3\n")


def test_fewer_than_one_trial_cannot_be_allowed() -> None:
    with pytest.raises(ConfigurationError, match="--max-trials: expected a number from 1, found 0"):
        parse_overrides([], None, max_trials=0)


def axis(name: str, num_levels: int, baseline: int, full: int) -> Axis:
    factor = Factor(field=name, levels=tuple(range(num_levels)), baseline=baseline)
    positions = tuple({name: level} for level in range(num_levels))
    return Axis(factors=(factor,), levels=positions, baseline=baseline, full=full)


@st.composite
def some_axes(draw: st.DrawFn) -> list[Axis]:
    sizes = draw(st.lists(st.integers(2, 4), min_size=3, max_size=4))
    axes: list[Axis] = []
    for i, size in enumerate(sizes):
        baseline, full = draw(st.permutations(range(size)))[:2]
        axes.append(axis(f"f{i}", size, baseline, full))
    return axes


@given(some_axes())
def test_every_design_has_the_size_that_it_says_and_no_condition_twice(axes: list[Axis]) -> None:
    two = [axis(f"t{i}", 2, i % 2, 1 - i % 2) for i in range(5)]
    fraction = smallest_fraction(5, 3)
    assert fraction is not None
    designs: list[tuple[Design, list[Axis]]] = [
        (FullFactorial(axes=axes), axes),
        (OneAtATime(axes=axes), axes),
        (LeaveOneOut(axes=axes), axes),
        (FractionalFactorial(axes=two, fraction=fraction), two),
    ]
    for design, of in designs:
        conditions = list(design.conditions())
        assert len(conditions) == design.num_conditions
        assert len({tuple(condition.items()) for condition in conditions}) == len(conditions)
        assert baseline_condition(of) in conditions


EXAMPLES = re.findall(r"```yaml\n# (.*?)\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def test_every_design_has_an_example() -> None:
    assert len(EXAMPLES) == DOCUMENT.count("```yaml") == 7


@pytest.mark.parametrize(("words", "text"), EXAMPLES)
def test_examples_in_the_documentation_are_of_the_size_that_they_say(
    words: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "spec.yaml"
    head = HEAD.replace("seeds: 3\n", "") if "\nseeds:" in text else HEAD
    path.write_text(head + text, encoding="utf-8")
    assert read_spec(path).size_in_words == words
