"""The README says what is there, and what it says can be done."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from qdexp.cli.app import app

README = Path("README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
]
OURS = [command for command in COMMANDS if "qdexp" in command and " ui" not in command]


def test_every_command_and_its_options_are_documented() -> None:
    group = typer.main.get_command(app)
    rows = [row for row in README.splitlines() if row.startswith("| `qdexp")]
    table = {row.split("`")[1].split()[1]: row for row in rows}
    commands = group.commands  # pyright: ignore[reportAttributeAccessIssue]
    assert sorted(table) == sorted(commands)
    same_as_run = {"plan": {"--set", "--seeds"}}
    for name, command in commands.items():
        options = {o for p in command.params for o in p.opts if o.startswith("--")} - {"--help"}
        documented = set(re.findall(r"--[a-z-]+", table[name])) | same_as_run.get(name, set())
        assert options - documented <= {"--runs"}, name


def test_every_folder_of_the_package_is_in_the_tree() -> None:
    for folder in (path for path in Path("qdexp").iterdir() if (path / "__init__.py").exists()):
        assert re.search(rf"^  {folder.name}/ ", README, flags=re.MULTILINE), folder


def test_make_s_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", Path("Makefile").read_text(), flags=re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z]+)\b(?= |`|\n)", README)) - {"of"}
    assert {"demo", "test", "check"} <= used & targets


def test_readme_fits_three_screens() -> None:
    assert len(README.splitlines()) <= 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small finished experiment under the names that the README uses."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "experiments").mkdir()
    spec = Path("experiments/smoke.yaml").read_text()
    for name in ("codebook_size", "quantization_weight"):
        text = spec.replace("name: smoke", f"name: {name}").replace("max_steps: 20", "max_steps: 4")
        (folder / "experiments" / f"{name}.yaml").write_text(text)
    run("qdexp run experiments/codebook_size.yaml --executor inline --no-report", folder)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command.replace(".venv/bin/qdexp", "qdexp"))
    assert words[0] == "qdexp"
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("command", OURS)
def test_readme_command_runs(command: str, folder: Path) -> None:
    result = run(command, folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_spec_in_the_readme_is_valid(tmp_path: Path) -> None:
    from qdexp.experiment.reader import read_spec

    (block,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    path = tmp_path / "spec.yaml"
    path.write_text(block)
    assert read_spec(path).name == "quantization_weight"
