"""Where studies are mirrored: the URL of a database, checked before anything is written."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError

from qdexp.backends.databases import missing_driver, with_driver
from qdexp.errors import RequestError
from qdexp.results.passwords import without_password

OPTION = "--study-storage"

_OF_LIBPQ = ("psycopg", "psycopg2")
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 10, "tcp_user_timeout": 30_000}
"""PostgreSQL's own options: a server that is silent counts as away; seconds, seconds, ms."""


def url_of_file(file: Path) -> str:
    """Returns the URL of an SQLite file, whatever its path is."""
    plain = f"sqlite:///{file}"
    return plain if make_url(plain).database == str(file) else f"sqlite:///{quote(str(file))}"


def study_url(given: str) -> str:
    """Returns the URL of a database, with a driver that is installed.

    Raises:
        RequestError: It is none, or no driver is installed.
    """
    try:
        url = make_url(given)
        is_one = url.get_backend_name() != "sqlite" or url.database not in (None, "", ":memory:")
        url.get_dialect()
    except (ArgumentError, ValueError):
        is_one = False
    if not is_one:
        raise RequestError(
            f"{OPTION}: expected a URL such as sqlite:///FILE or postgresql://USER@HOST/NAME, "
            f"found '{_shown(given)}'"
        )
    if missing := missing_driver(given):
        raise RequestError(f"{OPTION}: {missing}")
    usable = with_driver(given)
    try:
        make_url(usable).get_dialect().import_dbapi()
    except ImportError as error:
        raise RequestError(
            f"{OPTION}: expected an installed driver of this database ({error.name}), found none"
        ) from None
    return usable


@contextmanager
def opened(url: str) -> Generator[RDBStorage]:
    """Lends the storage in a database, which holds studies only.

    Raises:
        SQLAlchemyError: The database is away, is none, or has no driver.
        OptunaError: It is another's, or of another version.
    """
    options = {"connect_args": _patience(make_url(url))}
    _check_tables(url, options)
    try:
        storage = RDBStorage(url.replace("{", "{{").replace("}", "}}"), engine_kwargs=options)
    except RuntimeError as error:  # of another version of Optuna
        raise StorageInternalError(str(error)) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _check_tables(url: str, options: dict[str, Any]) -> None:
    engine = create_engine(url, **options)
    try:
        tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables and "studies" not in tables:
        some = ", ".join(sorted(tables)[:3])
        raise StorageInternalError(f"it holds other tables ({some}): studies need one of their own")


def _patience(url: URL) -> dict[str, Any]:
    if url.get_backend_name() != "postgresql" or url.get_driver_name() not in _OF_LIBPQ:
        return {}
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}


def _shown(given: str) -> str:
    """Returns what was given without what may be a password."""
    user, _, host = given.rpartition("@")
    return f"...@{host}" if user and ":/" not in user else without_password(given)
