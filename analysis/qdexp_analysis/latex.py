r"""Text as LaTeX text: nothing in it is markup, and every character has a glyph.

In English a character that pdfLaTeX may lack goes through ``\anychar``. A document in Chinese is
compiled by XeLaTeX or LuaLaTeX, whose Chinese fonts have its letters.
"""

import re
import unicodedata

from markupsafe import Markup

from qdexp_analysis.language import TAGS, spoken

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",  # two of them would be a dash
    "\N{NO-BREAK SPACE}": "~",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "\N{EN DASH}": r"\textendash{}",
    "\N{EM DASH}": r"\textemdash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\textellipsis{}",
    "\N{PLUS-MINUS SIGN}": r"\ensuremath{\pm}",
    "\N{MULTIPLICATION SIGN}": r"\ensuremath{\times}",
    "\N{LEFT SINGLE QUOTATION MARK}": r"\textquoteleft{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": r"\textquoteright{}",
    "\N{LEFT DOUBLE QUOTATION MARK}": r"\textquotedblleft{}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"\textquotedblright{}",
}


def latex_text(value: object) -> Markup:
    """Returns a value as LaTeX text in one line."""
    return Markup(str(value).translate(_CHARACTERS[spoken()]))


def latex_lines(value: object) -> Markup:
    r"""Returns a text with its lines and its indentation, to stand in ``\ttfamily``."""
    lines = (re.sub(r"^ +", lambda m: "~" * len(m[0]), line) for line in str(value).splitlines())
    return Markup("\n".join(_indented(line) + r"\\" for line in lines))


class _Characters(dict[int, str]):
    """Every character as LaTeX text of one language, made when it is first met."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language

    def __missing__(self, code: int) -> str:
        return self.setdefault(code, _character(chr(code), self._language))


def _indented(line: str) -> str:
    rest = line.lstrip("~")
    return r"\mbox{}" + "~" * (len(line) - len(rest)) + latex_text(rest)


def _character(character: str, language: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isspace():
        return " "
    if " " <= character <= "~":
        return character
    is_letter = "\N{NO-BREAK SPACE}" < character <= "\N{LATIN SMALL LETTER Z WITH CARON}"
    if is_letter and unicodedata.category(character) in ("Ll", "Lu"):
        return character
    if unicodedata.category(character).startswith("C"):
        return ""
    if language == "zh" and unicodedata.east_asian_width(character) in "WF":
        return character
    return rf"\anychar{{{ord(character):04X}}}{{{character}}}"


_CHARACTERS = {language: _Characters(language) for language in TAGS}
