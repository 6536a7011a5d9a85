"""A cluster is joined with the code that trials need, or refused with what to do."""

import os
import socket
from pathlib import Path

import pytest

from qdexp.backends.place import Place
from qdexp.backends.ray_tune import running, shipment
from qdexp.backends.ray_tune.nodes import NodeReport, judged, versions_here
from qdexp.errors import RequestError


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "code"
    for name in ("mine/__init__.py", "helper.py", ".git/object", "runs/ledger.sqlite",
                 "runs/big", "env/pyvenv.cfg", "__pycache__/x.pyc"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(folder)
    return folder


def files(folder: str) -> set[str]:
    return {str(f.relative_to(folder)) for f in Path(folder).rglob("*") if f.is_file()}


def test_own_code_is_sent_without_runs_folders_environments_and_hidden_ones(own_code: Path) -> None:
    with shipment.packed("mine.training:train") as sent:
        assert files(sent.runtime_env["working_dir"]) == {"mine/__init__.py", "helper.py"}
        modules = [Path(each) for each in sent.runtime_env["py_modules"]]
        assert [each.name for each in modules] == ["qdexp", "qdexp_analysis"]
        assert all((each / "__init__.py").exists() for each in modules)
        assert not [each for module in modules for each in module.rglob("__pycache__")]
        assert f"the folder {own_code}" in sent.summary
    assert not modules[0].exists()


def test_default_trainable_sends_no_folder() -> None:
    with shipment.packed("qdexp.training.run_trial:run_trial") as sent:
        assert "working_dir" not in sent.runtime_env
    with shipment.packed("yaml_of_nobody:train") as sent:
        assert "working_dir" not in sent.runtime_env


def test_installed_trainable_is_not_sent() -> None:
    with shipment.packed("numpy.linalg:norm") as sent:
        assert "working_dir" not in sent.runtime_env


def test_data_among_the_code_are_refused_by_name(
    own_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipment, "LIMIT_MIB", 8)
    (own_code / "videos.bin").write_bytes(bytes(9 * 2**20))
    with (
        pytest.raises(RequestError, match=r"at most 8 MiB .* \(videos.bin 9 MiB"),
        shipment.packed("mine:train"),
    ):
        pass


def test_variables_that_change_results_and_those_asked_for_are_sent_and_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"code{os.pathsep}/elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("TOKEN_OF_MINE", "y")
    monkeypatch.setenv("QDEXP_SCRATCH", "/here")
    with shipment.packed("mine:train", ["TOKEN_OF_MINE", "LEVEL=3"]) as sent:
        found = sent.runtime_env["env_vars"]
    assert found["PYTHONPATH"] == f"{tmp_path}/code{os.pathsep}/elsewhere"
    assert (found["OMP_NUM_THREADS"], found["TOKEN_OF_MINE"], found["LEVEL"]) == ("1", "y", "3")
    assert "SECRET" not in found
    assert "QDEXP_SCRATCH" not in found
    assert "y" not in sent.summary.partition("variables: ")[2].split(", ")


def test_variable_that_is_not_set_is_refused() -> None:
    with pytest.raises(RequestError, match="found 'NOT_SET'"), shipment.packed("m:f", ["NOT_SET"]):
        pass


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", ":6379", "head:0"])
def test_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(
        RequestError, match=f"--address: expected auto or HOST:PORT, found '{address}'"
    ):
        running.greeted(address)


def test_ray_client_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(RequestError, match=r"the ledger is not.*--address auto"):
        running.greeted("ray://127.0.0.1:10001")


def test_address_where_nobody_listens_is_said_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(RequestError, match=f"{address}, found that nobody answers"):
            running.greeted(address)


def test_somebody_else_s_port_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GREETING_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(RequestError, match="is it a Ray head's port"):
            running.greeted(address)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken", "RAY_AUTH_TOKEN"),
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.61\n    Python: 3.12.1\n"
            "This process on node x was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n",
            "Ray: 2.61 Python: 3.12.1 This process",
        ),
    ],
)
def test_refusal_of_a_cluster_says_what_to_do(problem: str, said: str) -> None:
    message = running._explained("head:6379", problem)  # pyright: ignore[reportPrivateUsage]
    assert message.startswith("--address: expected a Ray cluster at head:6379")
    assert said in message


def report(**changes: object) -> NodeReport:
    content = {"host": "a", "versions": versions_here(), "sees_folder": True} | changes
    return NodeReport(**content)  # pyright: ignore[reportArgumentType]


def test_nodes_like_this_one_are_accepted_in_silence(tmp_path: Path) -> None:
    assert judged([report(), report(host="b")], tmp_path, is_shared=True) == []


def test_node_with_another_torch_is_named(tmp_path: Path) -> None:
    other = report(host="b", versions=versions_here() | {"torch": "1.0"})
    (note,) = judged([report(), other], tmp_path, is_shared=True)
    assert note.startswith("b has torch 1.0, this machine has ")


def test_node_that_does_not_see_the_runs_folder_is_refused_unless_there_is_a_storage(
    tmp_path: Path,
) -> None:
    blind = report(host="b", sees_folder=False)
    with pytest.raises(RequestError, match=f"found that b does not see {tmp_path}.*--storage URI"):
        judged([report(), blind], tmp_path, is_shared=True)
    assert judged([report(), blind], tmp_path, is_shared=False) == []


def test_node_whose_scratch_folder_is_full_is_refused(tmp_path: Path) -> None:
    full = report(host="b", problem="its scratch folder cannot be written")
    with pytest.raises(RequestError, match="b cannot: its scratch folder"):
        judged([full], tmp_path, is_shared=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "inline", "address": "auto"}, "--executor ray"),
        ({"storage": "s3://bucket"}, "--storage: expected --address"),
        ({"variables": ("A=1",)}, "--env: expected --address"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Place(**options)  # pyright: ignore[reportArgumentType]
