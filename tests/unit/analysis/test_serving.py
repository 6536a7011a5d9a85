"""The index of reports: this machine only, nothing but reports, nothing executed."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from qdexp_analysis.serving import ReportsServer, reports_server

from qdexp.errors import RequestError

Make = Callable[[Any], Path]


@contextmanager
def served(runs: Path) -> Generator[ReportsServer]:
    with reports_server(runs, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server: ReportsServer, path: str, **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.server_port}{path}", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            policy = answer.headers["Content-Security-Policy"]
            return answer.status, answer.read().decode(), policy
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers["Content-Security-Policy"]


def test_index_lists_every_experiment_and_links_lead_to_reports(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made(question="Is <b>it</b> better?"))
    with served(runs) as server:
        assert server.server_address[0] == "127.0.0.1"
        status, index, policy = get(server, "/")
        assert status == 200
        assert "default-src 'none'" in policy
        assert "Is &lt;b&gt;it&lt;/b&gt; better?" in index
        assert "9 of 9" in index
        assert 'href="/reports/codebook_size/"' in index
        assert get(server, "/reports/codebook_size/")[1].startswith("<!DOCTYPE html>")
        assert get(server, "/reports/codebook_size/json")[1].startswith('{\n "format"')
        assert get(server, "/reports/nothing/")[0] == 404
        for path in ("/reports/..%2F..%2Fledger.sqlite/", "/../ledger.sqlite", "/ledger.sqlite"):
            assert get(server, path)[0] == 404


def test_another_host_name_is_refused(make_ledger: Make, made: type[Any]) -> None:
    with served(make_ledger(made())) as server:
        assert get(server, "/", Host="evil.example:80")[0] == 403


def test_taken_port_is_told(tmp_path: Path) -> None:
    with reports_server(tmp_path, 0) as server, pytest.raises(RequestError, match="a free port"):
        reports_server(tmp_path, server.server_port)
