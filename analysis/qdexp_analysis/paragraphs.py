"""A report's sections as data: sentences and tables that every format writes in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "prose", "number", "code", "status"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Args:
        name: What stands above it.
        kind: How its cells look; prose may be long, and a status is an English word that formats
            translate.
    """

    name: str
    kind: Kind = "text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose first column names its rows.

    Args:
        label: What it is, for those who cannot see it, and above one that is folded.
        columns: Its columns.
        rows: The cells, in the order of the columns.
        is_folded: Whether a page shows it only when asked.
    """

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report; one without any content is left out.

    Args:
        name: In links to it: letters and hyphens.
        title: Its heading.
        sentences: What it says, a paragraph each.
        tables: What follows.
        notes: What follows these, in small letters.
    """

    name: str
    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
