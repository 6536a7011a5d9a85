"""How many processes the kernel has killed for want of memory, where it says so."""

from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def memory_kills(groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> int | None:
    """Returns the kernel's count for the control group of this process, or None without any.

    It counts every process of the group: a rise says that the kernel had to kill one of them,
    which is as much as can be known of a worker that vanished.
    """
    for path in _counters(groups, membership):
        try:
            words = path.read_text().split()
        except OSError:
            continue
        if "oom_kill" in words[:-1]:
            return int(words[words.index("oom_kill") + 1])
    return None


def _counters(groups: Path, membership: Path) -> Iterator[Path]:
    """Yields where the counter may be: in the group's own folder, or in what a container sees."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        inside = group.lstrip("/")
        if number == "0":  # version 2
            yield groups / inside / "memory.events"
            yield groups / "memory.events"
        elif "memory" in controllers.split(","):
            yield groups / "memory" / inside / "memory.oom_control"
            yield groups / "memory" / "memory.oom_control"
