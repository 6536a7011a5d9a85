"""The README says what is there, and what it says can be done."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from qdexp.cli.app import app
from qdexp.config.presets import preset

README = Path("README.md").read_text()
GUIDE = "## Guide: train one model, sample from it"


def commands(text: str) -> list[str]:
    """Returns what a text says to type, without its comments."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


GUIDED = commands(README.partition(GUIDE)[2].partition("\n## ")[0])
OURS = [
    command
    for command in commands(README)
    if "qdexp" in command and " ui" not in command and command not in GUIDED
]

TINY = {
    "model.num_embeddings": 64, "model.embedding_dim": 8, "model.hidden_dim": 16,
    "model.num_layers": 1, "model.num_heads": 2, "model.codebook_init": "random",
    "training.max_steps": 12, "training.batch_size": 2, "training.gradient_accumulation_steps": 1,
    "training.warmup_steps": 1, "training.checkpoint_every_steps": 5, "data.num_train_clips": 8,
    "data.num_eval_clips": 4, "diffusion.sampling_steps": 2, "evaluation.num_clips": 2,
    "evaluation.num_levels": 2, "evaluation.curve_steps": [], "evaluation.curve_clips": 1,
    "evaluation.curve_levels": 1, "evaluation.codebook_tokens": 100,
}  # fmt: skip
"""What the guide's configurations are made of here, and below, what its numbers are."""

SMALLER = {"--nproc_per_node=8": "--nproc_per_node=2", "checkpoint_step_5000": "checkpoint_step_10"}


def test_every_command_has_a_row_and_each_of_its_options_is_documented() -> None:
    group = typer.main.get_command(app)
    rows = [row for row in README.splitlines() if row.startswith("| `qdexp")]
    sections = re.split(r"^## qdexp ", Path("docs/commands.md").read_text(), flags=re.MULTILINE)
    documented = {each.partition("\n")[0]: each for each in sections[1:]}
    commands = group.commands  # pyright: ignore[reportAttributeAccessIssue]
    assert sorted(row.split("`")[1].split()[1] for row in rows) == sorted(commands)
    assert sorted(documented) == sorted(commands)
    for name, command in commands.items():
        options = {o for p in command.params for o in p.opts if o.startswith("--")} - {"--help"}
        assert options <= set(re.findall(r"--[a-z-]+", documented[name])), name


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
    words = shlex.split(command.replace(".venv/bin/", ""))
    assert words[0] in ("qdexp", "torchrun")
    if words[0] == "torchrun":
        words[:1] = ["torch.distributed.run", "--standalone"]
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


@pytest.mark.slow
def test_guide_runs_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """On `tiny`-sized settings: what `presets` wrote is made smaller before it is trained."""
    assert [re.search(r"qdexp (\w+)", each)[1] for each in GUIDED] == [  # pyright: ignore
        *("presets", "train", "train", "train", "sample", "sample")
    ]
    for command in GUIDED:
        for large, small in SMALLER.items():
            command = command.replace(large, small)
        result = run(command, tmp_path)
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        if command.endswith(" presets"):
            make_smaller(tmp_path / "configs")
    for folder, ends in (("samples", {".mp4", ".gif"}), ("pictures", {".mp4", ".gif", ".png"})):
        found = list((tmp_path / "outputs" / folder).glob("sample_000.*"))
        assert {path.suffix for path in found} == ends
    assert (tmp_path / "outputs" / "pictures" / "codebook.csv").exists()


def make_smaller(configs: Path) -> None:
    for path in configs.iterdir():
        fields = preset(path.stem.removeprefix("config_")).replace(TINY)
        path.write_text(fields.model_dump_json())


def test_spec_in_the_readme_is_valid(tmp_path: Path) -> None:
    from qdexp.experiment.reader import read_spec

    (block,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    path = tmp_path / "spec.yaml"
    path.write_text(block)
    assert read_spec(path).name == "quantization_weight"
