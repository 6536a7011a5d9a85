"""A search, the check of its best and its path with Ray: what one process gives."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from planted_search import PLANTED
from searches import attempts
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.experiment.ablation_path import path_of
from qdexp.results.ledger import Ledger

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPEC = (
    PLANTED
    + """\
budget: {trials: 8}
confirm: {top: 2, seeds: [11, 12, 13]}
"""
)
COMMANDS = {
    "search": ["search", "planted.yaml"],
    "path": ["ablate", "planted", "--leave-one-out"],
    "raced path": ["ablate", "planted", "--racing", "--seeds", "4"],
}
EXPERIMENTS = ("planted", "planted_confirm", "planted_path", "planted_left_out")
Numbers = dict[str, tuple[str, dict[str, float], int]]


@dataclass(frozen=True)
class Done:
    """What a runs folder holds after all commands, and what each of them said."""

    runs: Path
    said: dict[str, str]
    paths: dict[str, list[str]]
    outcomes: dict[str, Numbers]
    specs: dict[str, str]
    begun: dict[str, int]
    processes: set[int]


def said(folder: Path, name: str, executor: str) -> str:
    """Returns what a command says, but for how long it took."""
    words = [*COMMANDS[name], "--executor", executor, "--runs", str(folder / "runs")]
    done = CliRunner().invoke(app, [*words, "--no-report", "--no-tracking"])
    assert done.exit_code == 0, done.output
    return re.sub(r", in [^)]*\)", ")", " ".join(done.stdout.replace(str(folder), "HERE").split()))


def outcomes(runs: Path, experiment: str) -> Numbers:
    """Returns how the trials of an experiment ended, which all did, at their first start."""
    with Ledger(runs) as ledger:
        members = ledger.members(experiment)
    assert {each.num_starts for each in members} == {1}
    return {
        each.trial_id: (each.outcome.status, dict(each.outcome.measurements), each.outcome.step)
        for each in members
        if each.outcome
    }


def processes(runs: Path) -> set[int]:
    """Returns the processes that the trials ran in."""
    with Ledger(runs) as ledger:
        members = [each for name in EXPERIMENTS for each in ledger.members(name)]
    return {each.outcome.provenance["pid"] for each in members if each.outcome}


def path_in(runs: Path) -> list[str]:
    with Ledger(runs) as ledger:
        rounds = path_of(ledger.specs("planted_path")[-1].definition)
    return ["+".join(each.kept.change) for each in rounds if each.kept]


def all_done(folder: Path, executor: str, monkeypatch: pytest.MonkeyPatch) -> Done:
    (folder / "planted.yaml").write_text(SPEC)
    monkeypatch.chdir(folder)
    runs, told, paths = folder / "runs", dict[str, str](), dict[str, list[str]]()
    for name in COMMANDS:
        told[name] = said(folder, name, executor)
        if name != "search":
            paths[name] = path_in(runs)
    return Done(
        runs=runs,
        said=told,
        paths=paths,
        outcomes={each: outcomes(runs, each) for each in EXPERIMENTS},
        specs={
            file.name: file.read_text().replace(str(folder), "HERE")
            for file in (runs / "searches").iterdir()
        },
        begun=attempts(runs),
        processes=processes(runs),
    )


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def inline(patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return all_done(tmp_path_factory.mktemp("inline"), "inline", patch)


@pytest.fixture(scope="module")
def parallel(patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    import ray

    from qdexp.backends.ray_tune import local_cluster

    assert local_cluster  # sets Ray's environment before it is started
    folder = tmp_path_factory.mktemp("parallel")
    # Workers import whatever this process can, as those of `local_cluster` do.
    patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield all_done(folder, "ray", patch)
    finally:
        ray.shutdown()


def test_workers_give_what_one_process_gives(inline: Done, parallel: Done) -> None:
    assert inline.processes == {os.getpid()}
    assert os.getpid() not in parallel.processes
    assert len(parallel.processes) >= 2
    assert parallel.outcomes == inline.outcomes
    assert parallel.paths == inline.paths
    assert parallel.specs == inline.specs
    assert parallel.said == inline.said


def test_path_recovers_what_was_planted(parallel: Done) -> None:
    for path in parallel.paths.values():
        assert path[0] == "big"
        assert set(path[1:]) == {"key", "lock"}
    assert "confirmed by planted_confirm (9 trials run)" in parallel.said["search"]
    assert "suggestion 1, the best on fresh seeds" in parallel.said["path"]
    gains = re.findall(r"error (\S+) to (\S+)", parallel.said["path"])
    assert [round(float(after) - float(before), 1) for before, after in gains] == pytest.approx(
        [-2.0, 0.3, -1.8], abs=0.21
    )


def test_every_trial_is_begun_once_and_none_by_a_second_call(parallel: Done) -> None:
    ids = {each for numbers in parallel.outcomes.values() for each in numbers}
    assert parallel.begun == dict.fromkeys(ids, 1)
    for name in ("search", "raced path", "path"):
        again = said(parallel.runs.parent, name, "ray")
        assert "completed (nothing to run)" in again
        assert "of them now" not in again
    assert attempts(parallel.runs) == parallel.begun
