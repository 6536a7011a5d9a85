"""Whatever kills a search, the same command goes on as if nothing had been."""

from pathlib import Path
from typing import Any

import pytest
from fault_session import Faults
from killed_runs import ForkServer, Kill
from searched_folder import (
    NUM_TRIALS,
    Copies,
    assert_all_is_told,
    assert_copy_opens,
    attempts_at_ended,
    command,
    prepared,
    records_of,
)

pytestmark = pytest.mark.slow

NUM_KILLS = 10


def content(runs: Path) -> list[tuple[Any, ...]]:
    return [(each.suggestion, each.told, each.rungs) for each in records_of(runs)]


def test_search_killed_at_any_moments_goes_on_as_if_it_had_not_been(
    server: ForkServer, faults: Faults, tmp_path: Path
) -> None:
    chance = faults.chance("search")
    whole, killed = prepared(tmp_path / "whole"), prepared(tmp_path / "killed")
    ended = server.run(command("inline"), whole)
    assert ended.code == 0, ended.said
    assert_all_is_told(whole / "runs")
    assert "pruned" in {each.told.ending for each in records_of(whole / "runs") if each.told}
    hits, begun = 0, dict[str, int]()
    for _ in range(NUM_KILLS):
        after = chance.uniform(0, 2 * ended.seconds / NUM_KILLS)
        kill = Kill(signal="SIGKILL", after=after)
        again = server.run(command("inline"), killed, kill)
        assert "Traceback" not in again.said, again.said
        hits += again.was_hit
        faults.note(f"search: {kill}")
        ended_before, begun = begun, attempts_at_ended(killed / "runs")
        assert ended_before.items() <= begun.items()
        assert_copy_opens(killed / "runs", tmp_path / "copy")
    last = server.run(command("inline"), killed)
    assert last.code == 0, last.said
    assert hits > NUM_KILLS / 2
    assert_all_is_told(killed / "runs")
    assert begun.items() <= attempts_at_ended(killed / "runs").items()
    assert content(killed / "runs") == content(whole / "runs")


@pytest.mark.ray
def test_four_workers_try_nothing_twice_and_are_told_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from qdexp.api.searching import search
    from qdexp.backends.ray_tune import local_cluster

    folder = prepared(tmp_path / "ray")
    monkeypatch.chdir(folder)
    assert local_cluster  # sets Ray's environment before it is started
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    copies = Copies(folder / "runs", tmp_path / "copy")
    copies.start()
    try:
        done = search("hill.yaml", runs=folder / "runs", report=False, tracking=False)
    finally:
        ray.shutdown()
        copies.stop()
    assert any(0 < number < NUM_TRIALS for number in copies.num_told), "none in the middle"
    assert done.why_ended == f"{NUM_TRIALS} of {NUM_TRIALS} trials"
    assert len(done.suggestions) == NUM_TRIALS
    assert_all_is_told(folder / "runs")
    assert set(attempts_at_ended(folder / "runs").values()) == {1}
