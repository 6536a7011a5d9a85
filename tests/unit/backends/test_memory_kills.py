"""The kernel's own count of what it killed for want of memory."""

from pathlib import Path

import pytest

from qdexp.backends.ray_tune.memory_kills import memory_kills

EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"


@pytest.mark.parametrize(
    ("membership", "file", "text", "expected"),
    [
        ("0::/user/mine\n", "user/mine/memory.events", EVENTS, 2),
        ("0::/\n", "memory.events", EVENTS, 2),
        ("0::/of/the/host\n", "memory.events", EVENTS, 2),  # as a container sees it
        ("4:memory:/mine\n0::/\n", "memory/mine/memory.oom_control", CONTROL, 7),
        ("4:cpu,memory:/of/the/host\n", "memory/memory.oom_control", CONTROL, 7),
        ("0::/\n", "memory.events", "low 0\n", None),
        ("8:pids:/mine\n", "memory.events", EVENTS, None),
    ],
)
def test_count_is_found_where_the_kernel_has_it(
    tmp_path: Path, membership: str, file: str, text: str, expected: int | None
) -> None:
    groups = tmp_path / "groups"
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text(text)
    (tmp_path / "membership").write_text(membership)
    assert memory_kills(groups, tmp_path / "membership") == expected


def test_where_there_are_no_control_groups_nothing_is_known(tmp_path: Path) -> None:
    assert memory_kills(tmp_path, tmp_path / "absent") is None
