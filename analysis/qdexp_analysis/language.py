"""The language that a report is written in: whole sentences, found by their English text.

English stands in the code, another language in a catalogue, a TOML file beside this one with three
tables: `sentences`, whose placeholders are those of the English; `terms`, words of the data such as
verdicts and names of metrics; `recorded`, patterns of what a ledger keeps in English words.
"""

import functools
import re
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from qdexp.config.metric import Metric
from qdexp.errors import RequestError

Language = Literal["en", "zh"]
"""English, and simplified Chinese."""

TAGS: dict[str, str] = {"en": "en", "zh": "zh-Hans"}
"""What the web calls them."""

_WIDE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
"""A Chinese letter or mark."""

_SPACE = "\0"
"""Marks the spaces of a sentence, to tell them from those in its values."""

_NEEDLESS = re.compile(f"(?<={_WIDE}){_SPACE}(?={_WIDE})")
"""A space stands between Chinese and Latin letters or digits only."""

_spoken: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def speaking(language: str) -> Generator[None]:
    """Makes everything inside say what it says in a language.

    Raises:
        RequestError: There is no such language.
    """
    if language not in get_args(Language):
        known = " or ".join(get_args(Language))
        raise RequestError(f"--lang: expected {known}, found '{language}': name one of them")
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def spoken() -> str:
    """Returns the language of now."""
    return _spoken.get()


def say(sentence: str, /, **values: object) -> str:
    """Returns a sentence in the language of now.

    Args:
        sentence: In English, with a placeholder for each value: a literal, so that a test can hold
            the catalogues complete.
        values: What stands in the placeholders, already in the language.
    """
    other = _table("sentences").get(sentence)
    if other is None:
        return sentence.format(**values)
    marked = other.replace(" ", _SPACE).format(**values)
    return _NEEDLESS.sub("", marked).replace(_SPACE, " ")


def word(text: str) -> str:
    """Returns a word of the data in the language of now, or as it is where it is somebody's own."""
    return _table("terms").get(text, text)


def recorded(text: str) -> str:
    """Returns what a ledger keeps in English words, as far as the catalogue knows them."""
    for pattern, other in _table("recorded").items():
        text = re.sub(pattern, other, text)
    return text


def translated(metric: Metric) -> Metric:
    """Returns one of qdexp's metrics with its name and its description in the language of now."""
    if spoken() == "en":
        return metric
    what, here, definition = metric.description.partition(" Here: ")
    description = word(what) + recorded(here + definition)
    return replace(metric, words=word(metric.in_words), description=description)


def _table(name: str) -> Mapping[str, str]:
    return catalogue(spoken())[name] if spoken() != "en" else {}


@functools.cache
def catalogue(language: str) -> Mapping[str, Mapping[str, str]]:
    """Returns the tables of a language other than English."""
    text = Path(__file__).with_name(f"{language}.toml").read_text(encoding="utf-8")
    tables: dict[str, Any] = tomllib.loads(text)
    return tables
