"""Another language says everything that English says, with the same values in its sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import jinja2
import pytest
import qdexp_analysis
from jinja2 import nodes
from qdexp_analysis.history import PARTS
from qdexp_analysis.language import catalogue, recorded, say, speaking, translated, word
from qdexp_analysis.mixing import DATA, KEYS, REVISION

from qdexp.config import metrics
from qdexp.config.metric import Metric
from qdexp.errors import RequestError
from qdexp.experiment.trial import TEACHER
from qdexp.results.outcome import FailureKind, Status
from qdexp.results.provenance import LONG_FACTS, hardware
from qdexp.results.suggestions import Ending, Origin

PACKAGE = Path(qdexp_analysis.__file__).parent
VERDICTS = {"better", "worse", "equivalent", "undecided", "baseline", "not ranked"}
OF_DRIVERS = {"session", "command", "driver", "spec", "gpus"}


def said_by_code() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if (
                node.func.id == "say" and path.name != "rendering.py"
            ):  # it hands on what templates say
                yield path.name, literal(node.args[0])


def said_by_templates() -> Iterator[tuple[str, str]]:
    for path in sorted((PACKAGE / "templates").glob("*.j2")):
        marks = ("<<", ">>", "<#", "#>") if ".tex" in path.name else ("{{", "}}", "{#", "#}")
        environment = jinja2.Environment(
            variable_start_string=marks[0],
            variable_end_string=marks[1],
            comment_start_string=marks[2],
            comment_end_string=marks[3],
        )
        for node in environment.parse(path.read_text()).find_all(nodes.Call):
            if isinstance(node.node, nodes.Name) and node.node.name == "say":
                said = node.args[0]
                assert isinstance(said, nodes.Const), path
                yield path.name, said.value


def literal(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.Constant) else None
    assert isinstance(value, str), ast.unparse(node)
    return value


def places(sentence: str) -> list[tuple[str, str]]:
    parts = Formatter().parse(sentence)
    return sorted((name, form or "") for _, name, form, _ in parts if name is not None)


def test_every_sentence_is_in_the_catalogue_and_nothing_else_is() -> None:
    sentences = catalogue("zh")["sentences"]
    said = {sentence for _, sentence in (*said_by_code(), *said_by_templates())}
    assert len(said) > 300
    assert said - sentences.keys() == set()
    assert sentences.keys() - said == set()


def test_sentences_have_the_places_of_their_english() -> None:
    unlike = {
        english
        for english, other in catalogue("zh")["sentences"].items()
        if set(places(english)) != set(places(other))
    }
    assert unlike == set()


def test_sentences_of_the_latex_template_have_no_markup_by_chance() -> None:
    sentences = catalogue("zh")["sentences"]
    for name, english in said_by_templates():
        written = "".join(text for text, *_ in Formatter().parse(sentences[english]))
        assert name != "report.tex.j2" or not set(written) & set("%&#_$\\{}^~"), english


def declared() -> list[Metric]:
    found = [metrics.find(name) for name in metrics.names()]
    return [metric for metric in found if metric is not None]


def vocabulary() -> set[str]:
    kinds = {kind.replace("_", " ") for kind in get_args(FailureKind)}
    facts = {*KEYS, REVISION, DATA, *LONG_FACTS, *hardware(), *OF_DRIVERS}
    of_metrics = {text for each in declared() for text in (each.in_words, each.description)}
    statuses = {*get_args(Status), "missing", "invalidated", TEACHER}
    statuses |= {*get_args(Ending), *get_args(Origin), "open"}
    words = VERDICTS | statuses | kinds | {*PARTS, "looks"} | of_metrics | {"FVD of real clips"}
    return words | {fact.replace("_", " ") for fact in facts}


def test_every_word_of_the_data_is_in_the_catalogue() -> None:
    terms = catalogue("zh")["terms"]
    assert vocabulary() - terms.keys() == set()
    assert terms.keys() - vocabulary() == set()


def test_a_definition_is_said_in_the_language_too() -> None:
    name = "eval.frechet.i3d.n512.r170.f17.s1.64x64"
    metric = metrics.find(name)
    assert metric is not None
    with speaking("zh"):
        assert translated(metric).in_words == "FVD"
        assert translated(metric).description.endswith(
            "偏得越多。此处：i3d，512 个样本，170 个真实片段，17 帧 64x64，步幅 1。"
        )
    assert translated(metric) is metric


@pytest.mark.parametrize(
    ("english", "other"),
    [
        (
            "2 factors, full factorial 2 x 3: 6 combinations - 1 that `where` leaves out + 2 of "
            "its own = 7 conditions x 3 seeds = 21 trials",
            "2 个因素，全因子设计 2 x 3: 6 种组合 − 1 种被 `where` 排除的组合 + 2 种自列的组合 = "
            "7 个条件 x 3 个种子 = 21 个试验",
        ),
        (
            "4 factors, fractional 2^(4-1) of resolution IV: 8 conditions x 3 to 12 seeds + 1 "
            "control x 3 seeds = 27 to 99 trials",
            "4 个因素，分辨率 IV 的部分因子设计 2^(4-1): 8 个条件 x 3 至 12 个种子 + 1 个对照 x "
            "3 个种子 = 27 至 99 个试验",
        ),
        (
            "3 factors, one at a time (the baseline and 4 with one factor changed): 5 conditions "
            "x 3 seeds = 15 trials",
            "3 个因素，每次改变一个因素（基线，以及 4 个改变一个因素的条件）: 5 个条件 x "
            "3 个种子 = 15 个试验",
        ),
    ],
)
def test_the_size_of_a_design_is_read_from_its_english(english: str, other: str) -> None:
    with speaking("zh"):
        assert recorded(english) == other
    assert recorded(english) == english


def test_spaces_stand_between_chinese_and_other_letters_only() -> None:
    with speaking("zh"):
        assert say("{change}: {claim}", change="a b", claim="更好 了") == "a b：更好 了"
        assert say("{condition} against {baseline}", condition="8", baseline="基线") == "8 对比基线"


def test_words_that_are_nobodys_stay_as_they_are() -> None:
    with speaking("zh"):
        assert word("my own metric") == "my own metric"
        assert word("better") == "更好"
    assert word("better") == "better"


def test_a_language_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--lang: expected en or zh, found 'de'"):
        qdexp_analysis.render("any", tmp_path, "md", lang="de")
    assert not list(tmp_path.iterdir())


def test_english_sentences_have_no_chinese() -> None:
    every: dict[str, Any] = {**catalogue("zh")["sentences"], **catalogue("zh")["terms"]}
    assert not [english for english in every if re.search("[\u4e00-\u9fff]", english)]
