"""The language of `where`: comparisons over configuration fields, parsed and never evaluated.

::

    expression = term {"or" term}
    term       = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | comparison
    comparison = operand (("<" | "<=" | ">" | ">=" | "==" | "!=") operand)+
    operand    = field name | number | quoted text | true | false
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.errors import nearest
from qdexp.experiment.annotations import ANY_KIND, KINDS
from qdexp.experiment.named_fields import OURS, Fields

Predicate = Callable[[Mapping[str, Any]], bool]

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<symbol><=|>=|==|!=|<|>|\(|\))"
    r"|(?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<word>[^\W\d][\w.]*))"
)
_WORDS = frozenset({"and", "or", "not"})
_MAX_DEPTH = 50


class WhereError(Exception):
    """An expression is wrong at a character.

    Args:
        problem: What was expected and what was found.
        offset: The character, from 0.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


@dataclass(frozen=True, kw_only=True)
class _Token:
    text: str
    kind: str
    offset: int


def parse_where(text: str, fields: Fields = OURS) -> Predicate:
    """Returns a predicate over a configuration's fields by dotted name.

    Args:
        text: The expression.
        fields: The fields that it may name.

    Raises:
        WhereError: The expression is not of the grammar above, or names an unknown field.
    """
    parser = _Parser(text, fields)
    predicate = parser.expression()
    parser.expect_end()
    return predicate


def words_of(text: str) -> frozenset[str]:
    """Returns the words of an expression: the fields that it names, and a few others."""
    return frozenset(token.text for token in _tokens(text) if token.kind == "word")


class _Parser:
    def __init__(self, text: str, fields: Fields) -> None:
        self._fields = fields
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def expression(self) -> Predicate:
        return self._joined("or", self._term, any)

    def expect_end(self) -> None:
        if self._token.kind != "end":
            self._fail("'and', 'or' or the end")

    def _term(self) -> Predicate:
        return self._joined("and", self._factor, all)

    def _joined(
        self, word: str, part: Callable[[], Predicate], combine: Callable[[list[bool]], bool]
    ) -> Predicate:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return lambda fields: combine([holds(fields) for holds in parts])

    def _factor(self) -> Predicate:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._fail(f"at most {_MAX_DEPTH} levels of 'not' and '('")
        predicate = self._unnested()
        self._depth -= 1
        return predicate

    def _unnested(self) -> Predicate:
        if self._take("not"):
            inner = self._factor()
            return lambda fields: not inner(fields)
        if self._take("("):
            inner = self.expression()
            if not self._take(")"):
                self._fail("')'")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        operands = [self._operand()]
        compares: list[Callable[[Any, Any], bool]] = []
        while self._token.text in _COMPARISONS:
            token = self._advance()
            compares.append(_COMPARISONS[token.text])
            operands.append(self._operand())
            self._refuse_unlike(operands[-2], operands[-1], token)
            self._refuse_no_choice(operands[-2], operands[-1])
            self._refuse_no_choice(operands[-1], operands[-2])
        if not compares:
            self._fail("a comparison (<, <=, >, >=, ==, !=)")

        def holds(fields: Mapping[str, Any]) -> bool:
            values = [operand.value(fields) for operand in operands]
            if None in values:  # max_steps, where num_epochs decides: no comparison holds
                return False
            pairs = zip(compares, values, values[1:], strict=False)
            return all(compare(left, right) for compare, left, right in pairs)

        return holds

    def _operand(self) -> "_Operand":
        token = self._token
        if token.kind == "number":
            return _Operand(constant=float(self._advance().text), offset=token.offset)
        if token.kind == "text":
            return _Operand(constant=self._advance().text[1:-1], offset=token.offset)
        if token.kind == "word" and token.text not in _WORDS:
            self._advance()
            if token.text in ("true", "false"):
                return _Operand(constant=token.text == "true", offset=token.offset)
            if token.text not in self._fields.names:
                hint = nearest(token.text, self._fields.names)
                problem = f"expected {self._fields.what}, found '{token.text}'{hint}"
                raise WhereError(problem, token.offset)
            return _Operand(field=token.text, offset=token.offset)
        self._fail("a field, a number or a quoted text")

    def _refuse_unlike(self, left: "_Operand", right: "_Operand", token: _Token) -> None:
        """Refuses a comparison of a text with a number between two constants or known kinds."""
        kinds = [self._kind(operand) for operand in (left, right)]
        if kinds[0] != kinds[1] and ANY_KIND not in kinds:
            problem = f"expected two values of one kind around '{token.text}', found a {kinds[0]} "
            raise WhereError(f"{problem}and a {kinds[1]}", token.offset)
        if set(kinds) != {"number"} and token.text not in ("==", "!="):
            kind = next(each for each in kinds if each != "number")
            problem = f"expected == or != between two {kind}s, found '{token.text}'"
            if kind == ANY_KIND:
                problem = f"expected == or != beside a {kind}, found '{token.text}'"
            raise WhereError(problem, token.offset)

    def _refuse_no_choice(self, left: "_Operand", right: "_Operand") -> None:
        """Refuses a field of named choices beside a text that is none of them."""
        choices = self._fields.choices(left.field) if left.field else ()
        if choices and right.field is None and right.constant not in choices:
            listed = ", ".join(choices)
            problem = f"expected one of {listed} for {left.field}, found '{right.constant}'"
            raise WhereError(problem + nearest(str(right.constant), choices), right.offset)

    def _kind(self, operand: "_Operand") -> str:
        if operand.field is not None:
            return self._fields.kind(operand.field)
        return KINDS[type(operand.constant)]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _advance(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _take(self, text: str) -> bool:
        is_there = self._token.text == text and self._token.kind in ("symbol", "word")
        if is_there:
            self._next += 1
        return is_there

    def _fail(self, expected: str) -> NoReturn:
        token = self._token
        found = "the end" if token.kind == "end" else f"'{token.text}'"
        raise WhereError(f"expected {expected}, found {found}", token.offset)


@dataclass(frozen=True, kw_only=True)
class _Operand:
    offset: int
    field: str | None = None
    constant: Any = None

    def value(self, fields: Mapping[str, Any]) -> Value:
        return self.constant if self.field is None else fields[self.field]


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            offset = position + len(text[position:]) - len(text[position:].lstrip())
            problem = f"expected a comparison of fields and values, found '{text[offset]}'"
            raise WhereError(problem, offset)
        kind = match.lastgroup or "symbol"
        tokens.append(_Token(text=match[kind], kind=kind, offset=match.start(kind)))
        position = match.end()
    tokens.append(_Token(text="", kind="end", offset=end))
    return tokens
