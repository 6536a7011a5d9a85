"""The rules of the structure hold: imports point down, modules are small and say what they are."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = sorted([*Path("qdexp").rglob("*.py"), *Path("analysis").rglob("*.py")])
TESTS = sorted(Path("tests").rglob("*.py"))
TRACKED = subprocess.run(
    ["git", "ls-files"], capture_output=True, text=True, check=True
).stdout.splitlines()
NAMELESS = {"utils", "common", "helpers", "base", "core", "main", "manager", "misc"}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_imports_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([str(linter)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=str)
def test_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert path.stem not in NAMELESS


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_functions_fit_a_screen(path: Path) -> None:
    long = {
        node.name: size
        for node in functions(path)
        if (size := (node.end_lineno or node.lineno) - node.lineno + 1) > 40
    }
    assert long == {}


@pytest.mark.parametrize("name", TRACKED)
def test_no_file_names_a_registry_or_a_place_on_one_machine(name: str) -> None:
    data = Path(name).read_bytes() if Path(name).exists() else b""
    if b"\0" in data:
        return
    text = data.decode()
    registries = (
        r"pypi\.(org|python\.org)|files\.pythonhosted|registry\.npmjs|deb\.debian|index-url"
    )
    if name != "tests/architecture/test_layers.py":
        assert not re.search(registries, text)
        assert not re.search(r"(?<![\w.])/(home|root|work|Users)/\w", text)
