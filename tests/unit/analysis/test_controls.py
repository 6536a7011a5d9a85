"""Controls stand beside what is compared: judged alone, accounted for in every table."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis.contrasts import Scores
from qdexp_analysis.controls import share_of_gap
from qdexp_analysis.document import document
from qdexp_analysis.experiment_report import ExperimentReport
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.loading import load_all
from qdexp_analysis.look_words import red_flag
from qdexp_analysis.report import render
from qdexp_analysis.table import load

from qdexp.config.presets import preset
from qdexp.experiment.controls import FIELD
from qdexp.experiment.trial import Trial
from qdexp.results.recorder import Recorder

Made = Any


def found(runs: Path) -> Findings:
    return find(load("codebook_size", runs))


def with_controls(runs: Path, *, twin: float, none: float) -> None:
    """Adds the controls to a made-up experiment: the baseline's error times 1 + these."""
    experiment = load("codebook_size", runs)
    assert experiment.baseline is not None
    baseline = [r for r in experiment.records if r.condition == {"model.num_embeddings": 8192}]
    changes = {"twin": {"training.data_order": 1}, "none": {"model.quantizer": "none"}}
    trials = [(record.trial, record.condition) for record in experiment.records]
    outcomes = []
    for record in baseline:
        assert record.outcome is not None
        for name, change in {"twin": twin, "none": none}.items():
            trial = Trial(
                configuration=preset("tiny").replace(changes[name]),
                seed=record.trial.seed,
                data_fingerprint="made-up",
            )
            trials.append((trial, {FIELD: name}))
            loss = record.outcome.measurements["eval.denoising_loss"]
            jitter = 1e-4 * np.random.default_rng([record.trial.seed, len(name), 3]).normal()
            measured = {"eval.denoising_loss": loss * (1 + change + jitter)}
            outcomes.append(replace(record.outcome, trial_id=trial.trial_id, measurements=measured))
    definition = experiment.spec.definition | {"controls": ["twin", "none"]}
    with Recorder(runs) as recorder:
        recorder.record_plan((experiment.spec.file, experiment.spec.text, definition), trials)
        for outcome in outcomes:
            recorder.record_outcome(outcome)


def test_controls_stand_beside_the_family_and_are_accounted_for(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    runs = make_ledger(made(num_clips=0, seeds=tuple(range(5))))
    before = found(runs)
    with_controls(runs, twin=0.0, none=-0.3)
    findings = found(runs)

    assert [c.p for c in findings.contrasts] == [c.p for c in before.contrasts]
    assert len(findings.experiment.conditions) == 3
    twin, none = findings.controls.judged
    assert (twin.name, twin.contrast.verdict) in (("twin", "equivalent"), ("twin", "undecided"))
    assert (none.name, none.contrast.verdict) == ("none", "better")
    assert red_flag(findings) == ""
    assert "10 control trials (10 completed)" in document(findings)["counts"]
    shares = {share.condition: share.value for share in findings.controls.shares}
    labels = findings.experiment.labels
    of_16384 = next(value for k, value in shares.items() if "16384" in labels.short(k))
    assert of_16384 == pytest.approx(0.009 / 0.3, rel=0.2)
    text = " ".join(document(findings)["controls"])
    assert "Control none, the baseline without its quantizer" in text
    assert "not part of the family" in text
    for form in ExperimentReport.formats:
        assert render("codebook_size", runs, form)
    trials = json.loads(render("codebook_size", runs, "json"))["trials"]
    assert Counter(trial["control"] for trial in trials) == {None: 15, "twin": 5, "none": 5}


def test_controls_are_in_every_table_and_said_to_be_controls(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    runs = make_ledger(made(num_clips=0, seeds=tuple(range(5))))
    with_controls(runs, twin=0.0, none=-0.3)
    experiment = load("codebook_size", runs)
    named = {"control twin": 5, "control none": 5}

    for frame in (experiment.trials, experiment.measurements, load_all(runs).measurements):
        beside = frame.query("role == 'control'")
        assert Counter(beside["label"]) == named
        assert set(beside["condition"].isna()) == {True}
        assert set(frame.query("role == 'condition'")["condition"]) == {0, 1, 2}
    assert sorted(experiment.trials["trial_id"]) == sorted(
        record.trial_id for record in experiment.all_records
    )
    rows = list(csv.DictReader(io.StringIO(render("codebook_size", runs, "csv"))))
    losses = [row for row in rows if row["metric"] == "eval.denoising_loss"]
    assert Counter(row["role"] for row in losses) == {"condition": 15, "control": 10}
    assert {row["label"] for row in losses if row["role"] == "control"} == set(named)


@pytest.mark.parametrize(("change", "verdict"), [(0.05, "worse"), (-0.05, "better")])
def test_a_twin_that_differs_is_a_red_flag_in_every_rendering(
    make_ledger: Callable[[Made], Path], made: type[Made], change: float, verdict: str
) -> None:
    runs = make_ledger(made(num_clips=0, seeds=tuple(range(5))))
    with_controls(runs, twin=change, none=-0.3)

    assert f"Red flag: the control twin, the baseline in another data order, is {verdict}" in (
        red_flag(found(runs))
    )
    assert "Red flag" in render("codebook_size", runs, "latex").partition("{Verdicts")[0]
    assert "Red flag" in render("codebook_size", runs, "md").partition("## Verdicts")[0]
    assert "Red flag" in render("codebook_size", runs, "html").partition("<h2>Verdicts")[0]


def test_shares_are_not_given_where_the_gap_is_not_clear() -> None:
    draw = np.random.default_rng(3)
    values = 10 + draw.normal(0, 1, (3, 5, 1))
    nothing = np.zeros((3, 5), dtype=bool)
    scores = Scores(values=values, diverged=nothing, direction="lower")
    assert share_of_gap(scores, 1, 0, 2) is None


def test_share_of_the_gap_covers_the_truth() -> None:
    draw, truth, hits = np.random.default_rng(4), 0.3, 0
    nothing = np.zeros((3, 6), dtype=bool)
    for _ in range(1000):
        values = 10 + draw.normal(0, 0.3, (3, 6, 1)) + draw.normal(0, 1, (1, 6, 1))
        values[1] -= truth * 2
        values[2] -= 2
        scores = Scores(values=values, diverged=nothing, direction="lower")
        share = share_of_gap(scores, 1, 0, 2)
        hits += share is None or share.interval[0] <= truth <= share.interval[1]
    assert 0.93 <= hits / 1000 <= 0.97
