"""All reports of a runs folder in a browser of this machine: an index, and each report."""

import html
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import jinja2

from qdexp.errors import QdexpError, RequestError
from qdexp.results.ledger import Ledger
from qdexp_analysis.report import write_report
from qdexp_analysis.search_findings import Importance
from qdexp_analysis.written import ReportFiles, current

HOST = "127.0.0.1"

TYPES = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "latex": "application/x-tex; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "contrasts": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "suggestions": "text/csv; charset=utf-8",
}

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
"""A report runs nothing and loads nothing, whatever somebody wrote into a ledger."""


class ReportsServer(ThreadingHTTPServer):
    """Serves the index and the reports of one runs folder, on this machine only."""

    daemon_threads = True

    def __init__(self, runs: Path, port: int, importance: Importance | None) -> None:
        self.runs = runs
        self.importance = importance
        self.making = threading.Lock()  # matplotlib is not made for several threads
        super().__init__((HOST, port), _Handler)

    def files(self, name: str) -> ReportFiles:
        """Returns an experiment's report, made anew where the ledger has more to say."""
        with self.making:
            return current(name, self.runs) or write_report(
                name, self.runs, importance=self.importance
            )

    def index(self) -> str:
        """Returns the page that lists every experiment of the ledger."""
        with Ledger(self.runs) as ledger:
            rows = [_row(ledger, name) for name in ledger.experiments()]
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("qdexp_analysis"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        template = environment.get_template("index.html.j2")
        return template.render(rows=rows, runs=self.runs)


def reports_server(runs: Path, port: int, importance: Importance | None = None) -> ReportsServer:
    """Returns a server that listens at a port of 127.0.0.1; 0 takes a free one.

    Args:
        runs: The runs folder.
        port: The port.
        importance: As `write_report` takes it.

    Raises:
        RequestError: The port is taken.
    """
    try:
        return ReportsServer(runs, port, importance)
    except OSError as error:
        raise RequestError(
            f"--port: expected a free port, found {port}: {error.strerror}; choose another"
        ) from None


def _row(ledger: Ledger, name: str) -> dict[str, object]:
    trials = [record for record in ledger.members(name) if record.is_asked_for]
    definition = ledger.specs(name)[-1].definition
    return {
        "name": name,
        "link": f"/reports/{quote(name, safe='')}/",
        "question": definition["question"],
        "formats": [each for each in TYPES if each != "suggestions" or "search" in definition],
        "num_trials": len(trials),
        "num_settled": sum(record.is_settled for record in trials),
    }


class _Handler(BaseHTTPRequestHandler):
    server: ReportsServer  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version = "qdexp"

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "only for this machine")
            return
        try:
            self._found(urlsplit(self.path).path)
        except QdexpError as error:
            page = f"<!DOCTYPE html><title>qdexp</title><p>{html.escape(str(error))}</p>"
            self._answer(HTTPStatus.NOT_FOUND, TYPES["html"], page)

    def _found(self, path: str) -> None:
        parts = path.split("/")
        if path == "/":
            self._answer(HTTPStatus.OK, TYPES["html"], self.server.index())
        elif len(parts) == 4 and parts[1] == "reports" and parts[3] in ("", *TYPES):
            format_ = parts[3] or "html"
            file = self.server.files(unquote(parts[2])).by_format.get(format_)
            if file is None:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "only searches have suggestions")
                return
            self._answer(HTTPStatus.OK, TYPES[format_], file.read_text(encoding="utf-8"))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "no such page")

    def _answer(self, status: HTTPStatus, type_: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of every request."""
