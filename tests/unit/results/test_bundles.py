# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""A bundle carries an experiment whole, and is let in only as it was written."""

import json
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from qdexp.errors import LedgerError, NotFoundError, RequestError
from qdexp.results import bundle_reading
from qdexp.results.bundle_writing import write_bundle
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder


@pytest.fixture
def bundled(machines, there, tmp_path: Path) -> Callable[..., Path]:
    """Returns what bundles an experiment of two trials, one of them measured anew."""

    def bundle(*, with_checkpoints: bool = False) -> Path:
        report = tmp_path / "report.md"
        report.write_text("# It does\n")
        out = tmp_path / "sizes.qdexp.zip"
        write_bundle(
            "sizes", there.runs, {"report.md": report}, out, with_checkpoints=with_checkpoints
        )
        return out

    first, second = machines.trial(0), machines.trial(1)
    there.asks(first, second, text="before")
    there.asks(first, second)
    with Recorder(there.runs) as recorder:
        facts = recorder.record_facts({"diff": "diff --git a b\n+x\n"})
    there.ends(machines.failed(first), machines.completed(first, **facts))
    there.ends(machines.completed(second, 0.75))
    there.invalidates(second)
    there.ends(machines.completed(second))
    for name in ("samples.gif", "final_checkpoint.pt", "checkpoint_step_3.pt", "wêird.log"):
        there.keeps(first, name)
    there.asks(machines.trial(5), name="another")
    return bundle


def test_bundle_has_what_people_read(bundled, machines) -> None:
    with zipfile.ZipFile(bundled()) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert parts["report/report.md"] == b"# It does\n"
    assert (parts["specs/001.yaml"], parts["specs/002.yaml"]) == (b"before", b"text")
    provenance = json.loads(parts["provenance.json"])
    trial_id = machines.trial(0).trial_id
    assert provenance[trial_id]["commit"] == "abc"
    assert parts[f"changes/{provenance[trial_id]['diff']}.diff"] == b"diff --git a b\n+x\n"
    assert f"trials/{trial_id}/samples.gif" in parts
    assert b"qdexp import" in parts["README.txt"]
    assert not [name for name in parts if name.endswith(".pt")]


def test_imported_bundle_is_the_experiment(bundled, machines, here, there) -> None:
    here.imports(bundled(with_checkpoints=True))
    with Ledger(here.runs) as ours, Ledger(there.runs) as theirs:
        assert ours.experiments() == ["sizes"]
        assert ours.specs("sizes") == theirs.specs("sizes")
        assert ours.members("sizes") == theirs.members("sizes")
        for seed in range(2):
            trial_id = machines.trial(seed).trial_id
            assert ours.history(trial_id) == theirs.history(trial_id)
            assert ours.arrays(trial_id) == theirs.arrays(trial_id)
    files = sorted(path.name for path in here.folder(machines.trial(0)).iterdir())
    assert files == ["final_checkpoint.pt", "samples.gif"]
    before = here.rows()
    here.imports(bundled())
    assert here.rows() == before


def test_equal_experiments_give_equal_bundles(bundled, here, tmp_path: Path) -> None:
    first = bundled().read_bytes()
    assert bundled().read_bytes() == first
    here.imports(tmp_path / "sizes.qdexp.zip")
    out = tmp_path / "again.zip"
    report = {"report.md": tmp_path / "report.md"}
    write_bundle("sizes", here.runs, report, out, with_checkpoints=False)
    assert out.read_bytes() == first


def test_unknown_experiment_is_not_bundled(machines, there, tmp_path: Path) -> None:
    there.asks(machines.trial())
    with pytest.raises(NotFoundError, match="did you mean 'sizes'"):
        write_bundle("size", there.runs, {}, tmp_path / "x.zip", with_checkpoints=False)
    with pytest.raises(RequestError, match="--out: expected a file that can be written"):
        write_bundle("sizes", there.runs, {}, tmp_path / "no" / "x", with_checkpoints=False)
    assert not list(tmp_path.glob("*x*zip*"))


def rewritten(
    path: Path, change: Callable[[dict[str, bytes]], None], *, is_listed: bool = True
) -> Path:
    """Returns a bundle with changed parts, that its manifest lists as they are if so wanted."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    change(parts)
    if is_listed:
        from hashlib import sha256

        manifest["parts"] = {
            name: {"bytes": len(part), "sha256": sha256(part).hexdigest()}
            for name, part in parts.items()
        }
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
        archive.writestr("manifest.json", json.dumps(manifest))
    return changed


def test_rewritten_bundle_is_a_bundle(bundled, here) -> None:
    here.imports(rewritten(bundled(), lambda _: None))
    here.imports(rewritten(bundled(), lambda _: None, is_listed=False))


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/tmp/escaped",
        "trials/../../escaped",
        "trials/0123456789abcdef/../x",
        "trials/0123456789abcdef/.hidden",
        "trials/0123456789abcdeF/x",
        "trials/0123456789abcdef/a\\b",
        "report/../../x",
    ],
)
def test_part_with_a_name_that_leads_elsewhere_is_refused(
    bundled, here, tmp_path: Path, name: str
) -> None:
    changed = rewritten(bundled(), lambda parts: parts.update({name: b"x"}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RequestError, match="expected names of parts that a bundle has"):
        here.imports(changed)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts.update({"report/report.md": b"# It is not\n"}), "report.md"),
        (lambda parts: parts.update({"report/report.md": b"# It doez\n"}), "as it was bundled"),
        (lambda parts: parts.pop("README.txt"), "the parts that its manifest lists"),
        (lambda parts: parts.update(more=b""), "the parts that its manifest lists"),
    ],
)
def test_changed_part_is_refused(bundled, here, change, message: str) -> None:
    changed = rewritten(bundled(), change, is_listed=False)
    with pytest.raises(RequestError, match=message):
        here.imports(changed)
    assert not here.runs.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_cut_bundle_is_refused(bundled, here, share: float) -> None:
    path = bundled()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RequestError, match="expected a"):
        here.imports(path)
    assert not here.runs.exists()


def test_flipped_byte_anywhere_is_refused_or_harmless(bundled, here) -> None:
    path = bundled()
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), len(content) // 60):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        path.write_bytes(flipped)
        try:
            here.imports(path)
        except (RequestError, LedgerError):
            refused += 1
    assert refused > 40  # the rest are bytes of headers that nothing reads, such as times
    path.write_bytes(content)
    here.imports(path)
    assert len(here.rows()["outcomes"]) == 4


def test_bundle_of_another_version_is_refused(bundled, here, monkeypatch) -> None:
    path = bundled()
    monkeypatch.setattr(bundle_reading, "VERSION", 2)
    with pytest.raises(RequestError, match="version 2, found qdexp bundle 1"):
        here.imports(path)


def test_bundle_that_would_fill_the_disk_is_refused(bundled, here, monkeypatch) -> None:
    path = bundled()
    usage = namedtuple("usage", "total used free")(1, 1, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RequestError, match="fits into the 1,000 bytes that are free"):
        here.imports(path)


def test_part_larger_than_it_says_is_not_read_to_its_end(bundled, here) -> None:
    path = bundled()
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("README.txt").file_size
    content = path.read_bytes()
    entry = content.rindex(b"README.txt") - 46
    assert int.from_bytes(content[entry + 24 : entry + 28], "little") == size
    lied = content[: entry + 24] + (10 * size).to_bytes(4, "little") + content[entry + 28 :]
    path.write_bytes(lied)
    with pytest.raises(RequestError, match=r"README\.txt of .* bytes, found"):
        here.imports(path)


def test_zip_file_that_is_no_bundle_is_refused(here, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(RequestError, match="expected a bundle, found a zip file without"):
        here.imports(tmp_path / "x.zip")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(RequestError, match=r"x\.txt, which is neither"):
        here.imports(tmp_path / "x.txt")
