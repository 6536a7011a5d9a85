"""A real PostgreSQL and a real MLflow server, started for tests and gone after them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres_program(name: str) -> str:
    """Returns the path of one of PostgreSQL's programs; skips the test where there is none."""
    found = shutil.which(name)
    if found and Path(found).with_name("initdb").exists():
        return str(Path(found).resolve())
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not debian:
        pytest.skip(f"PostgreSQL is not installed: there is no {name} (Debian: postgresql)")
    return str(debian[-1])


def _as_somebody(folder: Path) -> list[str]:
    """Returns how a command begins that must not be root's, and gives it the folder."""
    if os.getuid() != 0:
        return []
    if not shutil.which("runuser"):
        pytest.skip("PostgreSQL refuses to run as root, and there is no runuser")
    shutil.chown(folder, "nobody")
    return ["runuser", "-u", "nobody", "--"]


class Postgres:
    """PostgreSQL over an empty folder that anybody can reach; can be stopped and started again."""

    def __init__(self, folder: Path, password: str = "") -> None:
        folder.mkdir(mode=0o700)
        self.port = free_port()
        user = f"qdexp:{password}" if password else "qdexp"
        self.uri = f"postgresql://{user}@127.0.0.1:{self.port}/postgres"
        self._data, self._log = folder / "data", folder.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        self._somebody = _as_somebody(folder)
        initdb = postgres_program("initdb")
        how = ["--auth=scram-sha-256", f"--pwfile={secret}"] if password else ["--auth=trust"]
        subprocess.run(
            [
                *(*self._somebody, initdb, "-D", self._data, "-U", "qdexp", *how),
                *("--no-sync", "-E", "UTF8"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )

    def start(self) -> None:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._somebody, postgres_program("postgres"), "-D", self._data, *settings],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        wait_until_open(self.port, self._process)

    def stop(self) -> None:
        """Stops it with whatever its clients are doing."""
        if self._process is None:
            return
        # runuser passes no signal on to its child; PostgreSQL's own file names the right process.
        with contextlib.suppress(OSError, ValueError):
            first_line = (self._data / "postmaster.pid").read_text().splitlines()[0]
            os.kill(int(first_line), signal.SIGINT)
        self._process.wait(timeout=60)
        self._process = None


@contextmanager
def postgres(password: str = "") -> Iterator[Postgres]:
    """Runs PostgreSQL in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="qdexp-postgres-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user when root tests
    server = None
    try:
        server = Postgres(folder / "cluster", password)
        server.start()
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder)


class MlflowServer:
    """`mlflow server` over a database; can be stopped and started again at the same address."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._database = database.replace("://", "+psycopg://")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--artifacts-destination", (self._folder / "artifacts").as_uri()),
        ]
        environment = {
            "MLFLOW_BACKEND_STORE_URI": self._database,
            "MLFLOW_REGISTRY_STORE_URI": self._database,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
                start_new_session=True,
            )
        wait_until_open(self.port, self._process)
        wait_until_healthy(f"{self.url}/health", self._process)

    def stop(self) -> None:
        """Stops it at once, with whatever it was doing."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=60)
            self._process = None


def wait_until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Waits until a process listens at a port; fails if it ends before that."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with {process.returncode} before it listened"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens at port {port}")


def wait_until_healthy(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Waits until a server answers a request."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with {process.returncode} before it answered"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at {url}")


def emptied(database: str) -> None:
    """Removes all experiments and runs from MLflow's database."""
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE experiments, datasets, inputs CASCADE")
