"""Whatever kills the driver of Ray's workers, a search, its check and its path go on the same."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fault_session import Faults
from fork_server import WITH_RAY
from killed_runs import ForkServer, Kill
from planted_search import PLANTED
from qdexp_analysis import load
from qdexp_analysis.findings import find
from searched_folder import (
    HERE,
    assert_all_is_told,
    assert_copy_opens,
    attempts_at_ended,
    command,
    num_outcomes,
    prepared,
)

from qdexp.results.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.ray]

WRITES = ("starts", "blocks", "members", "tellings")
"""Tables of the ledger: a trial begins, has ended, is suggested, is told."""

SPEC = PLANTED + "budget: {trials: 6}\n"
CONFIRM = "confirm: {top: 2, seeds: [11, 12, 13, 14]}\n"
SEARCH_HILL = command("ray")
OPTIONS = ["--no-report", "--no-tracking"]
SEARCH = ["search", "planted.yaml", *OPTIONS]
ABLATE = ["ablate", "planted", "--racing", "--leave-one-out", *OPTIONS]
MADE = ("planted_confirm", "planted_path", "planted_left_out")


@pytest.fixture(scope="module")
def ray_server(faults: Faults) -> Iterator[ForkServer]:
    """Starts of the command line with Ray imported."""
    with ForkServer(faults.mark, **{WITH_RAY: "1"}) as server:
        faults.server_pids.add(server.pid)
        yield server
    faults.server_pids.remove(server.pid)


class Killing:
    """One folder, in which the drivers of Ray's workers are killed, and what had ended till then.

    Args:
        server: Starts them.
        folder: The current folder.
        faults: Notes every kill.
        chance: Chooses their moments.
        num_workers: CPUs of the clusters that they start.
    """

    def __init__(
        self,
        server: ForkServer,
        folder: Path,
        faults: Faults,
        chance: random.Random,
        num_workers: int,
    ) -> None:
        self._cluster = {"RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": num_workers})}
        self._server = server
        self._folder = folder
        self._faults = faults
        self._chance = chance
        self._begun: dict[str, int] = {}

    def kill(self, words: list[str], writes: Sequence[str], seconds: float = 0.0) -> bool:
        """Runs a command and kills its driver at one of the first of some writes, or soon after.

        Returns whether it got that far before it had done all.
        """
        kill = Kill(
            signal="SIGKILL",
            kind=f"ledger.sqlite {self._chance.choice(writes)}",
            nth=self._chance.randint(1, 6),
            moment=self._chance.choice(("before", "after")),
            after=self._chance.choice((None, self._chance.uniform(0, seconds))),
        )
        ended = self._server.run(words, self._folder, kill, environment=self._cluster)
        assert ended.code in (-9, 0), f"{kill}\n{ended.said}"
        assert "Traceback" not in ended.said, f"{kill}\n{ended.said}"
        self._faults.note(f"{words[0]} with workers: {kill}")
        self._check()
        return ended.code == -9

    def finish(self, words: list[str]) -> None:
        """Runs a command to its end."""
        ended = self._server.run(words, self._folder, environment=self._cluster)
        assert ended.code == 0, ended.said
        self._check()

    def _check(self) -> None:
        """Nothing that had ended was begun again."""
        begun = attempts_at_ended(self._folder / "runs")
        assert self._begun.items() <= begun.items()
        self._begun = begun


def test_driver_of_four_workers_that_is_killed_tries_nothing_twice(
    ray_server: ForkServer, faults: Faults, tmp_path: Path
) -> None:
    folder = prepared(tmp_path / "killed")
    killing = Killing(ray_server, folder, faults, faults.chance("search with workers"), 4)
    for _ in range(faults.num_kills_of_searching):
        assert killing.kill(SEARCH_HILL, WRITES, seconds=0.25)
        assert_copy_opens(folder / "runs", tmp_path / "copy")
    killing.finish(SEARCH_HILL)
    assert_all_is_told(folder / "runs")


def test_check_and_path_whose_driver_is_killed_say_what_they_would_have_said(
    ray_server: ForkServer, faults: Faults, tmp_path: Path
) -> None:
    whole, folder = searched(ray_server, tmp_path / "whole"), tmp_path / "killed"
    shutil.copytree(whole, folder)
    for words in (SEARCH, ABLATE):
        ended = ray_server.run([*words, "--executor", "inline"], whole)
        assert ended.code == 0, ended.said
    killing = Killing(ray_server, folder, faults, faults.chance("explained with workers"), 2)
    for words, num_kills, seconds in ((SEARCH, 1, 0.0), (ABLATE, 2, 2.0)):
        times = range(num_kills * faults.num_kills_of_ray // 6)
        assert any([killing.kill(words, ("starts", "blocks"), seconds) for _ in times])
        killing.finish(words)
    assert set(num_outcomes(folder / "runs").values()) == {1}
    assert made(folder / "runs") == made(whole / "runs")
    assert faults.left_processes() == {}


def searched(server: ForkServer, folder: Path) -> Path:
    """Returns a folder in which a search has ended whose spec now asks for a check of its best."""
    folder.mkdir()
    (folder / "planted.yaml").write_text(SPEC)
    shutil.copy(HERE.parent / "contract" / "planted_trainables.py", folder)
    ended = server.run([*SEARCH, "--executor", "inline"], folder)
    assert ended.code == 0, ended.said
    (folder / "planted.yaml").write_text(SPEC + CONFIRM)
    return folder


def made(runs: Path) -> dict[str, Any]:
    """Returns what must not depend on kills: what was asked, measured, decided and judged."""
    found: dict[str, Any] = {}
    for name in MADE:
        with Ledger(runs) as ledger:
            members = [each for each in ledger.members(name) if each.is_asked_for]
        measured = {
            each.trial_id: (each.outcome.status, each.outcome.measurements)
            for each in members
            if each.outcome
        }
        assert len(measured) == len(members)
        verdicts = [(each.condition, each.verdict) for each in find(load(name, runs)).contrasts]
        assert verdicts
        text = (runs / "searches" / f"{name}.yaml").read_text()
        found[name] = (measured, verdicts, text.replace(str(runs.parent), "HERE"))
    return found
