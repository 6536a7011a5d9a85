"""What only reads or explains loads nothing heavy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "av",
    "torch",
    "ray",
    "mlflow",
    "pandas",
    "numpy",
    "sklearn",
    "scipy",
    "matplotlib",
    "seaborn",
}
CODE = """
import json, sys
{code}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
COMMAND = """
from qdexp.cli.app import main
sys.argv = ["qdexp", *{arguments}]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
"""


def modules_after(code: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", CODE.format(code=code)], capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert modules_after("import qdexp").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["plan", "experiments/codebook_size.yaml", "--runs", "{runs}"],
        ["plan", "experiments/timestep_range.yaml", "--json", "--runs", "{runs}"],
        ["encode", "--help"],
        ["status", "--runs", "{runs}"],
        ["presets", "--out", "{runs}"],
    ],
    ids=" ".join,
)
def test_command_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    filled = [argument.format(runs=tmp_path / "runs") for argument in arguments]
    assert modules_after(COMMAND.format(arguments=filled)).isdisjoint(HEAVY)


LATENTS = """
from pathlib import Path
from qdexp.config.data_config import DataConfig
from qdexp.data.dataset import LatentDataset
clips = DataConfig(num_train_clips=8, num_eval_clips=4, num_frames=5, height=32, width=32)
LatentDataset().prepare(clips, Path("{cache}"))
"""


def test_latents_that_are_there_load_no_torch(tmp_path: Path) -> None:
    code = LATENTS.format(cache=tmp_path)
    assert "torch" in modules_after(code)
    assert "torch" not in modules_after(code)


def test_this_test_would_notice() -> None:
    assert "numpy" in modules_after("import numpy")
