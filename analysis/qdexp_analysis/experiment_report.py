"""The report of an experiment that compares conditions, in each of its formats."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from qdexp_analysis import appearance
from qdexp_analysis.account import unfinished
from qdexp_analysis.clips import clips
from qdexp_analysis.document import document, sentences
from qdexp_analysis.findings import Findings
from qdexp_analysis.frames import contrast_frame
from qdexp_analysis.gallery import pictures
from qdexp_analysis.language import TAGS, speaking, spoken
from qdexp_analysis.picture import Picture
from qdexp_analysis.rendering import Format, by_section, environment, exact, latex_environment
from qdexp_analysis.report_json import json_text
from qdexp_analysis.search_path_words import path_answer
from qdexp_analysis.spreadsheet import csv_text, trial_rows
from qdexp_analysis.words import answer

SECTIONS = ("verdicts", "learning", "codebook", "levels", "cost")
"""Parts of the page that have figures."""


@dataclass(frozen=True, kw_only=True)
class ExperimentReport:
    """A report of findings.

    Args:
        findings: What was found.
        runs: The runs folder, where clips are.
    """

    findings: Findings
    runs: Path
    formats: ClassVar[tuple[Format, ...]] = ("html", "md", "latex", "csv", "contrasts", "json")
    is_whole: ClassVar[bool] = True

    @cached_property
    def _said(self) -> dict[str, Any]:
        """What every template inserts, made once."""
        return document(self.findings) | {"clips": clips(self.findings.experiment, self.runs)}

    def pictures(self) -> tuple[Picture, ...]:
        """Draws its figures."""
        return pictures(self.findings)

    def summary(self) -> tuple[str, ...]:
        """Returns what it says in short, for a terminal."""
        warning = unfinished(self.findings)
        judged = sentences(self.findings)
        said = [*path_answer(self.findings), *judged] if judged else answer(self.findings)
        return (*([warning] if warning else []), *said)

    def text(self, format_: Format, drawn: tuple[Picture, ...]) -> str:
        """Returns it in one of its formats.

        Args:
            format_: Which.
            drawn: Its figures, for a page.
        """
        findings = self.findings
        if format_ in ("csv", "contrasts"):
            with speaking("en"):  # data: the same words for every program that reads them
                if format_ == "csv":
                    return csv_text(trial_rows(findings.experiment))
                return csv_text(contrast_frame(findings))
        if format_ == "json":
            return json_text(findings)
        content = self._said | {"language": TAGS[spoken()]}
        if format_ == "latex":
            return latex_environment().get_template("report.tex.j2").render(content)
        content |= exact(content, format_)
        if format_ == "html":
            content["pictures"] = by_section(drawn, SECTIONS)
            looks = appearance.looks(findings.experiment)
            content["looks"] = [appearance.COLOURS.index(look.colour) for look in looks]
        return environment(format_).get_template(f"report.{format_}.j2").render(content)
