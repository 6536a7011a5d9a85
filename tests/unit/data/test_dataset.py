"""The data set of moving digits: its fingerprint, and a cache that mends itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qdexp.config.data_config import DataConfig
from qdexp.data import fingerprint as pins
from qdexp.data.dataset import LatentDataset
from qdexp.data.latent_cache import AUTOENCODER, HELD_OUT, TRAIN, open_latents
from qdexp.data.manifest import MANIFEST
from qdexp.errors import DataError
from qdexp.execution.ports import Dataset

CONFIG = DataConfig(num_train_clips=8, num_eval_clips=4, num_frames=5, height=32, width=32)
DATASET: Dataset = LatentDataset()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    DATASET.prepare(CONFIG, cache)
    return cache


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """A cache with the latents of `CONFIG` in it, which a test may damage."""
    return shutil.copytree(prepared, tmp_path / "cache")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_equal_configurations_have_equal_fingerprints() -> None:
    assert DATASET.fingerprint(CONFIG) == DATASET.fingerprint(CONFIG.model_copy())


@pytest.mark.parametrize(
    "change",
    [
        {"num_train_clips": 9},
        {"num_eval_clips": 5},
        {"num_frames": 9},
        {"height": 40},
        {"width": 40},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_the_data_enters_the_fingerprint(change: dict[str, int]) -> None:
    assert DATASET.fingerprint(CONFIG.model_copy(update=change)) != DATASET.fingerprint(CONFIG)


@pytest.mark.parametrize(("pin", "value"), [("FRAMES_SHA256", "other"), ("PCA3D_VERSION", 2)])
def test_clips_and_autoencoder_enter_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch, pin: str, value: str | int
) -> None:
    before = DATASET.fingerprint(CONFIG)

    monkeypatch.setattr(pins, pin, value)

    assert DATASET.fingerprint(CONFIG) != before


@pytest.mark.parametrize("fields", ["", "kind='video_folder', path='videos'"])
def test_a_fingerprint_loads_nothing_heavy(fields: str, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("hashed, not decoded")
    program = (
        "import sys; from qdexp.config.data_config import DataConfig; "
        "from qdexp.data.dataset import LatentDataset; "
        f"LatentDataset().fingerprint(DataConfig({fields})); "
        "heavy = {'torch', 'numpy', 'sklearn', 'scipy', 'jaxtyping', 'av', 'safetensors'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )

    assert ended.stdout.strip() == "[]"


def test_prepared_latents_are_under_an_absolute_folder_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    folder = DATASET.prepare(CONFIG, Path("cache"))

    assert folder.is_absolute()
    assert folder.parent == tmp_path / "cache" / "latents"
    assert sorted(contents(folder)) == sorted([AUTOENCODER, HELD_OUT, MANIFEST, TRAIN])
    assert open_latents(folder).train.shape == (8, 16, 2, 4, 4)


def test_latents_that_are_there_are_used_and_nothing_is_written(cache: Path) -> None:
    watched = [cache, *cache.rglob("*")]
    before = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in watched]

    folder = DATASET.prepare(CONFIG, cache)

    assert folder in watched
    assert [cache, *cache.rglob("*")] == watched
    assert [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in watched] == before


def test_other_data_get_another_folder(cache: Path) -> None:
    first = DATASET.prepare(CONFIG, cache)

    second = DATASET.prepare(CONFIG.model_copy(update={"seed": 1}), cache)

    assert first != second
    assert first.exists()


@pytest.mark.parametrize("name", [TRAIN, HELD_OUT, AUTOENCODER, MANIFEST])
def test_one_changed_byte_is_found_and_the_same_bytes_are_made_again(
    cache: Path, name: str
) -> None:
    folder = DATASET.prepare(CONFIG, cache)
    before = contents(folder)
    damaged = bytearray(before[name])
    damaged[len(damaged) // 2] ^= 1
    (folder / name).write_bytes(damaged)

    DATASET.prepare(CONFIG, cache)

    assert contents(folder) == before


@pytest.mark.parametrize("name", [TRAIN, MANIFEST])
def test_a_missing_file_is_made_again(cache: Path, name: str) -> None:
    folder = DATASET.prepare(CONFIG, cache)
    before = contents(folder)
    (folder / name).unlink()

    DATASET.prepare(CONFIG, cache)

    assert contents(folder) == before


def test_the_number_of_threads_changes_no_byte_and_is_left_alone(
    cache: Path, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        other = DATASET.prepare(CONFIG, tmp_path / "other")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)

    assert contents(other) == contents(DATASET.prepare(CONFIG, cache))


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")

    with pytest.raises(DataError, match="expected a cache that can be written"):
        DATASET.prepare(CONFIG, tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("kind", ["video_folder", "latents"])
def test_a_folder_that_is_not_there_is_said_with_its_field(kind: str, tmp_path: Path) -> None:
    data = DataConfig.model_validate({"kind": kind, "path": str(tmp_path / "nosuch")})

    with pytest.raises(DataError, match=r"^data\.path: .*nosuch: expected"):
        DATASET.fingerprint(data)


def test_videos_in_place_of_latents_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "one.mp4").touch()
    data = DataConfig(kind="latents", path=str(tmp_path / "videos"))

    for use in (DATASET.fingerprint, lambda data: DATASET.prepare(data, tmp_path)):
        with pytest.raises(DataError, match=r"found videos; did you mean data\.kind"):
            use(data)


def test_parts_that_a_killed_driver_left_beside_whole_latents_are_removed(cache: Path) -> None:
    folder = DATASET.prepare(CONFIG, cache)
    parts = folder.with_name(f"{folder.name}.parts")
    parts.mkdir()
    (parts / "train.f32").write_bytes(b"half")
    DATASET.prepare(CONFIG, cache)
    assert not parts.exists()
