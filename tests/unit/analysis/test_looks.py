"""Reports say which look decided a contrast, what was registered, and what controls say."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis.contrasts import Contrast, Scores
from qdexp_analysis.controls import share_of_gap
from qdexp_analysis.document import document
from qdexp_analysis.experiment_report import ExperimentReport
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.look_words import red_flag
from qdexp_analysis.looks import ONE_LOOK, Looks
from qdexp_analysis.report import render
from qdexp_analysis.sequence import Course, judge_in_course
from qdexp_analysis.table import load

from qdexp.config.presets import preset
from qdexp.experiment.controls import FIELD
from qdexp.experiment.trial import Trial
from qdexp.results.recorder import Recorder
from qdexp.results.schema import LEDGER_FILE

SCHEDULE = [3, 5, 8, 12]
Made = Any


def definition_at(runs: Path, number: int, **changes: Any) -> None:  # noqa: ANN401
    """Changes parts of the `number`-th spec that the ledger has."""
    with closing(sqlite3.connect(runs / LEDGER_FILE)) as connection, connection:
        query = "SELECT spec_id, definition FROM specs ORDER BY spec_id LIMIT 1 OFFSET ?"
        spec_id, text = connection.execute(query, (number,)).fetchone()
        definition = json.loads(text) | changes
        connection.execute(
            "UPDATE specs SET definition = ? WHERE spec_id = ?", (json.dumps(definition), spec_id)
        )


def changed_to(runs: Path, name: str = "codebook_size", **changes: Any) -> None:  # noqa: ANN401
    """Records a spec that asks for the same trials, and says something else."""
    experiment = load(name, runs)
    definition = experiment.spec.definition | changes
    trials = [(r.trial, r.condition) for r in (*experiment.records, *experiment.controls)]
    with Recorder(runs) as recorder:
        recorder.record_plan((experiment.spec.file, experiment.spec.text, definition), trials)


def adaptive(made: Made, **others: Any) -> Made:  # noqa: ANN401
    return made(**{"num_clips": 0, "seeds": tuple(range(12)), **others})


def found(runs: Path) -> Findings:
    return find(load("codebook_size", runs))


def scores_of(differences: np.ndarray) -> Scores:
    """Returns scores of a baseline and one condition for each row, one clip."""
    values = np.concatenate([np.full((1, differences.shape[1]), 10.0), 10.0 + differences])
    nothing = np.zeros(values.shape, dtype=bool)
    return Scores(values=values[:, :, None], diverged=nothing, direction="lower")


def test_report_says_at_which_look_each_contrast_was_decided(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    statuses = {((16384,), seed): "missing" for seed in range(3, 12)}
    runs = make_ledger(adaptive(made, effects={(16384,): -0.2}, statuses=statuses))
    definition_at(runs, 0, looks={"until_decided": True, "schedule": SCHEDULE})
    findings = found(runs)

    of_4096, of_16384 = findings.contrasts
    assert of_16384.decided_at == 3
    assert of_16384.verdict == "better"
    assert of_4096.decided_at != 3
    text = " ".join(document(findings)["looked"])
    assert "num_embeddings = 16384 against 8192: better at the look at 3 seeds." in text
    assert "has 98.4 % at its look" in text
    assert "### Looks" in render("codebook_size", runs, "md")
    assert "<h3>Looks</h3>" in render("codebook_size", runs, "html")


def test_a_look_that_is_not_complete_decides_nothing(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    statuses = {((k,), seed): "missing" for k in (4096, 16384) for seed in range(4, 12)}
    runs = make_ledger(adaptive(made, effects={}, noise=0.05, statuses=statuses))
    definition_at(runs, 0, looks={"until_decided": True, "schedule": SCHEDULE})
    findings = found(runs)

    assert findings.seen == (3,)
    assert {len(contrast.seeds) for contrast in findings.contrasts} == {3}
    text = " ".join(document(findings)["looked"])
    assert "undecided at 3 seeds; the next look is at 5." in text


def test_seeds_raised_by_hand_after_a_report_are_a_look(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    runs = make_ledger(made(num_clips=0, seeds=(0, 1, 2)))
    before = found(runs)
    assert before.course.looks == Looks(schedule=(3,))
    assert document(before)["looked"] == []

    make_ledger(made(num_clips=0, seeds=tuple(range(6))))
    after = found(runs)

    assert after.course.looks.schedule == (3, 6)
    assert after.registration.looks_by_hand == (3,)
    text = " ".join(document(after)["looked"])
    assert "Seeds were changed by hand after results were there: looks at 3 and 6 seeds" in text
    (change,) = [c for c in after.registration.changes if c.what == "seeds"]
    assert change.num_results == 9
    assert "seeds, from seeds 0, 1 and 2 to seeds 0, 1, 2, 3, 4 and 5." in " ".join(
        document(after)["registered"]
    )


def test_seeds_raised_before_any_result_are_no_look(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    statuses = {((k,), s): "missing" for k in (4096, 8192, 16384) for s in range(3)}
    runs = make_ledger(made(num_clips=0, seeds=(0, 1, 2), statuses=statuses))
    make_ledger(made(num_clips=0, seeds=tuple(range(6))))
    findings = found(runs)

    assert not findings.course.looks.are_several
    assert findings.registration.num_before == 0
    assert "before any trial had a result: seeds" in " ".join(document(findings)["registered"])


def test_later_changes_of_what_was_registered_are_printed(
    make_ledger: Callable[[Made], Path], made: type[Made]
) -> None:
    runs = make_ledger(made(num_clips=0))
    metrics = load("codebook_size", runs).spec.definition["metrics"]
    assert "Nothing of it was changed later" in " ".join(document(found(runs))["registered"])

    weaker = {"value": 0.05, "is_relative": True}
    changed_to(runs, metrics=metrics | {"smallest_effect": weaker}, question="Is it <b>fine</b>?")
    text = " ".join(document(found(runs))["registered"])

    assert "when 9 trials had results: smallest effect of interest, from 0.2 % to 5 %." in text
    assert "question, from Does a larger codebook lower the denoising error? to Is it" in text
    page = render("codebook_size", runs, "html")
    assert "<b>fine</b>" not in page
    assert "smallest effect of interest, from 0.2" in page


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


def test_one_look_changes_nothing() -> None:
    assert ONE_LOOK.two_sided(0.03) == 0.03
    assert Looks(schedule=(7,)).level() == 0.05
    assert Looks(schedule=(1, 7)).level() == 0.05  # one seed has no p value
    assert Looks(schedule=(3, 6)).two_sided(None) is None


def test_what_was_decided_keeps_its_verdict_and_its_data() -> None:
    draw = np.random.default_rng(2)
    differences = np.stack([-1 + 0.01 * draw.normal(size=12), draw.normal(size=12)])
    differences[0, 3:] = 5.0  # what comes later would say the contrary
    course = Course(looks=Looks(schedule=(3, 5, 8, 12)), is_adaptive=True)
    settled = np.ones((3, 12), dtype=bool)
    judged = judge_in_course(scores_of(differences), settled, 0, None, course)

    first, second = judged.contrasts
    assert (first.verdict, first.decided_at, len(first.seeds)) == ("better", 3, 3)
    assert (second.verdict, second.decided_at, len(second.seeds)) == ("undecided", None, 12)
    assert judged.wanted == (12, 3, 12)
    assert judged.seen == (3, 5, 8, 12)


def test_everything_decided_at_the_first_look_asks_for_nothing_more() -> None:
    draw = np.random.default_rng(2)
    differences = -1 + 0.01 * draw.normal(size=(2, 12))
    course = Course(looks=Looks(schedule=(3, 5, 8, 12)), is_adaptive=True)
    settled = np.ones((3, 12), dtype=bool)
    judged = judge_in_course(scores_of(differences), settled, 0, None, course)
    assert judged.wanted == (3, 3, 3)
    assert judged.seen == (3,)


def test_more_results_than_were_asked_for_change_no_verdict() -> None:
    """Trials of later seeds may be there from another experiment: they are not looked at."""
    draw = np.random.default_rng(8)
    differences = draw.normal(0.8, 1, size=(3, 12))
    course = Course(looks=Looks(schedule=(3, 5, 8, 12)), is_adaptive=True)

    def verdicts(reached: np.ndarray) -> list[tuple[str, int | None]]:
        scores = scores_of(differences)
        values = np.where(reached[:, :, None], scores.values, np.nan)
        judged = judge_in_course(replace(scores, values=values), reached, 0, None, course)
        return [(c.verdict, c.decided_at) for c in judged.contrasts]

    everything = np.ones((4, 12), dtype=bool)
    whole = judge_in_course(scores_of(differences), everything, 0, None, course)
    asked = np.arange(12)[None, :] < np.array(whole.wanted)[:, None]
    assert verdicts(asked) == [(c.verdict, c.decided_at) for c in whole.contrasts]


def test_a_contrast_says_nothing_of_looks_where_there_is_one() -> None:
    differences = -1 + 0.01 * np.random.default_rng(2).normal(size=(1, 4))
    judged = judge_in_course(scores_of(differences), np.ones((2, 4), dtype=bool), 0, None, Course())
    (contrast,) = judged.contrasts
    assert isinstance(contrast, Contrast)
    assert contrast.decided_at is None
    assert contrast.verdict == "better"
