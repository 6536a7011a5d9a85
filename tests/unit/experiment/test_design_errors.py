"""A wrong design is refused at its line and column, in words that help."""

import re
from pathlib import Path

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.reader import read_spec

HEAD = "name: d\nquestion: What?\npreset: tiny\nseeds: 3\n"
SIZE = "  model.num_embeddings: {levels: [64, 128, 256], baseline: 64, full: 256}\n"
SIZES = "  model.num_embeddings: {levels: [64, 128, 256], baseline: 64}\n"
DECAY = "  model.ema_decay: {levels: [0.9, 0.99], baseline: 0.9}\n"
COST = "  model.commitment_cost: {levels: [0.25, 0.5], baseline: 0.25}\n"
DEAD = "  model.dead_code_threshold: {levels: [0.0, 0.3], baseline: 0.0}\n"
KIND = "  model.quantizer: {levels: [none, ema], baseline: none}\n"
WHEN = "when: model.quantizer == 'ema'"
EMA_ONLY = f"  model.ema_decay: {{levels: [0.9, 0.99], baseline: 0.9, {WHEN}}}\n"
WIDTH = "  model.hidden_dim: {levels: [32, 64, 64], baseline: 32}\n"
HEADS = "  model.num_heads: {levels: [2, 2, 4], baseline: 2}\n"
ZIP = "zip: [[model.hidden_dim, model.num_heads]]\n"


def read(folder: Path, factors: str, rest: str = "") -> None:
    path = folder / "spec.yaml"
    path.write_text(f"{HEAD}factors:\n{factors}{rest}", encoding="utf-8")
    read_spec(path)


# ruff: noqa: E501
# Factors, the rest of a spec, where the error stands, what its message holds. Factors begin in
# line 6; the rest, behind two of them, in line 8.
WRONG = {
    "leave one out of many levels": (SIZES + DECAY, "design: leave_one_out\n", "6:3",
        "model.num_embeddings: expected `full:`, the level that it has while others are left out, "
        "found none among 3 levels"),
    "leave one out of one": (DECAY, "design: leave_one_out\n", "7:9", "expected two or more factors"),
    "leave one out of a condition that where refuses": (COST + DECAY,
        "design: leave_one_out\nwhere: model.ema_decay < 0.95 or model.commitment_cost < 0.3\n", "9:8",
        "expected to keep the full condition (commitment_cost=0.5, ema_decay=0.99), found it refused"),
    "full level that is none": (SIZE.replace("full: 256", "full: 99") + DECAY, "", "6:70",
        "expected a full level among [64, 128, 256], found 99"),
    "full level that is the baseline": (SIZE.replace("full: 256", "full: 64") + DECAY,
        "design: leave_one_out\n", "6:70", "expected a full level other than the baseline, found 64"),
    "full level elsewhere": (SIZE + DECAY, "", "6:64",
        "expected `full` with `design: leave_one_out` only, found it with full_factorial"),
    "listed without a list": (SIZES + DECAY, "design: listed\n", "8:1",
        "expected `conditions:`, which this design compares with the baseline, found none"),
    "listed and left out": (SIZES + DECAY,
        "design: listed\nconditions: [{model.ema_decay: 0.99}]\nwhere: model.ema_decay < 0.95\n", "10:1",
        "expected no `where` where conditions are listed one by one, found it"),
    "resolution elsewhere": (SIZES + DECAY, "resolution: 4\n", "8:1",
        "expected it with `design: fractional_factorial` only, found it with full_factorial"),
    "generators elsewhere": (SIZES + DECAY, "design: one_at_a_time\ngenerators: a b ab\n", "9:1",
        "found it with one_at_a_time"),
    "fraction of three levels": (SIZES + DECAY, "design: fractional_factorial\n", "6:34",
        "expected two levels in a fractional factorial, found 3"),
    "fraction of two factors": (COST + DECAY, "design: fractional_factorial\n", "8:9",
        "expected at least 4 factors for a fraction of resolution 4, found 2: use full_factorial"),
    "resolution of little": (COST + DECAY, "design: fractional_factorial\nresolution: 2\n", "9:13",
        "expected a whole number from 3, found 2"),
    "resolution in Roman numbers": (COST + DECAY, "design: fractional_factorial\nresolution: IV\n",
        "9:13", "expected a whole number from 3, found 'IV'"),
    "resolution and generators": (COST + DECAY,
        "design: fractional_factorial\nresolution: 3\ngenerators: a b ab\n", "10:1", "found both"),
    "generators of too few": (COST + DECAY, "design: fractional_factorial\ngenerators: a b ab\n",
        "9:13", "a letter or word for each of 2 factors, found 3"),
    "generators with a wrong letter": (COST + DECAY + DEAD,
        'design: fractional_factorial\ngenerators: "a b ac"\n', "10:18", "found 'ac'"),
    "generators of no text": (COST + DECAY, "design: fractional_factorial\ngenerators: [a, b]\n",
        "9:13", "expected letters such as a b c ab, found ['a', 'b']"),
    "fraction with where": (COST + DECAY + DEAD,
        "design: fractional_factorial\nresolution: 3\nwhere: model.ema_decay < 0.95\n", "11:8",
        "expected a fraction to stay whole"),
    "fraction with when": (KIND + EMA_ONLY + DEAD, "design: fractional_factorial\nresolution: 3\n",
        "7:57", "expected a factor that acts in every condition of a fraction, found `when`"),
    "zip of no list": (WIDTH + HEADS, "zip: model.hidden_dim\n", "8:6", "expected lists of two or more"),
    "zip of one": (WIDTH + HEADS, "zip: [[model.hidden_dim]]\n", "8:7", "found ['model.hidden_dim']"),
    "zip of no factor": (WIDTH + HEADS, "zip: [[model.hidden_dim, model.num_head]]\n", "8:26",
        "expected a factor, found 'model.num_head'; did you mean 'model.num_heads'?"),
    "zip of a list": (WIDTH + HEADS, "zip: [[model.hidden_dim, [model.num_heads]]]\n", "8:26",
        "expected a factor"),
    "zip twice": (WIDTH + HEADS, f"{ZIP[:-2]}, [model.num_heads, model.hidden_dim]]\n", "8:45",
        "expected each factor once, found 'model.num_heads' again"),
    "zip of unlike lengths": (WIDTH.replace("32, 64, 64", "32, 64") + HEADS, ZIP, "7:29",
        "expected as many levels as its zipped model.hidden_dim has, 2, found 3"),
    "zip of baselines apart": (WIDTH + HEADS.replace("baseline: 2", "baseline: 4"), ZIP, "7:50",
        "expected a baseline at one place of the zipped levels, found model.hidden_dim 32 with "
        "model.num_heads 4"),
    "zip of the same level twice": (WIDTH + HEADS.replace("2, 2, 4", "2, 4, 4"), ZIP, "6:39",
        "expected different levels of zipped factors, found model.hidden_dim 64 with "
        "model.num_heads 4 twice"),
    "zip of unlike when": (WIDTH + HEADS.replace("}", ", when: model.num_layers > 1}"), ZIP, "7:59",
        "expected the same `when` as its zipped model.hidden_dim"),
    "when that is no text": (KIND + DECAY.replace("}", ", when: true}"), "", "7:63",
        "when: expected a comparison of fields, found True"),
    "when with an unknown field": (KIND + DECAY.replace("}", ', when: "1 < 2 and model.quantiser == 3"}'),
        "", "7:74", "did you mean 'model.quantizer'?"),
    "when about itself": (KIND + DECAY.replace("}", ", when: model.ema_decay > 0.5}"), "", "7:63",
        "expected other fields than model.ema_decay, which acts where this holds"),
    "when everywhere": (EMA_ONLY, "", "6:3", "expected at least one that acts everywhere"),
    "when nowhere": (KIND + DECAY.replace("}", ", when: model.quantizer == 'fsq'}"), "", "7:63",
        "expected it to act in some condition, found none in which `model.quantizer == 'fsq'` holds"),
    "level that one at a time never has": (KIND + EMA_ONLY, "design: one_at_a_time\n", "7:29",
        "expected each level in some condition, found 0.99 in none"),
    "conditions that are no list": (SIZES + DECAY, "conditions: {model.ema_decay: 0.5}\n", "8:13",
        "expected a list of `field: level`"),
    "condition that is no mapping": (SIZES + DECAY, "conditions: [model.ema_decay]\n", "8:14",
        "found 'model.ema_decay'"),
    "condition of nothing": (SIZES + DECAY, "conditions: [{}]\n", "8:14", "found {}"),
    "condition of no factor": (SIZES + DECAY, "conditions: [{model.ema_dekay: 0.5}]\n", "8:15",
        "expected a factor, found 'model.ema_dekay'; did you mean 'model.ema_decay'?"),
    "condition of a field that does not vary": (SIZES + DECAY, "conditions: [{data.seed: 5}]\n", "8:15",
        "found 'data.seed'; a field with one level under `factors:` is one"),
    "condition of a wrong level": (SIZES + DECAY, "conditions: [{model.ema_decay: 5}]\n", "8:32",
        "expected less than"),
    "condition that is there": (SIZES + DECAY, "conditions: [{model.ema_decay: 0.99}]\n", "8:14",
        "expected a condition that is not there yet, found it in the design or before: "
        "num_embeddings=64, ema_decay=0.99"),
    "condition twice": (SIZES + DECAY,
        "conditions: [{model.ema_decay: 0.5}, {model.ema_decay: 0.5}]\n", "8:38", "not there yet"),
    "condition of a factor that does not act": (KIND + EMA_ONLY,
        "conditions: [{model.quantizer: none, model.ema_decay: 0.5}]\n", "8:38",
        "expected factors that act, found model.ema_decay, whose `when` does not hold here"),
    "condition that fits nothing": (WIDTH + HEADS, f"{ZIP}conditions: [{{model.hidden_dim: 33}}]\n",
        "9:14", "model.num_heads"),
    "condition that is the same trial": (KIND + DECAY.replace("[0.9, 0.99]", "[0.9]"),
        "conditions: [{model.ema_decay: 0.5}]\n", "8:14",
        "conditions: expected different trials, found the same in conditions quantizer=none, "
        "ema_decay=0.9 and quantizer=none, ema_decay=0.5: a factor has no effect there"),
    "factor that does not act everywhere": (KIND + DECAY, "", "5:1",
        "found the same in conditions quantizer=none, ema_decay=0.9 and quantizer=none, "
        "ema_decay=0.99: a factor has no effect there; say by its `when` where it acts"),
    "too many trials": (SIZES + DECAY, "design: one_at_a_time\nconditions: [" + ", ".join(
        f"{{model.num_embeddings: {n}}}" for n in range(1000, 1400)) + "]\n", "6:3",
        "expected at most 1,000 trials, found 1,212 (2 factors, one at a time (the baseline and 3 "
        "with one factor changed): 4 combinations + 400 of its own = 404 conditions x 3 seeds = "
        "1,212 trials): vary less, or allow them by --max-trials 1212"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_design_is_refused_where_it_is_wrong(case: str, tmp_path: Path) -> None:
    factors, rest, position, message = WRONG[case]
    with pytest.raises(SpecError) as caught:
        read(tmp_path, factors, rest)
    text = str(caught.value)
    assert re.search(re.escape(f"spec.yaml:{position}: "), text), text
    assert message in text
    assert "expected" in text
