"""An invalidated trial is shown in every table, with its reason, and counted in none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import render
from qdexp_analysis.findings import find
from qdexp_analysis.table import load

from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder

Make = Callable[[Any], Path]


@pytest.fixture
def runs(make_ledger: Make, made: type[Any]) -> Path:
    """A ledger whose first trial of 16,384 codes was invalidated: the only one that was worse."""
    runs = make_ledger(made())
    with Ledger(runs) as ledger:
        trial_id = next(
            member.trial_id
            for member in ledger.members("codebook_size")
            if member.condition["model.num_embeddings"] == 16384
        )
    with Recorder(runs) as recorder:
        recorder.record_invalidation(trial_id, "its disk | was full")
    return runs


def invalidated(runs: Path) -> str:
    with Ledger(runs) as ledger:
        (trial_id,) = (m.trial_id for m in ledger.members("codebook_size") if m.invalidated)
    return trial_id


def test_no_number_of_it_is_in_any_table(runs: Path) -> None:
    experiment = load("codebook_size", runs)
    trial_id = invalidated(runs)
    for table in (experiment.measurements, experiment.histories):
        assert trial_id not in set(table["trial_id"])
    assert trial_id not in experiment.arrays
    findings = find(experiment)
    assert np.isnan(findings.scores.means[2, 0])
    assert {len(contrast.seeds) for contrast in findings.contrasts} == {2, 3}
    for metric in findings.secondary:
        assert np.isnan(metric.scores.means[2, 0])


def test_it_is_shown_with_its_reason(runs: Path) -> None:
    trial_id = invalidated(runs)
    text = render("codebook_size", runs, "md")
    assert "2/3 (invalidated 1)" in text
    assert "9 trials (8 completed, 1 invalidated)" in text
    assert "Unfinished: 1 of 9 planned trials have no result yet" in text
    row = next(line for line in text.splitlines() if line.startswith(f"| `{trial_id}`"))
    assert "| invalidated |" in row
    assert "invalidated: its disk \\| was full" in row
    assert f"invalidated `{trial_id}`" in text[text.index("## Every trial") :]
    assert "its disk | was full" in render("codebook_size", runs, "html")
    table = render("codebook_size", runs, "csv").splitlines()
    (row,) = (line for line in table if trial_id in line)
    assert ",invalidated," in row
    assert row.split(",")[-4:] == [""] * 4  # no metric, no value


def test_without_it_the_report_is_that_of_a_trial_that_never_ran(
    runs: Path, make_ledger: Make, made: type[Any]
) -> None:
    missing = make_ledger(made(name="other", statuses={((16384,), 0): "missing"}))
    with_it, without = find(load("codebook_size", runs)), find(load("other", missing))
    for one, other in zip(with_it.contrasts, without.contrasts, strict=True):
        assert (one.estimate, one.p, one.verdict) == (other.estimate, other.p, other.verdict)
