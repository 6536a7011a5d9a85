"""Where MLflow tracks: the store of a runs folder, a database, or a server."""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from qdexp.backends.databases import DRIVERS, knock, missing_driver, with_driver
from qdexp.errors import RequestError
from qdexp.results.passwords import without_password

VARIABLE = "MLFLOW_TRACKING_URI"
OPTION = "--tracking-uri"
LOCAL = "local"
"""What `--tracking-uri` says for the runs folder's own store."""

_MISREAD = "%?#"
"""SQLAlchemy wants these quoted in an address, and MLflow makes folders with the quoted name."""

_SERVERS = ("http", "https")
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place that MLflow tracks in.

    Args:
        runs: The runs folder, absolute; it holds the artifacts unless a server does.
        uri: The tracking URI that was asked for, or empty for the runs folder's own store.
        chosen_by: The option or the variable that named it, or empty.
    """

    runs: Path
    uri: str = ""
    chosen_by: str = ""

    @property
    def database(self) -> Path | None:
        """The SQLite file, absolute, or None if it is none."""
        if not self.uri:
            return self.runs / "mlflow.db"
        return _sqlite_file(self.uri)

    @property
    def address(self) -> str:
        """What MLflow calls it; may hold a password.

        Raises:
            RequestError: Its path has characters that MLflow misreads.
        """
        file = self.database
        if file is None:
            return self.uri.rstrip("/") if self.is_server else with_driver(self.uri)
        if set(_MISREAD) & set(str(file)):
            raise RequestError(
                f"expected a path without {', '.join(_MISREAD)}, which MLflow misreads, found "
                f"{file}: choose another with --runs"
            )
        return f"sqlite:///{file}"

    @property
    def is_server(self) -> bool:
        """Tells whether a tracking server answers there, which keeps the artifacts itself."""
        return urlsplit(self.uri).scheme in _SERVERS

    @property
    def place(self) -> str:
        """The URI without its password; empty for the runs folder's own store."""
        return without_password(self.uri)

    @property
    def in_words(self) -> str:
        """How messages call it."""
        return self.place or str(self.database)

    @property
    def artifacts(self) -> Path | None:
        """The folder of the artifacts, or None where the server has a store of its own."""
        return None if self.is_server else self.runs / "mlartifacts"

    def silence(self) -> str:
        """Returns why nothing answers there now, or nothing if something does."""
        try:
            if self.is_server:
                _ask_server(self.address)
            elif self.database is None:
                knock(self.uri)
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            return str(getattr(reason, "strerror", None) or reason)
        return ""


def location_of(runs: Path, option: str | None) -> Location:
    """Returns where to mirror: as the option says, or the variable, or in the runs folder.

    Args:
        runs: The runs folder.
        option: A tracking URI, ``local``, or None where the option was not given.

    Raises:
        RequestError: The URI is none that MLflow can track in from here.
    """
    variable = os.environ.get(VARIABLE, "")
    uri, chosen_by = (option, OPTION) if option else (variable, VARIABLE)
    if not uri or uri == LOCAL:
        return Location(runs=runs.absolute())
    scheme = urlsplit(uri).scheme.partition("+")[0]
    file = _sqlite_file(uri)
    if file is not None:
        return Location(runs=runs.absolute(), uri=f"sqlite:///{file}", chosen_by=chosen_by)
    if scheme not in (*_SERVERS, *DRIVERS) or not urlsplit(uri).netloc:
        remedy = f"`{OPTION} {LOCAL}` mirrors in the runs folder"
        if chosen_by == VARIABLE:
            remedy = f"unset {VARIABLE}, or give another by {OPTION}; {remedy}"
        raise RequestError(
            f"{chosen_by}: expected a tracking URI such as http://host:5000, "
            "postgresql://user@host/name or sqlite:////folder/mlflow.db, found "
            f"'{without_password(uri)}'; {remedy}"
        )
    if scheme in DRIVERS and (missing := missing_driver(uri)):
        raise RequestError(f"{chosen_by}: {missing}")
    return Location(runs=runs.absolute(), uri=uri, chosen_by=chosen_by)


def _sqlite_file(uri: str) -> Path | None:
    """Returns the file of ``sqlite:///relative`` or ``sqlite:////absolute``, absolute."""
    prefix, found, path = uri.partition(":///")
    return Path(path).absolute() if found and prefix == "sqlite" and path else None


def _ask_server(address: str) -> None:
    """Asks for an experiment, which a server whose database is away cannot answer.

    Raises:
        OSError: It does not answer, or says that it cannot.
    """
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search",
        json.dumps({"max_results": 1}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:
            raise OSError(f"it answers with HTTP status {error.code}") from None
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # it answers, and MLflow may trust it
            raise
