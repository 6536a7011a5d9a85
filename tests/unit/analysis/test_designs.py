"""What the analysis says of each design: contrasts always, effects only where there are any."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import load
from qdexp_analysis.appearance import looks
from qdexp_analysis.design_words import (
    design_sentences,
    effect_sentences,
    effects_note,
    left_out_sentences,
)
from qdexp_analysis.document import sentences
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.quantities import NONE
from qdexp_analysis.report import render
from qdexp_analysis.words import answer

from qdexp.experiment.reader import read_spec
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder

HEAD = "name: d\nquestion: What?\npreset: tiny\nseeds: 4\nfactors:\n"
SIZE = "  model.num_embeddings: {levels: [64, 256], baseline: 64}\n"
DECAY = "  model.ema_decay: {levels: [0.9, 0.99], baseline: 0.99}\n"
DEAD = "  model.dead_code_threshold: {levels: [0.0, 0.3], baseline: 0.0}\n"
RATE = "  training.learning_rate: {levels: [0.001, 0.002], baseline: 0.001}\n"
KIND = "  model.quantizer: {levels: [none, ema], baseline: none}\n"
WIDTH = "  model.hidden_dim: {levels: [32, 64], baseline: 32}\n"
HEADS = "  model.num_heads: {levels: [2, 4], baseline: 2}\n"
ZIP = "zip: [[model.hidden_dim, model.num_heads]]\n"
WHEN = DECAY.replace("}", ", when: model.quantizer == 'ema'}")

Value = Callable[[Mapping[str, Any]], float]


def made(folder: Path, text: str, value: Value) -> Path:
    """Writes the ledger of a spec whose trials measured what `value` says, and a little noise."""
    folder.mkdir(exist_ok=True)
    path = folder / "d.yaml"
    path.write_text(HEAD + text)
    spec = read_spec(path)
    trials = spec.trials(["data"] * len(spec.grid.conditions))
    draw = np.random.default_rng(0)
    runs = folder / "runs"
    with Recorder(runs) as recorder:
        recorder.record_plan((str(path), spec.text, spec.definition()), trials)
        for trial, condition in trials:
            measured = value(condition) + 0.001 * trial.seed + draw.normal(0, 1e-4)
            recorder.record_start(trial.trial_id, 1.0e9)
            recorder.record_outcome(
                Outcome(
                    trial_id=trial.trial_id,
                    status="completed",
                    step=200,
                    measurements={"eval.denoising_loss": measured},
                )
            )
    return runs


def found(folder: Path, text: str, value: Value) -> Findings:
    return find(load("d", made(folder, text, value)))


def changes(condition: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Returns which of the four factors are not at their baseline, 0 where one is no factor."""
    baseline = {
        "model.num_embeddings": 64,
        "model.ema_decay": 0.99,
        "model.dead_code_threshold": 0.0,
        "training.learning_rate": 0.001,
    }
    a, b, c, d = (int(condition.get(f, level) != level) for f, level in baseline.items())
    return a, b, c, d


def additive(condition: Mapping[str, Any]) -> float:
    a, b, c, d = changes(condition)
    return 1 + 0.04 * a + 0.02 * b - 0.01 * c + 0.005 * d


ALL = SIZE + DECAY + DEAD + RATE


def test_a_fraction_finds_effects_that_add_up(tmp_path: Path) -> None:
    findings = found(tmp_path, f"{ALL}design: fractional_factorial\n", additive)
    assert len(findings.contrasts) == 7
    effects = findings.effects
    assert [" ".join(axis.name for axis in effect.term) for effect in effects] == [
        "num_embeddings", "ema_decay", "dead_code_threshold", "learning_rate",
        "num_embeddings ema_decay", "num_embeddings dead_code_threshold",
        "num_embeddings learning_rate",
    ]  # fmt: skip
    means = [effect.estimate.mean for effect in effects]
    assert means == pytest.approx([0.04, 0.02, -0.01, 0.005, 0, 0, 0], abs=4e-4)
    assert all((effect.p or 1) < 0.001 for effect in effects[:3])


def test_an_alias_is_counted_with_the_sign_that_its_table_says(tmp_path: Path) -> None:
    """With d = abc, the product of c and d acts just like that of a and b."""

    def interacting(condition: Mapping[str, Any]) -> float:
        *_, c, d = changes(condition)
        return 1 + 0.04 * (c - 0.5) * (d - 0.5)

    findings = found(tmp_path, f"{ALL}design: fractional_factorial\n", interacting)
    by_term = {tuple(a.name for a in e.term): e for e in findings.effects}
    effect = by_term["num_embeddings", "ema_decay"]
    assert effect.estimate.mean == pytest.approx(0.04, abs=4e-4)
    assert [[axis.name for axis in term] for term in effect.aliases] == [
        ["dead_code_threshold", "learning_rate"]
    ]
    third, *_ = found(
        tmp_path / "third",
        f"{SIZE}{DECAY}{DEAD}design: fractional_factorial\nresolution: 3\n",
        lambda condition: 1 + 0.04 * (changes(condition)[1] - 0.5) * (changes(condition)[2] - 0.5),
    ).effects
    # a = -bc: half of the product's effect, with the other sign.
    assert third.estimate.mean == pytest.approx(-0.02, abs=4e-4)


def test_a_fraction_is_told_with_its_aliases(tmp_path: Path) -> None:
    runs = made(tmp_path, f"{ALL}design: fractional_factorial\n", additive)
    findings = find(load("d", runs))
    said = effect_sentences(findings)
    assert said[0].startswith("num_embeddings 64 to 256, over all levels of the others: +3.99")
    assert said[0].endswith("; aliased with ema_decay x dead_code_threshold x learning_rate.")
    assert said[1].startswith("ema_decay 0.99 to 0.9, over")
    assert said[4].startswith(
        "ema_decay 0.99 to 0.9 changes the effect of num_embeddings 64 to 256"
    )
    assert said[4].endswith("; aliased with dead_code_threshold x learning_rate.")
    assert "cannot be told apart" in effects_note(findings)
    design, letters, aliases = design_sentences(findings)
    assert design == (
        "Design: 4 factors, fractional 2^(4-1) of resolution IV: 8 conditions x 4 seeds = "
        "32 trials."
    )
    assert "a is num_embeddings 64 to 256; b is ema_decay 0.99 to 0.9;" in letters
    assert letters.endswith("Generators: a b c abc.")
    assert "ab = cd; ac = bd; ad = bc" in aliases
    for form in ("html", "md"):
        assert "ab = cd; ac = bd; ad = bc" in render("d", runs, form)


def test_a_condition_of_its_own_enters_a_contrast_and_no_effect(tmp_path: Path) -> None:
    rest = "conditions: [{model.num_embeddings: 4096}]\n"

    def odd(condition: Mapping[str, Any]) -> float:
        return 5.0 if condition["model.num_embeddings"] == 4096 else additive(condition)

    findings = found(tmp_path, f"{ALL}design: fractional_factorial\n{rest}", odd)
    assert findings.experiment.labels.short(8) == "4096 / 0.99 / 0.0 / 0.001"
    assert findings.contrasts[-1].estimate is not None
    assert findings.contrasts[-1].estimate.mean == pytest.approx(4.0, abs=0.01)
    assert findings.effects[0].estimate.mean == pytest.approx(0.04, abs=4e-4)


def test_a_complete_factorial_has_effects_with_a_condition_beside_it(tmp_path: Path) -> None:
    rest = "conditions: [{model.num_embeddings: 4096}]\n"
    findings = found(tmp_path, SIZE + RATE + rest, additive)
    assert [round(effect.estimate.mean, 3) for effect in findings.effects] == [0.04, 0.005, 0.0]


def test_an_incomplete_factorial_has_none_and_says_why(tmp_path: Path) -> None:
    where = "where: model.num_embeddings == 64 or training.learning_rate < 0.0015\n"
    findings = found(tmp_path, SIZE + RATE + where, additive)
    assert len(findings.contrasts) == 2
    assert findings.effects == ()
    assert effect_sentences(findings) == [
        "Not estimated: 1 of 4 combinations of levels are not there, so that factors are not seen "
        "at all levels of the others."
    ]


def test_one_at_a_time_has_contrasts_alone(tmp_path: Path) -> None:
    findings = found(tmp_path, f"{ALL}design: one_at_a_time\n", additive)
    assert findings.effects == ()
    assert effect_sentences(findings) == [
        "Not estimated: one factor changes at a time, so that none is seen at other levels of the "
        "others."
    ]
    labels = findings.experiment.labels
    assert [labels.short(k) for k in range(5)] == [
        "baseline", "num_embeddings 256", "ema_decay 0.9", "dead_code_threshold 0.3",
        "learning_rate 0.002",
    ]  # fmt: skip
    assert sentences(findings)[0].startswith(
        "num_embeddings 256 against the baseline: denoising loss higher by "
    )
    assert answer(findings)[0].startswith("dead_code_threshold 0.3 is better than the baseline:")
    assert design_sentences(findings)[1] == (
        "The baseline: num_embeddings 64, ema_decay 0.99, dead_code_threshold 0.0, "
        "learning_rate 0.001."
    )
    assert len({look.colour for look in looks(findings.experiment)}) == 5


def test_listed_conditions_have_contrasts_alone_and_are_named_by_what_differs(
    tmp_path: Path,
) -> None:
    own = "{model.num_embeddings: 256, training.learning_rate: 0.002}, {model.ema_decay: 0.9}"
    findings = found(tmp_path, f"{ALL}design: listed\nconditions: [{own}]\n", additive)
    assert (findings.effects, len(findings.contrasts)) == ((), 2)
    labels = findings.experiment.labels
    assert [labels.short(k) for k in range(3)] == [
        "baseline", "num_embeddings 256, learning_rate 0.002", "ema_decay 0.9"
    ]  # fmt: skip
    assert findings.experiment.design.baseline == 0
    assert effect_sentences(findings) == [
        "Not estimated: conditions are listed, and factors change in them together."
    ]
    assert answer(findings)[0].startswith(
        "num_embeddings 256, learning_rate 0.002 is worse than the baseline:"
    )
    for form in ("html", "md", "latex"):
        page = render("d", tmp_path / "runs", form).replace("\\_", "_")
        assert "num_embeddings 256, learning_rate 0.002" in page


def test_leaving_one_out_is_also_judged_against_the_full_condition(tmp_path: Path) -> None:
    findings = found(tmp_path, f"{ALL}design: leave_one_out\n", additive)
    assert findings.effects == ()
    labels = findings.experiment.labels
    names = {labels.short(k) for k in range(6)}
    assert names == {
        "baseline", "full", "full, num_embeddings 64", "full, ema_decay 0.99",
        "full, dead_code_threshold 0.0", "full, learning_rate 0.001",
    }  # fmt: skip
    assert len(findings.contrasts) == 5, "each against the baseline"
    by_label = {labels.short(c.condition): c for c in findings.left_out}
    assert set(by_label) == names - {"baseline", "full"}
    size = by_label["full, num_embeddings 64"]
    assert size.estimate is not None
    assert (size.estimate.mean, size.verdict) == (pytest.approx(-0.04, abs=4e-4), "better")
    assert by_label["full, dead_code_threshold 0.0"].verdict == "worse"
    (said,) = [s for s in left_out_sentences(findings) if "num_embeddings" in s]
    assert said.startswith("With num_embeddings 64 instead: denoising loss differs by ")
    assert said.endswith("after Holm): better.")


def test_leaving_out_what_others_need_is_leaving_them_out_too(tmp_path: Path) -> None:
    findings = found(
        tmp_path,
        f"{KIND}{WHEN}design: leave_one_out\n",
        lambda c: float(len(c)) + 0.1 * len(str(c)),
    )
    labels = findings.experiment.labels
    assert [labels.short(k) for k in range(3)] == ["baseline", "full", "full, ema_decay 0.99"]
    assert {c.condition for c in findings.left_out} == {0, 2}
    assert left_out_sentences(findings)[0].startswith("With quantizer none instead: ")


def test_a_factor_that_does_not_act_has_no_level_in_any_name(tmp_path: Path) -> None:
    runs = made(tmp_path, KIND + WHEN + RATE, additive)
    findings = find(load("d", runs))
    experiment = findings.experiment
    assert [experiment.labels.short(k) for k in range(6)] == [
        f"none / {NONE} / 0.001",
        f"none / {NONE} / 0.002",
        "ema / 0.9 / 0.001",
        "ema / 0.9 / 0.002",
        "ema / 0.99 / 0.001",
        "ema / 0.99 / 0.002",
    ]
    assert experiment.labels.text(0) == "quantizer none, learning_rate 0.001"
    assert experiment.baseline == 0
    assert findings.effects == ()
    assert effect_sentences(findings)[0].startswith("Not estimated: 2 of 8 combinations")
    rows = csv.DictReader(io.StringIO(render("d", runs, "csv")))
    assert {row["model.ema_decay"] for row in rows} == {"", "0.9", "0.99"}


def test_zipped_factors_have_one_effect(tmp_path: Path) -> None:
    def value(condition: Mapping[str, Any]) -> float:
        return additive(condition) - 0.03 * (condition["model.num_heads"] == 4)

    findings = found(tmp_path, WIDTH + HEADS + RATE + ZIP, value)
    assert [round(effect.estimate.mean, 3) for effect in findings.effects] == [-0.03, 0.005, 0.0]
    said = effect_sentences(findings)
    assert said[0].startswith("hidden_dim with num_heads 32 with 2 to 64 with 4, over all levels")


def test_a_ledger_of_before_is_read_as_a_full_factorial(
    make_ledger: Callable[[Any], Path], made: type[Any]
) -> None:
    experiment = load("codebook_size", make_ledger(made()))
    assert "baseline" not in experiment.spec.definition
    assert experiment.baseline == 1
    assert experiment.design.obstacle is None
    assert design_sentences(find(experiment)) == []
