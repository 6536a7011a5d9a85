# It stands in for functions of `os` and `sqlite3`, whatever they are called with.
# ruff: noqa: ANN401, PTH112, PTH113, PTH115, PTH119, PTH122, PTH202
"""Every kind of write that qdexp's process makes under a runs folder, and how to end it there.

Runs inside the process that is to die (see `fork_server` and `sitecustomize`), and changes nothing
but what it is told to: the functions that write are wrapped, so that each write passes a named
place, ``before`` and ``after``. Where the environment says so, the process is ended there; a file
that is being synced may be torn before, which is what a power cut leaves.
"""

import builtins
import contextlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import re
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

ORDER = "QDEXP_FAULT"
"""JSON: the runs folder (`under`), where each passing is noted (`log`), and where to end
(`kind`, `nth` from 1, `moment`, `signal`), if anywhere, or how long `after` that; and `clock` and
`patience`, in seconds."""

MLFLOW_METHODS = (
    "create_experiment",
    "create_run",
    "log_artifact",
    "log_batch",
    "log_text",
    "set_experiment_tag",
    "set_terminated",
    "update_run",
)
_TABLE = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)", re.IGNORECASE)
_COMMIT = re.compile(r"\s*COMMIT\b", re.IGNORECASE)


class Places:
    """Counts writes by kind, notes them, and ends the process at the one it was told of."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.under = os.path.realpath(order["under"])
        self._order = order
        self._seen: dict[str, int] = {}
        self._guard = threading.Lock()
        self._log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    @contextlib.contextmanager
    def passing(self, kind: str, tear: Callable[[], None] | None = None) -> Iterator[None]:
        """Is one write; it may have others inside of it, as a call of MLflow has transactions."""
        with self._guard:
            self._seen[kind] = nth = self._seen.get(kind, 0) + 1
        self._end_if_told(kind, nth, "before")
        if tear:
            if self._is_told(kind, nth, "torn"):
                tear()
            self._end_if_told(kind, nth, "torn")
        yield
        self._end_if_told(kind, nth, "after")

    def changed(self, what: str) -> float:
        """Returns a change of the surroundings, 0 if there is none."""
        return self._order.get(what, 0.0)

    def is_here(self, path: object) -> bool:
        """Tells whether a path is under the runs folder."""
        try:
            return os.path.realpath(os.fspath(path)).startswith(self.under + os.sep)  # type: ignore
        except (TypeError, ValueError):
            return False

    def _is_told(self, kind: str, nth: int, moment: str) -> bool:
        told = tuple(self._order.get(key) for key in ("kind", "nth", "moment"))
        return told == (kind, nth, moment)

    def _end_if_told(self, kind: str, nth: int, moment: str) -> None:
        is_told = self._is_told(kind, nth, moment)
        os.write(self._log, f"{json.dumps([kind, nth, moment, is_told])}\n".encode())
        if not is_told:
            return
        if seconds := self._order.get("after"):
            later = threading.Timer(seconds, self._end)
            later.daemon = True  # a process that ends before is not held up
            later.start()
        else:
            self._end()

    def _end(self) -> None:
        os.kill(os.getpid(), signal.Signals[self._order["signal"]])


def install() -> None:
    """Wraps what writes, if the environment has an order."""
    if ORDER not in os.environ:
        return
    places = Places(json.loads(os.environ[ORDER]))
    _watch_files(places)
    _watch_sqlite(places)
    _watch_mlflow(places)
    _set_clock(places.changed("clock"))


def kind_of_file(path: str) -> str:
    """Returns a file's name with numbers, ids and process ids left out."""
    path = re.sub(r"checkpoint_step_\d+|final_checkpoint", "checkpoint", path)
    folder, name = os.path.split(path)
    if folder.endswith(".building") or ".parts" in folder:
        return "latents/" + name
    if re.fullmatch(r"[0-9a-f]{16}(\.\w+)?", name):
        return os.path.basename(folder) + "/" + os.path.splitext(name)[1]
    return re.sub(r"\d+|[0-9a-f]{16,}", "N", name)


def _watch_files(places: Places) -> None:
    for name in ("replace", "rename"):
        setattr(os, name, _moving(places, getattr(os, name)))
    os.unlink = _on_path(places, "remove", os.unlink)
    os.fsync = _syncing(places, os.fsync)
    builtins.open = _opening(places, builtins.open)
    io.open = _opening(places, io.open)


def _moving(places: Places, function: Callable[..., Any]) -> Callable[..., Any]:
    def move(source: object, target: object, **more: object) -> object:
        if not places.is_here(target):
            return function(source, target, **more)
        with places.passing("rename " + kind_of_file(str(target))):
            return function(source, target, **more)

    return move


def _on_path(places: Places, verb: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def act(path: object, **more: object) -> object:
        if not places.is_here(path):
            return function(path, **more)
        with places.passing(f"{verb} {kind_of_file(str(path))}"):
            return function(path, **more)

    return act


def _syncing(places: Places, function: Callable[[int], None]) -> Callable[[int], None]:
    def sync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not places.is_here(path):
            return function(descriptor)

        def tear() -> None:
            if os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)

        what = "a folder" if os.path.isdir(path) else kind_of_file(path)
        with places.passing(f"sync {what}", tear):
            return function(descriptor)

    return sync


def _opening(places: Places, function: Callable[..., Any]) -> Callable[..., Any]:
    def opened(file: object, mode: str = "r", *rest: object, **more: object) -> object:
        if not set(mode) & set("wax+") or not places.is_here(file):
            return function(file, mode, *rest, **more)
        with places.passing("open " + kind_of_file(str(file))):
            return function(file, mode, *rest, **more)

    return opened


def _watch_sqlite(places: Places) -> None:
    connect = sqlite3.connect

    def watched(database: Any, *rest: Any, **more: Any) -> sqlite3.Connection:
        if not places.is_here(database):
            return connect(database, *rest, **more)
        if places.changed("patience"):
            more["timeout"] = places.changed("patience")
        connection = connect(database, *rest, **{"factory": Watched, **more})
        if isinstance(connection, Watched):
            connection.places, connection.file = places, os.path.basename(os.fspath(database))
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = watched  # type: ignore[assignment]


class Watched(sqlite3.Connection):
    """A connection whose transactions are places, named by the last table written to."""

    places: Places
    file = ""
    table = ""

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        self._note(sql)
        if _COMMIT.match(sql):
            with self.places.passing(f"{self.file} {self.table}"):
                return super().execute(sql, *rest)
        if "journal_mode" in sql:
            with self.places.passing(f"{self.file} {sql.rpartition('=')[2].strip()}"):
                return super().execute(sql, *rest)
        return super().execute(sql, *rest)

    def executemany(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        self._note(sql)
        return super().executemany(sql, *rest)

    def executescript(self, sql: str) -> sqlite3.Cursor:
        with self.places.passing(f"{self.file} tables"):
            return super().executescript(sql)

    def commit(self) -> None:
        if not self.in_transaction:
            return super().commit()
        with self.places.passing(f"{self.file} commit"):
            return super().commit()

    def _note(self, sql: str) -> None:
        if found := _TABLE.match(sql):
            self.table = found[1]


def _watch_mlflow(places: Places) -> None:
    def watch(module: Any) -> None:
        for name in MLFLOW_METHODS:
            method = getattr(module.MlflowClient, name)
            setattr(module.MlflowClient, name, _calling(places, f"MLflow {name}", method))

    _after_import("mlflow.tracking.client", watch)


def _calling(places: Places, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: object, **named: object) -> object:
        with places.passing(kind):
            return function(*arguments, **named)

    return call


def _after_import(name: str, change: Callable[[Any], None]) -> None:
    """Changes a module that is imported already, or else as soon as it is."""
    if name in sys.modules:
        change(sys.modules[name])
        return

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
            if fullname != name:
                return None
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            loader: Any = spec and spec.loader
            execute = loader.exec_module

            def execute_and_change(module: Any) -> None:
                execute(module)
                change(module)

            loader.exec_module = execute_and_change
            return spec

    sys.meta_path.insert(0, Finder())


def _set_clock(seconds: float) -> None:
    """Moves this process's wall clock, for whoever asks Python what time it is."""
    import time

    now = time.time
    if seconds:
        time.time = lambda: now() + seconds
