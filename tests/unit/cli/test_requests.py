"""A wrong request is refused by every command, before anything is written."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from qdexp.cli.app import app, exit_code
from qdexp.cli.status_command import one_line
from qdexp.errors import RequestError, SpecError

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
"""


@pytest.mark.parametrize(
    "command",
    [["run", "SPEC"], ["plan", "SPEC"], ["status"], ["show", "a"], ["report", "sizes"], ["ui"]],
    ids=lambda command: command[0],
)
def test_file_for_a_runs_folder_is_a_wrong_request(tmp_path: Path, command: list[str]) -> None:
    spec, file = tmp_path / "spec.yaml", tmp_path / "file"
    spec.write_text(SPEC)
    file.touch()
    words = [str(spec) if word == "SPEC" else word for word in command]
    error = CliRunner().invoke(app, [*words, "--runs", str(file)]).exception
    assert isinstance(error, RequestError)
    assert "expected a folder, found a file" in str(error)
    assert exit_code(error) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "spec.yaml"]


@pytest.mark.parametrize("content", [None, b"another network"])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_network_that_is_not_there_or_another_one_is_a_wrong_request(
    tmp_path: Path, command: str, content: bytes | None
) -> None:
    spec, network, runs = tmp_path / "spec.yaml", tmp_path / "i3d.pt", tmp_path / "runs"
    fields = {"num_samples": 8, "backbone": "i3d", "backbone_path": network}
    lines = "".join(f"  evaluation.{name}: {value}\n" for name, value in fields.items())
    spec.write_text(f"{SPEC}set:\n{lines}")
    if content is not None:
        network.write_bytes(content)
    error = CliRunner().invoke(app, [command, str(spec), "--runs", str(runs)]).exception
    assert isinstance(error, RequestError)
    expected = "a TorchScript file, found none" if content is None else "a file with SHA-256"
    assert f"{spec}: evaluation.backbone_path: expected {expected}" in str(error)
    assert not runs.exists()


@pytest.mark.parametrize("command", [["run", "--executor", "inline"], ["plan"]])
def test_videos_that_are_not_there_are_a_wrong_request(tmp_path: Path, command: list[str]) -> None:
    spec, runs = tmp_path / "spec.yaml", tmp_path / "runs"
    spec.write_text(f"{SPEC}set: {{data.kind: video_folder, data.path: {tmp_path / 'videos'}}}\n")
    error = CliRunner().invoke(app, [*command, str(spec), "--runs", str(runs)]).exception
    assert isinstance(error, RequestError)
    assert "data.path: " in str(error)
    assert "expected a folder of videos" in str(error)
    assert not runs.exists()


SEARCH = """\
name: hill
question: Where is it lowest?
trainable: own_trainables:hill
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.1, high: 1.0, log: true}
where: x < y
sampler: tpe
enqueue: [{x: 0.1, y: 0.5}]
objectives: [error]
budget: {trials: 4}
"""


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("low: 0.0, high: 1.0", "low: 2.0, high: 1.0", "5:23"),
        ("low: 0.1", "low: 0.0", "6:12"),
        ("  x:", "  z:", "5:3"),
        ("sampler: tpe", "sampler: bayes", "8:10"),
        ("sampler: tpe", "sampler: {name: tpe, seeds: 1}", "8:22"),
        ("x: 0.1", "x: 0.9", "9:11"),
        ("[error]", "[errors]", "10:14"),
    ],
)
@pytest.mark.parametrize("command", [["search", "--executor", "inline"], ["plan"]])
def test_bad_space_is_refused_at_its_place_and_nothing_is_written(
    tmp_path: Path, command: list[str], old: str, new: str, place: str
) -> None:
    spec, runs = tmp_path / "search.yaml", tmp_path / "runs"
    assert old in SEARCH
    spec.write_text(SEARCH.replace(old, new, 1))
    error = CliRunner().invoke(app, [*command, str(spec), "--runs", str(runs)]).exception
    assert isinstance(error, SpecError), error
    assert exit_code(error) == 2
    assert str(error).startswith(f"{spec}:{place}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["search.yaml"]


def test_reason_in_a_table_is_one_short_line() -> None:
    assert one_line("ValueError: no\n  at all") == "ValueError: no at all"
    assert one_line("x" * 100) == "x" * 100
    assert one_line("x" * 101) == "x" * 99 + "…"
