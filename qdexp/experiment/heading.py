"""What heads a spec: its name, its question, and what runs its trials."""

import re
from dataclasses import dataclass
from typing import NoReturn

from qdexp.config.catalogue import OUR_METRICS, Catalogue, OwnMetrics
from qdexp.errors import RequestError
from qdexp.experiment.declaration import Declaration, declaration_of
from qdexp.experiment.document import Document
from qdexp.experiment.named_fields import OURS, Fields
from qdexp.experiment.trial import DEFAULT_TRAINABLE

MAX_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What runs a spec's trials.

    Args:
        trainable: The function, ``package.module:function``.
        own: What a user's own trainable declares, or None.
    """

    trainable: str
    own: Declaration | None

    def fields(self) -> Fields:
        """Returns the fields that a spec may name."""
        return self.own.fields() if self.own else OURS

    def metrics(self) -> Catalogue:
        """Returns the metrics that a spec may name."""
        return OwnMetrics(self.own.metrics) if self.own else OUR_METRICS


class HeadingReader:
    """Every method returns a checked part or raises a SpecError at its place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._content = document.content

    def name(self) -> str:
        """Returns the experiment's name."""
        expected = (
            f"1 to {MAX_NAME} of the letters a to z, digits, '_' and '-', a letter or digit first"
        )
        name = self._text("name", expected)
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}", name):
            self._fail(f"name: expected {expected}, found '{name}'", "name")
        return name

    def question(self) -> str:
        """Returns the question in words."""
        return self._text("question", "a question in words")

    def subject(self) -> Subject:
        """Returns what runs the trials; qdexp's own is not imported for it."""
        name = self._content.get("trainable", DEFAULT_TRAINABLE)
        if not isinstance(name, str) or not _is_trainable(name):
            problem = f"trainable: expected package.module:function, found {name!r}"
            self._fail(problem, "trainable")
        if name == DEFAULT_TRAINABLE:
            return Subject(trainable=name, own=None)
        try:
            return Subject(trainable=name, own=declaration_of(name, self._document.folder))
        except RequestError as error:
            self._fail(f"trainable: {error}", "trainable")

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _text(self, key: str, expected: str) -> str:
        value = self._content.get(key)
        if not isinstance(value, str) or not value.strip():
            found = "none" if key not in self._content else repr(value)
            self._fail(f"{key}: expected {expected}, found {found}", key)
        return value.strip()


def _is_trainable(name: str) -> bool:
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), function))
