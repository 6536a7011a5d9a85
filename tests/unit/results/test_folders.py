"""The runs folder is a folder, or is made as one."""

from pathlib import Path

import pytest

from qdexp.errors import RequestError
from qdexp.results.folders import runs_folder


def test_runs_folder_that_is_not_there_yet_is_accepted(tmp_path: Path) -> None:
    assert runs_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_runs_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDEXP_RUNS", str(tmp_path))
    assert runs_folder(None) == tmp_path


@pytest.mark.parametrize("inside", ["", "runs"])
def test_file_for_a_runs_folder_is_refused(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RequestError, match=f"expected a folder, found a file: {file};"):
        runs_folder(file / inside)
