"""Fonts that have the letters of a language: figures are drawn with one that is installed."""

import functools
import logging

from matplotlib import font_manager

from qdexp.errors import RequestError
from qdexp_analysis.language import spoken

CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "SimHei", "Heiti SC", "Noto Sans CJK JP", "Arial Unicode MS", "SimSun",
)  # fmt: skip
"""Families that have the characters of simplified Chinese, the best to read first.

Noto's family of all CJK letters comes in one file, which matplotlib knows by its first name, JP.
"""


def families() -> list[str]:
    """Returns the fonts of a figure's text, each for the letters that those before it lack.

    Raises:
        RequestError: None that has the letters of the language is installed.
    """
    if spoken() == "en":
        return ["sans-serif"]
    return ["sans-serif", chinese()]


@functools.cache
def chinese() -> str:
    """Returns the first family that is installed, of those that have Chinese letters.

    Raises:
        RequestError: There is none.
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    for family in CHINESE:
        if family in installed:
            # Some have one weight only, which is no news for who reads a report.
            logging.getLogger(font_manager.__name__).addFilter(
                lambda record: "font weight" not in record.getMessage()
            )
            return family
    raise RequestError(
        "--lang zh: expected a font with Chinese letters, for figures, found none: install one "
        "(Debian and Ubuntu: apt install fonts-noto-cjk, or fonts-wqy-zenhei; Fedora: dnf install "
        "google-noto-sans-cjk-fonts); --format md, latex and json need none"
    )
