"""The study of a search is a mirror: lost, damaged or another's, it stops nothing and is mended."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from searched_hill import OPTIONS, SPEC, told


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hill.yaml"
    path.write_text(SPEC)
    return path


def test_study_that_was_lost_is_written_again_by_the_doctor(spec: Path, tmp_path: Path) -> None:
    told("search", str(spec), *OPTIONS)
    study = tmp_path / "runs" / "optuna.sqlite"
    before = shown(study)
    assert len(before) == 8
    study.unlink()
    told("doctor", "--tracking-uri", "none")
    assert shown(study) == before
    elsewhere = tmp_path / "elsewhere.sqlite"
    told("doctor", "--tracking-uri", "none", "--study-storage", f"sqlite:///{elsewhere}")
    assert shown(elsewhere) == before
    assert "all is well" in told("doctor", "--tracking-uri", "none")


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"no database, but long enough to be read as one", "file is not a database"),
        (b"SQLite format 3\0" + b"torn" * 2_000, "file is not a database"),
        (None, "it holds other tables (alembic_version"),
    ],
)
def test_study_that_is_damaged_or_anothers_is_said_and_stops_nothing(
    spec: Path, tmp_path: Path, content: bytes | None, because: str
) -> None:
    told("search", str(spec), *OPTIONS)
    study = tmp_path / "runs" / "optuna.sqlite"
    study.unlink()
    if content is None:
        with closing(sqlite3.connect(study)) as database:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
    else:
        study.write_bytes(content)
    before = study.read_bytes()
    assert "hill: 8 trials: 8 completed; best error" in told("status")
    said = told("doctor", "--tracking-uri", "none", code=1)
    assert "not mended: the study hill could not be written to sqlite:///" in said
    assert because in said
    said = told("search", str(spec), *OPTIONS, "--trials", "9")
    assert "9 trials: 9 completed (1 of them now" in said
    assert because in said
    assert study.read_bytes() == before
    study.unlink()
    assert "mended: the study hill in sqlite:" in told("doctor", "--tracking-uri", "none")
    assert len(shown(study)) == 9


def shown(study: Path) -> list[tuple[int, dict[str, float], list[float]]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{study}")
    try:
        trials = optuna.load_study(study_name="hill", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return [(each.number, each.params, each.values) for each in trials]
