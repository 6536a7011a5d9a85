"""Provenance is of the code, the machine and the session."""

import subprocess
from pathlib import Path

import pytest

from qdexp.results import code_revision, provenance


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
