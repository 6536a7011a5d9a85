"""Whether a written report still says what a new one would: then it need not be made again.

A report is a function of what the ledger has of the experiment, of the clips that trials left, of
the code that makes it, and of the libraries that draw it. A key over all of these is kept beside
the report, with its summary and the hashes of its files. Importing this loads no pandas.
"""

import hashlib
import html
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import qdexp
from qdexp.experiment.derived import derived_name
from qdexp.results.folders import REAL_CLIPS, SAMPLED_CLIPS, trial_folder
from qdexp.results.ledger import Ledger

KEPT = ".written.json"

RELATED = ("confirm", "path", "left_out")
"""What follows a search's name in those of the experiments that check and explain it."""

_LIBRARIES = (
    "jinja2", "markupsafe", "matplotlib", "numpy", "optuna", "pandas", "pillow", "pydantic",
    "ruamel.yaml", "scikit-learn", "scipy", "seaborn",
)  # fmt: skip

_CODE = ("errors.py", "config", "experiment", "results", "backends/optuna_suggester")
"""What of the package `qdexp` the analysis reads, or is told words and numbers by."""

_FACTS = (
    "SELECT spec_id, recorded_at, file, text, definition FROM specs WHERE experiment = ?"
    " ORDER BY spec_id",
    "SELECT m.trial_id, m.position, m.condition, m.asked_for, t.content, t.revision"
    " FROM members m JOIN trials t ON t.trial_id = m.trial_id WHERE m.experiment = ?"
    " ORDER BY m.trial_id",
    "SELECT o.outcome_id, o.trial_id, o.recorded_at, o.status, i.because"
    " FROM members m JOIN outcomes o ON o.trial_id = m.trial_id"
    " LEFT JOIN invalidations i ON i.outcome_id = o.outcome_id WHERE m.experiment = ?"
    " ORDER BY o.outcome_id",
    "SELECT s.trial_id, s.started_at FROM members m JOIN starts s ON s.trial_id = m.trial_id"
    " WHERE m.experiment = ? ORDER BY s.trial_id, s.started_at",
    "SELECT number, content FROM suggestions WHERE search = ? ORDER BY number",
    "SELECT number, content FROM tellings WHERE search = ? ORDER BY number",
    "SELECT total(seconds), total(gpu_seconds) FROM spent WHERE search = ?",
)
"""All that the ledger has of an experiment; outcomes never change, so their ids and times do."""


FILES = {
    "html": "report.html",
    "md": "report.md",
    "latex": "report.tex",
    "csv": "trials.csv",
    "contrasts": "contrasts.csv",
    "json": "report.json",
    "suggestions": "suggestions.csv",
}
"""The name of a report's file in each format; only searches have suggestions."""


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where a report was written, and what it says.

    Args:
        html: The page.
        markdown: The same as Markdown.
        csv: Every trial and metric.
        latex: The same as LaTeX, to be compiled.
        contrasts: Every contrast, as CSV.
        json: The numbers and the words, of a documented form.
        summary_lines: The answer and the verdicts, for a terminal.
        figures: Every figure as SVG and as PNG.
        suggestions: Every configuration that a search tried, as CSV; None of another experiment.
    """

    html: Path
    markdown: Path
    csv: Path
    summary_lines: tuple[str, ...]
    latex: Path
    contrasts: Path
    json: Path
    figures: tuple[Path, ...] = ()
    suggestions: Path | None = None

    @property
    def by_format(self) -> dict[str, Path]:
        """The files by the name of their format."""
        return {
            "html": self.html,
            "md": self.markdown,
            "latex": self.latex,
            "csv": self.csv,
            "contrasts": self.contrasts,
            "json": self.json,
            **({"suggestions": self.suggestions} if self.suggestions else {}),
        }

    def _repr_html_(self) -> str:
        """Shows what the report says, and where its page is, in a notebook."""
        return said_html(self.summary_lines, self.html)


def said_html(lines: Sequence[str], page: Path) -> str:
    """Returns a piece of HTML: what a report says, and a link to its page."""
    said = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    address = html.escape(page.absolute().as_uri(), quote=True)
    return f'{said}<p><a href="{address}">{html.escape(str(page))}</a></p>'


def report_files(
    folder: Path,
    formats: Collection[str],
    summary_lines: tuple[str, ...],
    figures: tuple[str, ...] = (),
) -> ReportFiles:
    """Returns the files of a report in a folder, in these formats; figures by their paths in it."""
    return ReportFiles(
        html=folder / FILES["html"],
        markdown=folder / FILES["md"],
        csv=folder / FILES["csv"],
        latex=folder / FILES["latex"],
        contrasts=folder / FILES["contrasts"],
        json=folder / FILES["json"],
        summary_lines=summary_lines,
        figures=tuple(folder / name for name in figures),
        suggestions=folder / FILES["suggestions"] if "suggestions" in formats else None,
    )


def own_folder(name: str, runs: Path, language: str = "en") -> Path:
    """Returns where an experiment's report lies; in English beside those in other languages."""
    folder = runs / "reports" / name
    return folder if language == "en" else folder / language


def key_of(name: str, runs: Path, language: str = "en") -> str:
    """Returns what decides everything that a report of an experiment says, as one hash.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    whole = hashlib.sha256()
    names = (name, *(derived_name(name, end) for end in RELATED))
    related = (fact for each in names for fact in _ledger(each, runs))
    for part in (language, *_code(), *_libraries(), *related):
        whole.update(json.dumps(part).encode())
    return whole.hexdigest()


def keep(files: ReportFiles, key: str) -> None:
    """Keeps what a report was made of, beside it.

    Args:
        files: The report, as it was just written.
        key: `key_of` from before it was made: what changed since makes it out of date.

    Raises:
        OSError: It cannot be written.
    """
    content = {
        "key": key,
        "files": _hashes(files),
        "formats": list(files.by_format),
        "summary": files.summary_lines,
        "figures": [path.relative_to(files.html.parent).as_posix() for path in files.figures],
    }
    path = files.html.with_name(KEPT)
    beside = path.with_name(f".{KEPT}.new")
    beside.write_text(json.dumps(content), encoding="utf-8")
    beside.replace(path)


def current(name: str, runs: Path, language: str = "en") -> ReportFiles | None:
    """Returns an experiment's report if it is what would be written now, or None.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    folder = own_folder(name, runs, language)
    try:
        content: dict[str, Any] = json.loads((folder / KEPT).read_text(encoding="utf-8"))
        said, figures = tuple(content["summary"]), tuple(content["figures"])
        files = report_files(folder, content["formats"], said, figures)
        is_whole = content["files"] == _hashes(files)
        key = content["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if is_whole and key == key_of(name, runs, language) else None


def _hashes(files: ReportFiles) -> dict[str, str]:
    paths = (*files.by_format.values(), *files.figures)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _code() -> Iterator[list[str]]:
    """Yields every file of the code that a report is made by, with its hash."""
    package = Path(qdexp.__file__).parent
    here = Path(__file__).parent
    for root in (here, *(package / part for part in _CODE)):
        found = [root] if root.is_file() else sorted(root.rglob("*"))
        for path in found:
            if path.suffix in (".py", ".j2", ".css", ".js", ".json", ".toml"):
                yield [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]


def _libraries() -> Iterator[list[str]]:
    for name in _LIBRARIES:
        try:
            yield [name, metadata.version(name)]
        except metadata.PackageNotFoundError:
            continue


def _ledger(name: str, runs: Path) -> Iterator[list[Any]]:
    with Ledger(runs) as ledger:
        for query in _FACTS:
            rows = list(ledger.rows(query, name))
            yield [list(row) for row in rows]
        members = ledger.rows("SELECT trial_id FROM members WHERE experiment = ?", name)
        ids = sorted(trial_id for (trial_id,) in members)
    for trial_id in ids:
        for clips in (SAMPLED_CLIPS, REAL_CLIPS):
            path = trial_folder(runs, trial_id) / clips
            if path.exists():
                about = path.stat()
                yield [trial_id, clips, about.st_size, about.st_mtime_ns]
