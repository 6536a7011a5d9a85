"""One experiment's report: one self-contained page, Markdown, LaTeX, tables, and data."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path
from typing import get_args

from qdexp.errors import RequestError
from qdexp_analysis.experiment_report import ExperimentReport
from qdexp_analysis.figure_files import FIGURES, figure_contents, remove_others
from qdexp_analysis.findings import find
from qdexp_analysis.language import speaking, spoken
from qdexp_analysis.rendering import Format
from qdexp_analysis.search_findings import Importance, find_search
from qdexp_analysis.search_report import SearchReport
from qdexp_analysis.searched import Searched, load_either
from qdexp_analysis.written import FILES, ReportFiles, keep, key_of, own_folder, report_files

Report = ExperimentReport | SearchReport


def write_report(
    name: str,
    runs: Path,
    out_folder: Path | None = None,
    *,
    lang: str = "en",
    importance: Importance | None = None,
) -> ReportFiles:
    """Writes an experiment's report in every format, its figures as SVG and PNG.

    Args:
        name: The experiment.
        runs: The runs folder.
        out_folder: Where to; ``reports/NAME`` under the runs folder unless given, of another
            language than English ``reports/NAME/LANG``.
        lang: The language, ``en`` or ``zh``.
        importance: What shares a search's variance out over its parameters; without it the report
            of a search says that it was not asked to.

    Raises:
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
        RequestError: The folder cannot be written, there is no such language, or no font for it.
    """
    with speaking(lang):
        return _written(name, runs, out_folder, importance)


def _written(
    name: str, runs: Path, out_folder: Path | None, importance: Importance | None
) -> ReportFiles:
    key = key_of(name, runs, spoken())
    report = _report_of(name, runs, importance)
    folder = out_folder or _own_folder(name, runs)
    drawn = report.pictures()
    drawings = figure_contents(drawn)
    contents = drawings | {
        FILES[format_]: report.text(format_, drawn).encode() for format_ in report.formats
    }
    files = report_files(folder, report.formats, report.summary(), tuple(drawings))
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            _write(folder / file, content)
        if out_folder is None:
            remove_others(folder, drawings)
            if report.is_whole:
                keep(files, key)
    except OSError as error:
        raise RequestError(
            f"report: expected a folder that can be written, found {folder}: {error.strerror}; "
            f"every outcome is kept: clear the way, or name a file with `qdexp report {name} "
            "--out`, or another folder with --runs"
        ) from None
    return files


def _report_of(name: str, runs: Path, importance: Importance | None) -> Report:
    found = load_either(name, runs)
    if isinstance(found, Searched):
        is_whole = importance is not None
        return SearchReport(found=find_search(found, importance), is_whole=is_whole)
    return ExperimentReport(findings=find(found), runs=runs)


def _own_folder(name: str, runs: Path) -> Path:
    if Path(name).name != name or name == "..":  # from a ledger that no spec was read for
        raise RequestError(
            f"report: expected the name of a folder, found '{name}', which is a path: name a file "
            "with --out"
        )
    return own_folder(name, runs, spoken())


def render(
    name: str,
    runs: Path,
    format_: str,
    *,
    lang: str = "en",
    importance: Importance | None = None,
) -> str:
    """Returns an experiment's report in one of the formats in `Format`.

    Raises:
        RequestError: There is no such format or language, or no font for it.
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
    """
    if format_ not in get_args(Format):
        raise RequestError(f"expected a format ({', '.join(get_args(Format))}), found '{format_}'")
    with speaking(lang):
        report = _report_of(name, runs, importance)
        for known in report.formats:
            if format_ == known:
                return report.text(known, report.pictures() if known == "html" else ())
    raise RequestError(
        f"expected a search for the format '{format_}', found the experiment '{name}', which "
        f"compares levels; its formats are {', '.join(report.formats)}"
    )


def _write(path: Path, content: bytes) -> None:
    """Replaces a file at once: a reader sees the old one or the new one.

    One writer at a time, under one name beside it, which a killed one leaves to the next.
    """
    beside = path.with_name(f".{path.name}.new")
    with _alone_in(path.parent):
        beside.write_bytes(content)
        beside.replace(path)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Waits for other writers; a lock on the folder itself leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
