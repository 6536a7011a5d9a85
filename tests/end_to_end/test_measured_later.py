"""A measure of samples that is added to a finished experiment trains nothing again."""

from pathlib import Path

import pytest

from qdexp.results.ledger import Ledger, TrialRecord

pytestmark = pytest.mark.slow


def completed(runs: Path) -> list[TrialRecord]:
    with Ledger(runs) as ledger:
        return [each for each in ledger.members("sizes") if each.is_asked_for]


def test_finished_trials_are_measured_from_their_final_checkpoints(
    qdexp,  # noqa: ANN001
    tiny_spec: str,
    tmp_path: Path,
) -> None:
    spec, runs = tmp_path / "sizes.yaml", tmp_path / "runs"
    spec.write_text(tiny_spec)
    options = ("--runs", runs, "--executor", "inline")
    assert qdexp("run", spec, *options, "--no-report").returncode == 0
    before = {record.condition["model.num_embeddings"] for record in completed(runs)}

    refused = tmp_path / "refused.yaml"
    refused.write_text(tiny_spec + "metrics: {primary: eval.kernel_distance}\n")
    result = qdexp("plan", refused, "--runs", runs)
    assert result.returncode == 2
    assert "found evaluation.num_samples 0: set it" in result.stderr

    sampled = ("--set", "evaluation.num_samples=6", "--set", "diffusion.sampling_steps=3")
    plan = qdexp("plan", refused, "--runs", runs, *sampled)
    assert "4 resumable" in plan.stdout + plan.stderr
    result = qdexp("run", refused, *options, *sampled)
    assert result.returncode == 0, result.stderr

    after = completed(runs)
    assert {record.condition["model.num_embeddings"] for record in after} == before
    for record in after:
        assert record.outcome is not None
        assert record.outcome.provenance["resumed_from_step"] == record.outcome.step
        names = [n for n in record.outcome.measurements if n.startswith("eval.kernel_distance.")]
        (name,) = names
        assert name.startswith("eval.kernel_distance.pixels-pca.n6.r")
    report = Path(result.stdout.splitlines()[-1].removeprefix("report: ")).read_text()
    assert "kernel distance of real clips" in report
