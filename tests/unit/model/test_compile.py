"""Every block compiles as one graph: a break would raise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compiled_blocks.py")


@pytest.mark.slow
def test_blocks_of_all_kinds_compile_as_one_graph_and_compute_the_same() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    differences = json.loads(done.stdout)

    assert len(differences) == 10
    assert {kind: value for kind, value in differences.items() if value > 1e-5} == {}
    # What was compiled sums in another order: not a bit of difference would mean it was not.
    assert differences["default"] > 0
