"""Names and paths of every kind work, or are refused where they stand; nothing gets out."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from aftermath import results
from fault_session import Undisturbed
from killed_runs import COMMAND, SPEC, ForkServer

from qdexp.errors import RequestError, SpecError
from qdexp.experiment.reader import read_spec
from qdexp.results.folders import runs_folder

STRANGE = {
    "spaces": "two words ",
    "dots": "a.b..c",
    "non-ASCII letters": "größe_数_é",
    "quotes": 'it\'s "it"',
    "hash": "a#b",
    "percent": "100%25",
    "question mark": "why?",
    "backslash": "a\\b",
    "line break": "a\nb",
    "control": "a\x07b",
    "300 characters": "x" * 300,
    "one dot": ".",
    "a parent": "..",
    "a path out": "../x",
    "an absolute path": "/of no folder/x",
    "a path inside": "a/b",
    "an option": "-x",
    "nothing": "",
    "SQL": "x'; DROP TABLE trials; --",
    "markup": "<script>alert(1)</script>",
    "a template": "{{ 7 * 7 }}",
}


FACTOR = "model.num_embeddings: {levels: [32, 64], baseline: 32}"
LINE = SPEC[: SPEC.index(FACTOR)].count("\n") + 1
"""Where it stands in the spec."""


def spec_with(folder: Path, change: tuple[str, str]) -> Path:
    path = folder / "spec.yaml"
    text = SPEC.replace(*change)
    assert text != SPEC
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_strange_name_of_an_experiment_is_refused_where_it_stands(
    name: str, tmp_path: Path
) -> None:
    spec = spec_with(tmp_path, ("name: sizes", f"name: {json.dumps(name)}"))
    with pytest.raises(SpecError, match=r"spec\.yaml:1:7: name: expected 1 to 100 of the letters"):
        read_spec(spec)


@pytest.mark.parametrize("name", ["a", "7", "A-1_b", "Default", "x" * 100])
def test_plain_name_of_an_experiment_is_taken(name: str, tmp_path: Path) -> None:
    assert read_spec(spec_with(tmp_path, ("name: sizes", f'name: "{name}"'))).name == name


@pytest.mark.parametrize("level", STRANGE.values(), ids=STRANGE)
def test_strange_level_of_a_factor_is_refused_where_it_stands(level: str, tmp_path: Path) -> None:
    levels = f"model.quantizer: {{levels: [ema, {json.dumps(level)}], baseline: ema}}"
    with pytest.raises(SpecError, match=rf"spec\.yaml:{LINE}:\d+: "):
        read_spec(spec_with(tmp_path, (FACTOR, levels)))


@pytest.mark.parametrize("field", STRANGE.values(), ids=STRANGE)
def test_strange_field_is_refused_where_it_stands(field: str, tmp_path: Path) -> None:
    old = "model.num_embeddings: {levels"
    with pytest.raises(SpecError, match=rf"spec\.yaml:{LINE}:3: "):
        read_spec(spec_with(tmp_path, (old, f"{json.dumps(field)}: {{levels")))


@pytest.mark.parametrize("trainable", STRANGE.values(), ids=STRANGE)
def test_strange_trainable_is_refused_where_it_stands(trainable: str, tmp_path: Path) -> None:
    change = ("seeds: {", f"trainable: {json.dumps(trainable)}\nseeds: {{")
    with pytest.raises(SpecError, match=rf"spec\.yaml:{LINE + 1}:12: trainable: "):
        read_spec(spec_with(tmp_path, change))


@pytest.mark.parametrize("where", STRANGE.values(), ids=STRANGE)
def test_strange_where_is_refused_where_it_stands(where: str, tmp_path: Path) -> None:
    change = ("seeds: {", f"where: {json.dumps(where)}\nseeds: {{")
    with pytest.raises(SpecError, match=rf"spec\.yaml:{LINE + 1}:\d+: "):
        read_spec(spec_with(tmp_path, change))


@pytest.mark.parametrize("path", STRANGE.values(), ids=STRANGE)
def test_strange_path_of_data_is_found_or_refused(
    path: str, server: ForkServer, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    kind = f"set:\n  data.kind: video_folder\n  data.path: {json.dumps(path)}\n"
    (folder / "sizes.yaml").write_text(SPEC.replace("set:\n", kind), encoding="utf-8")
    ended = server.run(["plan", "sizes.yaml"], folder)
    assert ended.code == 2, ended.said
    assert "Traceback" not in ended.said
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_name_that_no_spec_can_have_is_not_found(
    name: str, server: ForkServer, tmp_path: Path
) -> None:
    for command in ("report", "status", "show"):
        ended = server.run([command, "--", name], tmp_path)
        assert ended.code == 2 or (command, name) == ("status", ""), ended.said
        assert "Traceback" not in ended.said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_strange_spec_file_and_folders_are_read_or_refused(
    name: str, server: ForkServer, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    readable = bool(name) and "/" not in name and len(name) < 256 and name not in (".", "..")
    if readable:
        (folder / name).write_text(SPEC)
    ended = server.run(["plan", "--runs", f"runs {name}", "--", name], folder)
    assert ended.code == (0 if readable else 2), ended.said
    assert "Traceback" not in ended.said
    assert readable == ("4 trials: 4 new" in ended.said)


def test_runs_folder_whose_name_is_too_long_is_refused() -> None:
    with pytest.raises(RequestError, match=r"--runs: .*too long"):
        runs_folder(Path("x" * 300))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "is_mirrored"),
    [
        ("two words. größe 数 'q' \"Q\"", True),
        ("a#b %25 ?", False),
        (f"{'x' * 150}/{'y' * 150}", True),
    ],
    ids=["letters", "what MLflow misreads", "300 characters"],
)
def test_experiment_runs_in_a_strange_folder(
    name: str,
    is_mirrored: bool,  # noqa: FBT001
    server: ForkServer,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "sizes.yaml").write_text(SPEC)
    ended = server.run(COMMAND, folder)
    assert ended.code == 0, ended.said
    assert ("not mirrored" in ended.said) != is_mirrored
    if is_mirrored:
        assert results(folder / "runs") == undisturbed.results
    assert (folder / "runs" / "reports" / "sizes" / "report.html").exists()
    assert sorted(each.name for each in folder.iterdir()) == [
        "runs",
        "said.txt",
        "sizes.yaml",
        "writes.log",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../escaped", "..", "/escaped", "reports/escaped"])
def test_name_in_a_ledger_that_is_a_path_writes_nothing_outside(
    name: str,
    server: ForkServer,
    undisturbed: Undisturbed,
    undisturbed_folder: Path,
    tmp_path: Path,
) -> None:
    """A ledger may come from elsewhere: what it names is not taken for a place."""
    assert undisturbed.ended.code == 0
    runs = tmp_path / "runs"
    runs.mkdir()
    with (
        closing(sqlite3.connect(undisturbed_folder / "runs" / "ledger.sqlite")) as source,
        closing(sqlite3.connect(runs / "ledger.sqlite")) as ledger,
    ):
        source.backup(ledger)
        for table in ("specs", "members"):
            ledger.execute(f"UPDATE {table} SET experiment = ?", (name,))
        ledger.execute("UPDATE specs SET definition = replace(definition, 'sizes', ?)", (name,))
        ledger.commit()
    ended = server.run(["report", name], tmp_path)
    assert ended.code == 2, ended.said
    assert "expected the name of a folder" in ended.said
    assert [each.name for each in runs.iterdir()] == ["ledger.sqlite"]
    ours = {"runs", "said.txt", "writes.log"}
    assert {each.name for each in tmp_path.iterdir()} <= ours
