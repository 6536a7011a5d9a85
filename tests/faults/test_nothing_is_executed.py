"""Nothing that is read from a file is executed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = sorted(
    path
    for folder in ("qdexp", "analysis", "tests", "benchmarks")
    for path in Path(folder).rglob("*.py")
)
EXECUTING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def loads(text: str) -> Iterator[ast.Call]:
    """Yields every call of `torch.load`, whatever it was imported as."""
    tree = ast.parse(text)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "torch"
        for alias in node.names
        if alias.name == "load"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "torch.load" or called in names:
                yield node


def is_safe(call: ast.Call) -> bool:
    return any(
        keyword.arg == "weights_only"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is True
        for keyword in call.keywords
    )


def executing_loads(text: str) -> Iterator[str]:
    """Yields every call of a function that loads, of a module that executes what it loads."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(value=module, attr=name) as function):
                if ast.unparse(module) in EXECUTING and "load" in name.lower():
                    yield ast.unparse(function)
            case _:
                pass


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_load_takes_weights_only(path: Path) -> None:
    text = path.read_text()
    assert [ast.unparse(call) for call in loads(text) if not is_safe(call)] == []
    assert list(executing_loads(text)) == []


def test_checkpoints_are_read_by_such_a_load() -> None:
    assert list(loads(Path("qdexp/training/checkpoint.py").read_text()))


@pytest.mark.parametrize(
    "code",
    ["torch.load(f)", "torch.load(f, weights_only=False)", "from torch import load as l\nl(f)"],
)
def test_this_test_would_notice_a_load(code: str) -> None:
    assert [call for call in loads(code) if not is_safe(call)]


def test_this_test_would_notice_a_pickle() -> None:
    assert list(executing_loads("pickle.loads(b)")) == ["pickle.loads"]
