"""One experiment's report: one self-contained page, Markdown, LaTeX, tables, and data."""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal, get_args

import jinja2
from markupsafe import Markup, escape

from qdexp.errors import RequestError
from qdexp_analysis import appearance
from qdexp_analysis.account import unfinished
from qdexp_analysis.clips import clips
from qdexp_analysis.document import document, sentences
from qdexp_analysis.figure_files import FIGURES, figure_contents, remove_others
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.frames import contrast_frame
from qdexp_analysis.gallery import pictures
from qdexp_analysis.language import TAGS, say, speaking, spoken, word
from qdexp_analysis.latex import latex_lines, latex_text
from qdexp_analysis.picture import Picture
from qdexp_analysis.report_json import json_text
from qdexp_analysis.spreadsheet import csv_text, trial_rows
from qdexp_analysis.table import load
from qdexp_analysis.words import answer
from qdexp_analysis.written import FILES, ReportFiles, keep, key_of, own_folder, report_files

Format = Literal["html", "md", "latex", "csv", "contrasts", "json"]
"""How a report can be written: ``csv`` is one row a trial and metric, ``contrasts`` one each."""


def write_report(
    name: str, runs: Path, out_folder: Path | None = None, *, lang: str = "en"
) -> ReportFiles:
    """Writes an experiment's report in every format, its figures as SVG and PNG.

    Args:
        name: The experiment.
        runs: The runs folder.
        out_folder: Where to; ``reports/NAME`` under the runs folder unless given, of another
            language than English ``reports/NAME/LANG``.
        lang: The language, ``en`` or ``zh``.

    Raises:
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
        RequestError: The folder cannot be written, there is no such language, or no font for it.
    """
    with speaking(lang):
        return _written(name, runs, out_folder)


def _written(name: str, runs: Path, out_folder: Path | None) -> ReportFiles:
    key = key_of(name, runs, spoken())
    findings = find(load(name, runs))
    folder = out_folder or _own_folder(name, runs)
    drawn = pictures(findings)
    drawings = figure_contents(drawn)
    contents = drawings | {
        FILES[format_]: _rendered(findings, format_, runs, drawn).encode()
        for format_ in get_args(Format)
    }
    files = report_files(folder, _summary(findings), tuple(drawings))
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            _write(folder / file, content)
        if out_folder is None:
            remove_others(folder, drawings)
            keep(files, key)
    except OSError as error:
        raise RequestError(
            f"report: expected a folder that can be written, found {folder}: {error.strerror}; "
            f"every outcome is kept: clear the way, or name a file with `qdexp report {name} "
            "--out`, or another folder with --runs"
        ) from None
    return files


def _own_folder(name: str, runs: Path) -> Path:
    if Path(name).name != name or name == "..":  # from a ledger that no spec was read for
        raise RequestError(
            f"report: expected the name of a folder, found '{name}', which is a path: name a file "
            "with --out"
        )
    return own_folder(name, runs, spoken())


def render(name: str, runs: Path, format_: str, *, lang: str = "en") -> str:
    """Returns an experiment's report in one of the formats in `Format`.

    Raises:
        RequestError: There is no such format or language, or no font for it.
        NotFoundError: The ledger has no experiment of this name.
        LedgerError: The ledger cannot be read.
    """
    for known in get_args(Format):
        if format_ == known:
            with speaking(lang):
                findings = find(load(name, runs))
                drawn = pictures(findings) if known == "html" else ()
                return _rendered(findings, known, runs, drawn)
    raise RequestError(f"expected a format ({', '.join(get_args(Format))}), found '{format_}'")


def _rendered(findings: Findings, format_: Format, runs: Path, drawn: tuple[Picture, ...]) -> str:
    if format_ in ("csv", "contrasts"):
        with speaking("en"):  # data: the same words for every program that reads them
            is_csv = format_ == "csv"
            return csv_text(trial_rows(findings.experiment) if is_csv else contrast_frame(findings))
    if format_ == "json":
        return json_text(findings)
    content: dict[str, Any] = document(findings) | {"language": TAGS[spoken()]}
    if format_ == "latex":
        return _latex().get_template("report.tex.j2").render(content)
    for exact in ("command", "spec_text"):  # to be copied: _unbroken leaves Markup as it is
        content[exact] = (Markup.escape if format_ == "html" else Markup)(content[exact])
    content["clips"] = clips(findings.experiment, runs)
    if format_ == "html":
        content["pictures"] = {
            section: [
                {"name": p.name, "title": p.title, "caption": p.caption, "svg": Markup(p.inline())}
                for p in drawn
                if p.section == section
            ]
            for section in ("verdicts", "learning", "codebook", "levels", "cost")
        }
        looks = appearance.looks(findings.experiment)
        content["looks"] = [appearance.COLOURS.index(look.colour) for look in looks]
    return _environment(format_).get_template(f"report.{format_}.j2").render(content)


def _environment(format_: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qdexp_analysis"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = _markdown_text
    environment.globals |= {"say": _saying(format_), "word": word, "english": _english}
    return environment


def _latex() -> jinja2.Environment:
    """Returns an environment in which everything that a template inserts is text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qdexp_analysis"),
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=jinja2.StrictUndefined,
        finalize=_as_latex,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["lines"] = latex_lines
    environment.globals |= {"say": _saying("latex"), "word": word, "typewritten": _typewritten}
    return environment


def _saying(format_: str) -> Callable[..., Markup]:
    """Returns `say` for templates: a sentence is their markup, what stands in it is text."""
    write = {"html": lambda value: escape(_unbroken(value)), "latex": _as_latex}.get(
        format_, _unbroken
    )

    def saying(sentence: str, /, **values: object) -> Markup:
        written = {name: write(value) for name, value in values.items()}
        return Markup(say(sentence, **written))

    return saying


def _english(text: str) -> Markup:
    """Returns the attribute of words that were recorded in English, on a page of another tongue."""
    return Markup(' lang="en"' if spoken() != "en" and text.isascii() else "")


def _as_latex(value: object) -> Markup:
    return value if isinstance(value, Markup) else latex_text(_unbroken(value))


def _typewritten(value: object) -> Markup:
    return Markup(rf"\texttt{{{_as_latex(value)}}}")


def _unbroken(value: object) -> object:
    """Returns text in which a number stays on one line with what belongs to it."""
    if type(value) is not str:
        return value
    return re.sub(
        r" (?=[%/])|(?<=/) |(?<=\bp) (?=[=<])|(?<=\bp [=<]) ", "\N{NO-BREAK SPACE}", value
    )


def _markdown_text(value: object) -> str:
    """Returns a value in one line as Markdown text: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(str(value).split()))


def _summary(findings: Findings) -> tuple[str, ...]:
    warning = unfinished(findings)
    return (*([warning] if warning else []), *(sentences(findings) or answer(findings)))


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
