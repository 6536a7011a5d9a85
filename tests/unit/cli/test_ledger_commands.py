"""What import, bundle, invalidate and show print, and their exit codes."""

import json
from pathlib import Path

import pytest
from recorded_trials import SPEC, qdexp, record, trial

from qdexp.errors import QdexpError
from qdexp.results.ledger import Ledger

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n"


def test_import_says_what_came(tmp_path: Path) -> None:
    record(tmp_path / "there", trial())
    result = qdexp("import", tmp_path / "there", "--runs", tmp_path / "here")
    assert result.exit_code == 0
    assert result.stdout == (
        f"imported from {tmp_path / 'there'}: 1 experiment, 1 trial (1 new here), 1 new outcome\n"
    )
    result = qdexp("import", tmp_path / "there", "--runs", tmp_path / "here", "--json")
    assert json.loads(result.stdout)["num_outcomes"] == 0


def test_disagreement_exits_with_1_and_shows_both_numbers(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    record(here, trial(), 0.25)
    record(there, trial(), 0.26)
    result = qdexp("import", there, "--runs", here)
    assert result.exit_code == 1
    row = next(line for line in result.stdout.splitlines() if "eval.denoising_loss" in line)
    assert row.split() == ["eval.denoising_loss", "0.25", "0.26", "+4", "%"]
    assert "step_seconds" not in result.stdout
    shown = qdexp("show", trial().trial_id, "--runs", here).stdout
    assert f"was imported from {there}; ours counts" in shown
    assert row in shown
    others = json.loads(qdexp("show", trial().trial_id, "--runs", here, "--json").stdout)["others"]
    assert [each["measurements"]["eval.denoising_loss"] for each in others] == [0.26]
    report = qdexp("report", "sizes", "--runs", here, "--format", "md").stdout
    assert "differs in eval.denoising" in report.replace("\\", "")


def test_bundle_is_written_beside_and_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "there", trial())
    monkeypatch.chdir(tmp_path)
    result = qdexp("bundle", "sizes", "--runs", tmp_path / "there")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'sizes.qdexp.zip'}\n"
    assert qdexp("import", "sizes.qdexp.zip", "--runs", "here").exit_code == 0
    with Ledger(tmp_path / "here") as ledger:
        assert ledger.trial(trial().trial_id).outcome is not None


def test_invalidate_names_all_that_is_void(tmp_path: Path) -> None:
    record(tmp_path, trial())
    result = qdexp("invalidate", trial().trial_id[:6], "--because", "no", "--runs", tmp_path)
    assert result.stdout == f"{trial().trial_id} invalidated: no\n"
    shown = qdexp("show", trial().trial_id, "--runs", tmp_path).stdout
    assert "invalidated: no; it counts nowhere" in shown
    assert "sizes: 1 trial: 1 invalidated" in qdexp("status", "sizes", "--runs", tmp_path).stdout


def test_invalidating_in_no_runs_folder_makes_none(tmp_path: Path) -> None:
    result = qdexp("invalidate", "abc", "--because", "no", "--runs", tmp_path / "none")
    assert isinstance(result.exception, QdexpError)
    assert not (tmp_path / "none").exists()


def test_show_tells_provenance_readably_and_prints_changes_when_asked(tmp_path: Path) -> None:
    record(tmp_path, trial(), diff=DIFF, hardware={"cpu": "Xeon"}, command="qdexp run sizes.yaml")
    shown = qdexp("show", trial().trial_id, "--runs", tmp_path).stdout
    facts = dict(line.split(maxsplit=1) for line in shown.splitlines() if line.startswith("  "))
    assert facts["hardware.cpu"] == "Xeon"
    assert facts["command"] == "qdexp run sizes.yaml"
    assert facts["diff"].startswith("1 file, +1 -1 lines (")
    assert facts["spec"].startswith("sizes.yaml as it was 20")
    assert qdexp("show", "--changes", trial().trial_id, "--runs", tmp_path).stdout == DIFF
    data = json.loads(qdexp("show", trial().trial_id, "--json", "--runs", tmp_path).stdout)
    assert data["changes"] == DIFF
    assert data["spec"]["text"] == SPEC
    assert data["outcome"]["measurements"]["eval.denoising_loss"] == 0.25
    assert data["configuration"]["model.num_embeddings"] == 8192


def test_show_diff_puts_two_trials_beside_each_other(tmp_path: Path) -> None:
    one, other = trial(), trial(1, model__num_embeddings=64)
    record(tmp_path, one, 0.25, hardware={"cpu": "Xeon"})
    record(tmp_path, other, 0.5, hardware={"cpu": "Epyc"})
    shown = qdexp("show", "--diff", one.trial_id, other.trial_id, "--runs", tmp_path).stdout
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    assert rows["configuration"] == [one.trial_id[:8], other.trial_id[:8]]
    assert rows["model.num_embeddings"] == ["8192", "64"]
    assert rows["seed"] == ["0", "1"]
    assert rows["eval.denoising_loss"] == ["0.25", "0.5", "+100", "%"]
    assert rows["hardware.cpu"] == ["Xeon", "Epyc"]
    assert "commit" not in rows
    arguments = ("show", "--diff", one.trial_id, other.trial_id, "--json", "--runs", tmp_path)
    data = json.loads(qdexp(*arguments).stdout)
    assert data["trial"] == [{"name": "seed", "one": 0, "other": 1}]


def test_show_diff_of_a_trial_with_itself_prints_nothing(tmp_path: Path) -> None:
    record(tmp_path, trial())
    result = qdexp("show", "--diff", trial().trial_id, trial().trial_id, "--runs", tmp_path)
    assert result.stdout == ""
    assert result.exit_code == 0


@pytest.mark.parametrize("arguments", [["--diff", "a"], ["a", "b"], ["--diff", "a", "b", "c"]])
def test_show_takes_one_trial_and_its_diff_two(arguments: list[str], tmp_path: Path) -> None:
    result = qdexp("show", *arguments, "--runs", tmp_path)
    assert result.exit_code == 2
    assert "expected one trial, or two after --diff" in result.output
