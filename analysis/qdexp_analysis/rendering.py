"""How templates write: text is text in every format, and sentences are in the language of now."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape

from qdexp_analysis.language import say, spoken, word
from qdexp_analysis.latex import latex_lines, latex_text
from qdexp_analysis.picture import Picture

Format = Literal["html", "md", "latex", "csv", "contrasts", "json", "suggestions"]
"""How a report can be written: ``csv`` is one row a trial and metric, ``contrasts`` one each, and
``suggestions``, which only searches have, one each."""


def exact(content: Mapping[str, Any], format_: str) -> dict[str, Markup]:
    """Returns those texts of a report that are to be copied, so that they stay as they are."""
    as_is = Markup.escape if format_ == "html" else Markup
    return {name: as_is(content[name]) for name in ("command", "spec_text")}


def by_section(
    drawn: Iterable[Picture], sections: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """Returns figures as a page shows them, by the section that they belong to."""
    found: dict[str, list[dict[str, Any]]] = {section: [] for section in sections}
    for each in drawn:
        shown = {"name": each.name, "title": each.title, "caption": each.caption}
        found[each.section].append(shown | {"svg": Markup(each.inline())})
    return found


@cache
def environment(format_: str) -> jinja2.Environment:
    """Returns the environment for a page, or for Markdown; it keeps what it compiled."""
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


@cache
def latex_environment() -> jinja2.Environment:
    """Returns the environment in which everything that a template inserts is text."""
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
