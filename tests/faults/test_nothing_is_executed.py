"""Nothing that is read from a file is executed."""

import ast
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.presets import preset
from qdexp.errors import CheckpointError, SpecError
from qdexp.experiment.reader import read_spec
from qdexp.experiment.where import WhereError, parse_where
from qdexp.results import sealed
from qdexp.training import checkpoint

FIELDS = preset("tiny").fields()

SOURCES = sorted(
    path
    for folder in ("qdexp", "analysis", "tests", "benchmarks", "experiments", "docs")
    for path in Path(folder).rglob("*.py")
)
EXECUTING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE = {
    "Unpickler",
    "read_pickle",
    "full_load",
    "unsafe_load",
    "os.popen",
    "os.system",
    "yaml.load",
}


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
    """Yields every call that executes what it reads: unpickling, unsafe YAML, eval and exec."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(value=module, attr=name) as function):
                of = ast.unparse(module)
                loads_objects = of in EXECUTING and "load" in name.lower()
                if loads_objects or name in UNSAFE or f"{of}.{name}" in UNSAFE:
                    yield ast.unparse(function)
            case ast.Call(func=ast.Name(id=name)) if name in ("eval", "exec"):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if module in EXECUTING:
                yield from (
                    f"{module}.{each.name}" for each in names if "load" in each.name.lower()
                )
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield "allow_pickle=True"
            case ast.keyword(arg="typ", value=ast.Constant(value="unsafe")):
                yield "typ='unsafe'"
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield "shell=True"
            case _:
                pass


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_load_takes_weights_only(path: Path) -> None:
    text = path.read_text()
    assert [ast.unparse(call) for call in loads(text) if not is_safe(call)] == []
    assert list(executing_loads(text)) == []


def test_torchscript_is_read_in_one_place_only() -> None:
    """It is no pickle, but a program: of a network that a configuration names, with its hash."""
    ours = [path for path in SOURCES if path.parts[0] in ("qdexp", "analysis")]
    places = [str(path) for path in ours if "torch.jit.load(" in path.read_text()]
    assert places == ["qdexp/evaluation/torchscript_file.py"]


def test_checkpoints_are_read_by_such_a_load() -> None:
    assert list(loads(Path("qdexp/training/checkpoint.py").read_text()))


@pytest.mark.parametrize(
    "code",
    ["torch.load(f)", "torch.load(f, weights_only=False)", "from torch import load as l\nl(f)"],
)
def test_this_test_would_notice_a_load(code: str) -> None:
    assert [call for call in loads(code) if not is_safe(call)]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("pickle.loads(b)", "pickle.loads"),
        ("from pickle import load", "pickle.load"),
        ("joblib.load(p)", "joblib.load"),
        ("pickle.Unpickler(f).load()", "pickle.Unpickler"),
        ("pandas.read_pickle(p)", "pandas.read_pickle"),
        ("numpy.load(p, allow_pickle=True)", "allow_pickle=True"),
        ("yaml.unsafe_load(t)", "yaml.unsafe_load"),
        ("yaml.load(t, Loader=yaml.Loader)", "yaml.load"),
        ("YAML(typ='unsafe')", "typ='unsafe'"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("os.system(command)", "os.system"),
        ("run(command, shell=True)", "shell=True"),
    ],
)
def test_this_test_would_notice(code: str, found: str) -> None:
    assert found in list(executing_loads(code))


class Bomb:
    """Whoever unpickles it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


def test_checkpoint_that_would_execute_something_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    torch.save({"state": Bomb(tmp_path / "exploded")}, buffer)
    path = tmp_path / "checkpoint_step_3.pt"
    path.write_bytes(buffer.getvalue() + sealed.seal(buffer.getvalue()))
    with pytest.raises(CheckpointError, match="more than plain data and tensors"):
        checkpoint.read(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!x"]
)
def test_spec_with_a_tag_of_yaml_constructs_nothing(tag: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: {tag} ['touch {tmp_path / 'exploded'}']\nquestion: '?'\n")
    with pytest.raises(SpecError):
        read_spec(path)
    assert not (tmp_path / "exploded").exists()


WORDS = st.sampled_from(
    [
        *("and", "or", "not", "(", ")", "<", "<=", "==", "!=", "true", "1", "2.5", "-3e4", "'x'"),
        *("model.dropout", "training.max_steps", "model.quantizer", "model.__class__", "x.y.z"),
        *("diffusion.min_step.real", "__import__", "().__class__", "lambda", "os.system", "for"),
        *("if", "in", "is", "[", "]", "{", "}", ":", ":=", "=", ",", ".", "%", "@", "f()", '"'),
        *("\\", "\0", "\n", "\u0435", "\ud800"),
    ]
)


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_where_made_of_any_words_compares_fields_or_is_refused(text: str) -> None:
    offset = 0
    try:
        assert parse_where(text)(FIELDS) in (True, False)
    except WhereError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "model.__class__ == 1",
        "model.dropout.__class__ == 1",
        "model.dropout.real == 1",
        "__import__('os').system('x') == 1",
        "model.dropout() == 1",
        "model['dropout'] == 1",
        "(lambda: 1)() == 1",
        "print(1) == 1",
        "f'{model}' == 'x'",
        "1 if 1 == 1 else 2",
    ],
)
def test_where_reaches_no_attribute_and_no_call(text: str) -> None:
    with pytest.raises(WhereError):
        parse_where(text)
