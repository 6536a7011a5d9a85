"""Which changes from a baseline to a winner can be made alone, and which only together."""

from qdexp.config.presets import preset
from qdexp.experiment.changes import Changes
from qdexp.experiment.where import parse_where
from tests.contract.own_trainables import OddConfig, odd

TINY = preset("tiny")
NONE = TINY.replace({"model.quantizer": "none"})
DECAY, KIND, RATE = "model.ema_decay", "model.quantizer", "training.learning_rate"
LOW, HIGH = "diffusion.min_step", "diffusion.max_step"


def test_what_the_winner_has_alike_or_does_not_read_is_no_change() -> None:
    same = TINY.fields()[RATE]
    changes = Changes(TINY, {RATE: same, KIND: "none", DECAY: 0.5, "training.num_workers": 3})
    assert changes.fields == (KIND,)
    assert changes.levels == {KIND: ["ema", "none"]}


def test_every_change_that_is_left_can_be_next() -> None:
    changes = Changes(TINY, {RATE: 0.1, DECAY: 0.5, KIND: "cosine"})
    assert set(changes.candidates([])) == {(RATE,), (DECAY,), (KIND,)}
    assert set(changes.candidates([DECAY])) == {(RATE,), (KIND,)}
    assert changes.candidates([DECAY, RATE, KIND]) == []
    assert changes.condition([RATE]) == {KIND: "ema", DECAY: 0.98, RATE: 0.1}


def test_what_says_nothing_yet_waits_until_it_does() -> None:
    changes = Changes(NONE, {KIND: "ema", DECAY: 0.5, RATE: 0.1})
    assert set(changes.candidates([])) == {(KIND,), (RATE,)}
    assert set(changes.candidates([KIND])) == {(DECAY,), (RATE,)}


def test_what_a_configuration_refuses_alone_is_changed_together() -> None:
    baseline = TINY.replace({LOW: 20, HIGH: 400})
    changes = Changes(baseline, {LOW: 600, HIGH: 900, RATE: 0.1})
    assert set(changes.candidates([])) == {(LOW, HIGH), (HIGH,), (RATE,)}
    assert set(changes.candidates([HIGH])) == {(LOW,), (RATE,)}
    assert changes.smallest_possible(HIGH) == (LOW, HIGH), "the winner's least step is above it"
    assert changes.smallest_possible(LOW) == (LOW,)


def test_what_where_refuses_alone_is_changed_together() -> None:
    holds = parse_where(f"not ({DECAY} == 0.5 and {RATE} < 0.1)")
    changes = Changes(TINY, {RATE: 0.1, DECAY: 0.5, KIND: "cosine"}, holds=holds)
    assert set(changes.candidates([])) == {(RATE,), (DECAY, RATE), (KIND,)}


def test_a_baseline_that_where_refuses_is_left_by_any_change_that_it_does_not() -> None:
    holds = parse_where(f"{DECAY} < 0.6 or {RATE} > 0.05")
    changes = Changes(TINY, {RATE: 0.1, DECAY: 0.5}, holds=holds)
    assert set(changes.candidates([])) == {(RATE,), (DECAY,)}


def test_a_parameter_waits_for_its_when() -> None:
    declaration = odd.declaration  # pyright: ignore[reportFunctionMemberAccess]
    fields = declaration.fields()
    assert declaration.configuration is OddConfig
    acts = {"rate": parse_where("is_deep == true", fields)}
    baseline = fields.start().replace({})
    changes = Changes(baseline, {"rate": 2.0, "is_deep": True, "steps": 5}, acts=acts)
    assert set(changes.candidates([])) == {("is_deep",), ("steps",)}
    assert set(changes.candidates(["is_deep"])) == {("rate",), ("steps",)}
    assert Changes(baseline, {"rate": 2.0, "steps": 5}, acts=acts).fields == ("steps",)
