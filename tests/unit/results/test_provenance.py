"""Provenance is of the code, the machine and the session."""

import subprocess
from pathlib import Path

import pytest

from qdexp.results import code_revision, machine, provenance


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout that is the current folder, with the package outside of any."""
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("one\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    monkeypatch.setattr(code_revision, "__file__", str(tmp_path / "elsewhere" / "module.py"))
    monkeypatch.chdir(folder)
    return folder


def test_only_changes_of_tracked_files_are_dirty(checkout: Path) -> None:
    (checkout / "my_question.yaml").write_text("name: mine\n")
    assert provenance.driver_provenance()["dirty"] is False
    (checkout / "code.py").write_text("two\n")
    assert provenance.driver_provenance()["dirty"] is True


def test_without_a_checkout_there_is_no_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.parent)
    assert "commit" not in provenance.driver_provenance()


def test_flat_provenance_is_one_level_of_texts() -> None:
    facts = {"commit": "abc", "versions": {"torch": "2"}, "dirty": False}
    flat = {"commit": "abc", "versions.torch": "2", "dirty": "False"}
    assert provenance.flat(facts) == flat


def test_diff_is_that_of_tracked_files_whatever_the_users_settings(checkout: Path) -> None:
    git(checkout, "config", "color.ui", "always")
    git(checkout, "config", "diff.external", "false")
    assert "diff" not in provenance.driver_provenance()
    (checkout / "code.py").write_text("two\n")
    (checkout / "my_question.yaml").write_text("name: mine\n")
    diff = provenance.driver_provenance()["diff"]
    assert "\n-one\n+two\n" in diff
    assert "mine" not in diff
    assert "\x1b" not in diff
    git(checkout, "add", ".")  # what is staged is not committed either
    assert "+two" in provenance.driver_provenance()["diff"]


def test_long_diff_is_cut_and_says_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_revision, "MOST_DIFF_CHARACTERS", 300)
    (checkout / "code.py").write_text("x" * 1000 + "\n")
    diff = provenance.driver_provenance()["diff"]
    assert diff[:300].count("x") > 100
    assert diff[300:].startswith("\n[the first 300 of 1")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["/opt/x/bin/qdexp", "run", "my spec.yaml"], "qdexp run 'my spec.yaml'"),
        (["/opt/x/qdexp/__main__.py", "run"], "qdexp run"),
        (["qdexp", "--tracking-uri", "postgresql://me:secret@host/db"], None),
        (["qdexp", "--study-storage=postgresql://me:a/secret@1@host/db"], None),
        (["qdexp", "--study-storage", "postgresql://host/db?user=a&password=secret"], None),
        (["qdexp", "run", "/its/home/x.yaml", "--runs=/its/home"], "qdexp run ~/x.yaml --runs=~"),
        (["qdexp", "run", "/its/homes/x.yaml"], "qdexp run /its/homes/x.yaml"),
        ([], ""),
    ],
)
def test_command_is_what_was_typed_without_what_is_nobodys_business(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str | None
) -> None:
    monkeypatch.setenv("HOME", "/its/home")
    found = provenance.command_line(arguments)
    assert "secret" not in found
    assert "me:" not in found
    if text is not None:
        assert found == text


def test_process_knows_its_machine_and_versions_without_heavy_imports() -> None:
    facts = provenance.process_provenance()
    assert {"host", "cpu", "cpus", "memory_gib", "system"} <= facts["hardware"].keys()
    assert {"python", "qdexp", "torch", "numpy", "ray", "pydantic"} <= facts["versions"].keys()
    assert "pytest" not in facts["versions"]
    facts["hardware"].clear()
    assert provenance.process_provenance()["hardware"]


def test_gpus_are_those_that_the_drivers_tool_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 550.54.15'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    machine._hardware.cache_clear()
    try:
        assert machine.hardware()["gpus"] == "NVIDIA H100 80GB HBM3, 81559 MiB, driver 550.54.15"
        tool.write_text("#!/bin/sh\necho broken; exit 9\n")
        machine._hardware.cache_clear()
        assert "gpus" not in machine.hardware()
    finally:
        machine._hardware.cache_clear()


@pytest.mark.usefixtures("checkout")
def test_nothing_says_who_ran_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-by-name")
    monkeypatch.setenv("LOGNAME", "somebody-by-name")
    assert "somebody-by-name" not in str(provenance.driver_provenance())


@pytest.mark.parametrize(
    ("ran", "seconds"),
    [
        ({"seconds": 3.0, "started_at": 9.0, "finished_at": 1.0}, 3.0),
        ({"started_at": 1.0, "finished_at": 9.0}, 8.0),
        ({"started_at": 9.0, "finished_at": 1.0}, None),
        ({}, None),
    ],
)
def test_duration_is_never_that_of_a_clock_that_was_set_back(
    ran: dict[str, float], seconds: float | None
) -> None:
    assert provenance.duration(ran) == seconds
