"""MLflow's pages are served to this machine alone."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from fault_session import Faults, Undisturbed
from killed_runs import MARK

pytestmark = pytest.mark.slow

LISTENING = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Returns the addresses, in the kernel's hexadecimal, and ports that processes listen on."""
    sockets = {
        found[1]
        for pid in pids
        for each in Path(f"/proc/{pid}/fd").glob("*")
        if (found := re.fullmatch(r"socket:\[(\d+)\]", _link(each)))
    }
    addresses: set[tuple[str, int]] = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and inode in sockets:
                address, _, port = local.partition(":")
                addresses.add((address, int(port, 16)))
    return addresses


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except OSError:
        return False


def test_ui_listens_on_loopback_only(
    faults: Faults, undisturbed: Undisturbed, undisturbed_folder: Path, unused_port: int
) -> None:
    assert undisturbed.ended.code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "qdexp", "ui", "--port", str(unused_port)],
        cwd=undisturbed_folder,
        env={**os.environ, MARK: faults.mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not answers(unused_port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        found = listening(set(faults.processes()))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert {port for _, port in found} == {unused_port}
    assert {address for address, _ in found} <= LOOPBACK
    assert faults.left_processes() == {}
