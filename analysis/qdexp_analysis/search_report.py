"""The report of a search, in each of its formats."""

from dataclasses import dataclass
from typing import Any, ClassVar

from qdexp_analysis.language import TAGS, speaking, spoken
from qdexp_analysis.picture import Picture
from qdexp_analysis.rendering import Format, by_section, environment, exact, latex_environment
from qdexp_analysis.search_document import judged_frame, search_document, suggestion_frame
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_gallery import search_pictures
from qdexp_analysis.search_json import search_json
from qdexp_analysis.search_words import answer, unfinished
from qdexp_analysis.spreadsheet import csv_text, trial_rows


@dataclass(frozen=True, kw_only=True)
class SearchReport:
    """A report of what a search found.

    Args:
        found: What was found.
        is_whole: Whether everything was computed, so that it need not be made again.
    """

    found: SearchFindings
    is_whole: bool
    formats: ClassVar[tuple[Format, ...]] = (
        "html", "md", "latex", "csv", "contrasts", "json", "suggestions",
    )  # fmt: skip

    def pictures(self) -> tuple[Picture, ...]:
        """Draws its figures."""
        return search_pictures(self.found)

    def summary(self) -> tuple[str, ...]:
        """Returns what it says in short, for a terminal."""
        warning = unfinished(self.found.searched)
        return (*([warning] if warning else []), *answer(self.found))

    def text(self, format_: Format, drawn: tuple[Picture, ...]) -> str:
        """Returns it in one of its formats.

        Args:
            format_: Which.
            drawn: Its figures, for a page.
        """
        if format_ in ("csv", "contrasts", "suggestions"):
            with speaking("en"):  # data: the same words for every program that reads them
                return self._rows(format_)
        if format_ == "json":
            return search_json(self.found)
        content: dict[str, Any] = search_document(self.found) | {"language": TAGS[spoken()]}
        if format_ == "latex":
            return latex_environment().get_template("search.tex.j2").render(content)
        content |= exact(content, format_)
        if format_ == "html":
            names = [section.name for section in content["sections"]]
            content["pictures"] = by_section(drawn, names)
        return environment(format_).get_template(f"search.{format_}.j2").render(content)

    def _rows(self, format_: Format) -> str:
        if format_ == "csv":
            return csv_text(trial_rows(self.found.searched.experiment))
        if format_ == "contrasts":
            return csv_text(judged_frame(self.found))
        return csv_text(suggestion_frame(self.found.searched, self.found))
