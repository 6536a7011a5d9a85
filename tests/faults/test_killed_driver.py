"""Whatever kills the driver, the same command finishes as if nothing had been.

`QDEXP_FAULT_SEED` repeats a session's choices; `QDEXP_FAULT_KILLS` says how many kills there are.
"""

import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from signal import Signals

import pytest
from aftermath import Results, final_outcomes, results
from fault_session import Faults, Undisturbed
from killed_runs import COMMAND, MARK, SPEC, Ended, ForkServer, Kill

pytestmark = pytest.mark.slow

GROUPS = {
    "report": r"\w+ \.{0,2}((report|trials|contrasts|written)\.\w+|[a-z-]+\.(png|svg))(\.new)?",
    "ledger": r"ledger\.sqlite .*",
    "latents cache": r"\w+ latents/.*",
    "checkpoint": r"\w+ checkpoint\..*|sync a folder",
    "MLflow migration": r"mlflow\.db\.new .*|rename mlflow\.db",
    "MLflow create": r"MLflow create_\w+",
    "MLflow batch": r"MLflow log_batch",
    "MLflow transaction": r"mlflow\.db commit",
    "MLflow artifact": r"MLflow log_(artifact|text)|rename .*\.(json|png|gif)",
    "MLflow end": r"MLflow (set_terminated|update_run|set_experiment_tag)",
    "pictures": r"open .*\.(gif|png)",
}
"""Kinds of write, by what they write: the first that fits. One that fits none is its own group."""


def started(server: ForkServer, folder: Path, kill: Kill | None = None) -> Ended:
    (folder / "sizes.yaml").write_text(SPEC)
    return server.run(COMMAND, folder, kill)


class Folders:
    """One runs folder after another: each is killed until it is complete, and then looked at."""

    def __init__(self, server: ForkServer, beside: Path, expected: Results) -> None:
        self._server = server
        self._beside = beside
        self._expected = expected
        self._number = 0
        self._folder = self._next()
        self.is_fresh = True

    def _next(self) -> Path:
        self._number += 1
        folder = self._beside / f"folder {self._number}"
        folder.mkdir()
        return folder

    def kill(self, kill: Kill) -> bool:
        """Runs the experiment and kills it; returns whether it got that far."""
        ended = started(self._server, self._folder, kill)
        self.is_fresh = False
        assert_as_killed(ended, kill)
        if ended.code == 0:
            self.finish()
        return ended.was_hit

    def finish(self) -> None:
        """Completes the folder, finds in it what is in an undisturbed one, and takes another."""
        ended = started(self._server, self._folder)
        assert ended.code == 0, ended.said
        found = results(self._folder / "runs")
        assert found.outcomes == self._expected.outcomes
        assert found.mirrored == self._expected.mirrored
        assert found.files == self._expected.files
        assert set(final_outcomes(self._folder / "runs").values()) == {1}
        self._folder, self.is_fresh = self._next(), True


def assert_as_killed(ended: Ended, kill: Kill) -> None:
    """A killed driver says nothing; one that was asked to stop says how to go on, unless done."""
    assert "Traceback" not in ended.said, f"{kill}\n{ended.said}"
    if kill.signal == "SIGKILL":
        assert ended.code in (-9, 0), f"{kill}\n{ended.said}"
        assert (ended.code == -9) == ended.was_hit
        return
    assert ended.code in (130, -15, 0), f"{kill}\n{ended.said}"
    assert ended.code != 130 or "goes on" in ended.said


def group_of(kind: str) -> str:
    return next((name for name, form in GROUPS.items() if re.fullmatch(form, kind)), kind)


def chosen(
    places: list[tuple[str, str]], number: int, chance: random.Random
) -> list[tuple[str, str]]:
    """Returns so many places, every group's before any twice, in the order of `places`."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for kind, moment in chance.sample(places, len(places)):
        groups.setdefault((group_of(kind), moment), []).append((kind, moment))
    picked: list[tuple[str, str]] = []
    while len(picked) < number:
        for group in sorted(groups, key=lambda group: (group[1] == "torn", *group)):
            kinds = groups[group]
            picked.append(kinds[len(picked) % len(kinds)])
            kinds.append(kinds.pop(0))
    return sorted(picked[:number], key=places.index)


def test_kinds_of_write_are_what_this_suite_thinks(undisturbed: Undisturbed) -> None:
    kinds = {kind for kind, _ in undisturbed.ended.passed}
    assert {group_of(kind) for kind in kinds} >= set(GROUPS)
    for each in (
        "ledger.sqlite tables",
        "ledger.sqlite members",
        "ledger.sqlite starts",
        "ledger.sqlite blocks",
        "ledger.sqlite mirrored",
        "open checkpoint.tmp",
        "sync checkpoint.tmp",
        "rename checkpoint.pt",
        "remove checkpoint.pt",
        "mlflow.db.new commit",
        "rename mlflow.db",
        "MLflow create_experiment",
        "MLflow create_run",
        "MLflow log_batch",
        "MLflow set_terminated",
        "mlflow.db commit",
        "rename latents/",
        "rename report.html",
    ):
        assert each in kinds


def test_driver_killed_at_every_kind_of_write_loses_and_repeats_nothing(
    server: ForkServer, undisturbed: Undisturbed, faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("writes")
    # progress.json is written by the clock, so that not every run writes it: any moment may hit it.
    passed = dict.fromkeys(undisturbed.ended.passed)
    every = [place for place in passed if "progress.json" not in place[0]]
    places = chosen(every, faults.num_kills_at_writes, chance)
    folders = Folders(server, tmp_path, undisturbed.results)
    hit: Counter[tuple[str, str]] = Counter()
    for kind, moment in places:
        signal = "SIGKILL" if moment == "torn" else chance.choice(["SIGKILL", "SIGTERM"])
        nth = chance.randint(1, 2)
        kill = Kill(signal=signal, kind=kind, nth=nth, moment=moment)
        if not folders.kill(kill):  # what is left of this folder has no such write any more
            if not folders.is_fresh:
                folders.finish()
            kill = Kill(signal=signal, kind=kind, moment=moment)
            assert folders.kill(kill), f"{kill} was not reached"
        hit[kind, moment] += 1
        faults.note(str(kill))
    folders.finish()
    assert hit.total() == faults.num_kills_at_writes
    groups = {(group_of(kind), moment) for kind, moment in hit}
    assert groups >= {(group, moment) for group in GROUPS for moment in ("before", "after")}


def test_driver_killed_at_any_moment_loses_and_repeats_nothing(
    server: ForkServer, undisturbed: Undisturbed, faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("moments")
    folders = Folders(server, tmp_path, undisturbed.results)
    kills = 0
    while kills < faults.num_kills_at_moments:
        after = chance.uniform(0, undisturbed.ended.seconds)
        kill = Kill(signal=chance.choice(["SIGKILL", "SIGTERM"]), after=after)
        if folders.kill(kill):
            kills += 1
            faults.note(str(kill))
    folders.finish()


def test_command_killed_in_its_own_process_loses_and_repeats_nothing(
    undisturbed: Undisturbed, faults: Faults, tmp_path: Path
) -> None:
    """The same without a fork server: killed also while Python starts and imports."""
    (tmp_path / "sizes.yaml").write_text(SPEC)
    chance = faults.chance("commands")
    command = [sys.executable, "-m", "qdexp", *COMMAND]
    environment = {**os.environ, MARK: faults.mark}
    for name in ("SIGKILL", "SIGTERM", "SIGKILL"):
        with (tmp_path / "said.txt").open("w") as said:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=said, stderr=said
            )
            after = chance.uniform(0, 6)
            try:
                process.wait(timeout=after)
            except subprocess.TimeoutExpired:
                process.send_signal(Signals[name])
            code = process.wait()
        kill = Kill(signal=name, after=after)
        ended = Ended(
            code=code,
            said=(tmp_path / "said.txt").read_text(),
            was_hit=code != 0,
            seconds=after,
            passed=(),
        )
        assert_as_killed(ended, kill)
        faults.note(str(kill))
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "runs") == undisturbed.results


def test_no_process_is_left(faults: Faults) -> None:
    assert faults.left_processes() == {}
