"""A report in Chinese: no English is left in it but what is somebody's own, and all has glyphs."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import qdexp_analysis
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from qdexp_analysis import current, fonts, render, write_report
from qdexp_analysis.findings import find
from qdexp_analysis.gallery import pictures
from qdexp_analysis.language import catalogue, speaking
from qdexp_analysis.written import key_of
from typer.testing import CliRunner

from qdexp.cli.app import app
from qdexp.errors import RequestError

NAME = "codebook_size"
DRAWN = pytest.mark.skipif(
    not set(fonts.CHINESE) & {font.name for font in fontManager.ttflist},
    reason="there is no font with Chinese letters here",
)
OWN = ("code", "pre", "h1", "title", "style")
"""What holds a user's words, or names of fields and files."""

SPOKEN = ("aria-label", "data-label", "alt")
"""Attributes that readers see or hear."""

CASES: dict[str, dict[str, Any]] = {
    "lost trials": {
        "seeds": (0, 1, 2, 3),
        "statuses": {((16384,), 3): "diverged", ((4096,), 1): "failed", ((4096,), 2): "missing"},
    },
    "two factors": {
        "factors": {
            "model.num_embeddings": (4096, 8192, 16384),
            "training.quantization_weight": (0.05, 0.1),
        },
        "baseline": (8192, 0.05),
        "effects": {(16384, 0.1): -0.02, (4096, 0.1): 0.03},
        "samples": {"eval.frechet.pixels-pca.n512.r170.f17.s1.64x64": 1.0},
    },
    "another range": {
        "factors": {"diffusion.max_step": (600, 980)},
        "baseline": (980,),
        "effects": {(600,): 0.01},
    },
}
Make = Callable[[Any], Path]


class Left(HTMLParser):
    """Collects what a page says, attributes included, that is not somebody's own words."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in OWN or named.get("lang") == "en" or (self.silent and tag == self.silent[-1]):
            self.silent.append(tag)
        self.said += [
            str(named[key]) for key in ("aria-label", "data-label", "alt") if key in named
        ]

    def handle_endtag(self, tag: str) -> None:
        if self.silent and tag == self.silent[-1]:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def english(text: str) -> list[str]:
    """Returns runs of four or more words without digits and underscores between them."""
    return re.findall(r"(?<![\w./])(?:[A-Za-z]+[ ,;:]+){3,}[A-Za-z]+(?![\w./])", text)


def test_what_is_english_is_found() -> None:
    assert english("num_embeddings 4096: no pair has completed in it")
    assert not english("num_embeddings 4096, ema_decay 0.99, quantizer none")


@DRAWN
@pytest.mark.parametrize("case", CASES)
def test_no_english_is_left_in_a_page(make_ledger: Make, made: type[Any], case: str) -> None:
    page = Left()
    text = render(NAME, make_ledger(made(**CASES[case])), "html", lang="zh")
    page.feed(text)
    assert '<html lang="zh-Hans">' in text
    assert [run for said in page.said for run in english(said)] == []
    assert len(re.findall("[\u4e00-\u9fff]", "".join(page.said))) > 2000


@pytest.mark.parametrize("case", CASES)
def test_no_english_is_left_in_json(make_ledger: Make, made: type[Any], case: str) -> None:
    runs = make_ledger(made(**CASES[case]))
    ours = json.loads(render(NAME, runs, "json", lang="zh"))
    theirs = json.loads(render(NAME, runs, "json"))
    assert ours.keys() == theirs.keys()
    verdicts = [contrast["verdict"] for contrast in ours["contrasts"]]
    assert verdicts == [contrast["verdict"] for contrast in theirs["contrasts"]]
    said = [*ours["answer"], ours["unfinished"], *(c["sentence"] for c in ours["contrasts"])]
    assert [run for each in said for run in english(each)] == []


def test_tables_are_the_same_in_every_language(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(**CASES["two factors"]))
    for form in ("csv", "contrasts"):
        assert render(NAME, runs, form, lang="zh") == render(NAME, runs, form)


@DRAWN
def test_every_letter_of_the_catalogue_and_of_figures_has_a_glyph(
    make_ledger: Make, made: type[Any]
) -> None:
    with speaking("zh"):
        drawn = pictures(find(qdexp_analysis.load(NAME, make_ledger(made()))))
        chain = [FT2Font(findfont(FontProperties(family=[family]))) for family in fonts.families()]
    texts = [
        text.get_text()
        for each in drawn
        for text in each.figure.findobj(Text)
        if isinstance(text, Text)
    ]
    assert any("去噪损失" in text for text in texts)
    texts += [*catalogue("zh")["sentences"].values(), *catalogue("zh")["terms"].values()]
    letters = set("".join(texts)) - {"\n"}
    assert [x for x in letters if not any(font.get_char_index(ord(x)) for font in chain)] == []


def test_without_a_font_nothing_is_written(
    make_ledger: Make, made: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = make_ledger(made())
    monkeypatch.setattr(fonts, "CHINESE", ())
    fonts.chinese.cache_clear()
    with pytest.raises(RequestError, match="apt install fonts-noto-cjk"):
        write_report(NAME, runs, lang="zh")
    assert not (runs / "reports").exists()
    assert "去噪损失" in render(NAME, runs, "md", lang="zh")


@DRAWN
def test_reports_of_two_languages_are_kept_beside_each_other(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made())
    theirs = write_report(NAME, runs)
    assert current(NAME, runs, "zh") is None
    ours = write_report(NAME, runs, lang="zh")
    assert (current(NAME, runs), current(NAME, runs, "zh")) == (theirs, ours)
    assert (ours.html.parent, theirs.html.parent.name) == (theirs.html.parent / "zh", NAME)
    assert key_of(NAME, runs) != key_of(NAME, runs, "zh")
    assert "更差" in ours.summary_lines[0]


def test_command_takes_the_language(make_ledger: Make, made: type[Any]) -> None:
    command = ["report", NAME, "--format", "md", "--runs", str(make_ledger(made()))]
    ours = CliRunner().invoke(app, [*command, "--lang", "zh"])
    assert (ours.exit_code, "更差" in ours.stdout) == (0, True)
    assert "更差" not in CliRunner().invoke(app, command).stdout
    assert CliRunner().invoke(app, [*command, "--lang", "de"]).exit_code == 2


def has_ctex() -> bool:
    if shutil.which("xelatex") is None:
        return False
    found = subprocess.run(["kpsewhich", "ctexart.cls"], capture_output=True, check=False)
    return found.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not has_ctex(), reason="there is no xelatex with ctex here")
@pytest.mark.parametrize("case", CASES)
def test_latex_compiles_with_every_letter(
    make_ledger: Make, made: type[Any], case: str, tmp_path: Path
) -> None:
    text = render(NAME, make_ledger(made(**CASES[case])), "latex", lang="zh")
    ours = text.partition("\\begin{document}")[2].partition("{\\ttfamily")[0]
    for own in (made().question, "loss is nan at step"):
        ours = ours.replace(own, "")
    assert english(ours) == []
    (tmp_path / "report.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert "Missing character" not in (tmp_path / "report.log").read_text(errors="replace")
