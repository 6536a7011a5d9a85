"""The report as data: JSON of its documented form, LaTeX that compiles, tidy tables."""

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from qdexp_analysis import find, load, render
from qdexp_analysis.language import speaking
from qdexp_analysis.latex import latex_text
from qdexp_analysis.quantities import number
from qdexp_analysis.report_json import schema
from qdexp_analysis.verdict_words import verdict_sentence

Make = Callable[[Any], Path]
STATUSES = {((16384,), 0): "diverged", ((4096,), 1): "failed", ((4096,), 2): "missing"}
HOSTILE = '=1+1 \\input{x} $x$ 100% #1 & ~^ `a\' "q" <b>{no}</b> | ² \N{EN DASH} 中'
CASES: list[dict[str, Any]] = [
    {},
    {"statuses": STATUSES},
    {"seeds": (0,)},
    {"noise": 0.0},
    {"smallest_effect": None},
    {"num_clips": 0, "provenance": {}},
    {"primary": "cost.parameters"},
    {
        "factors": {"diffusion.min_step": (20, 100), "diffusion.max_step": (900, 980)},
        "baseline": (20, 980),
    },
    {"statuses": {((k,), s): "diverged" for k in (4096, 8192, 16384) for s in range(3)}},
    {"statuses": {((k,), s): "missing" for k in (4096, 8192, 16384) for s in range(3)}},
    {"question": HOSTILE, "statuses": STATUSES},
]


def named(case: dict[str, Any]) -> str:
    return ", ".join(case) or "plain"


def data(runs: Path) -> dict[str, Any]:
    return json.loads(render("codebook_size", runs, "json"))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_json_is_of_its_schema(make_ledger: Make, made: type[Any], case: dict[str, Any]) -> None:
    content = data(make_ledger(made(**case)))
    jsonschema.Draft202012Validator(schema()).validate(content)
    assert len(content["trials"]) == sum(c["num_planned"] for c in content["conditions"])


def test_schema_is_a_schema_and_refuses_what_lacks_a_verdict(
    make_ledger: Make, made: type[Any]
) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    content = data(make_ledger(made()))
    del content["contrasts"][0]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.Draft202012Validator(schema()).validate(content)


def test_words_table_and_data_agree(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    findings = find(load("codebook_size", runs))
    frame = load("codebook_size", runs).contrasts
    content = data(runs)
    markdown = render("codebook_size", runs, "md")
    primary = frame[frame["family"] == "primary"].reset_index(drop=True)
    assert len(primary) == len(findings.contrasts) == len(content["contrasts"]) == 2
    for row, (contrast, prospect) in enumerate(
        zip(findings.contrasts, findings.prospects, strict=True)
    ):
        assert contrast.estimate is not None
        one, line = content["contrasts"][row], primary.loc[row]
        assert one["estimate"]["mean"] == line["difference"] == contrast.estimate.mean
        assert tuple(one["estimate"]["interval"]) == (line["low"], line["high"])
        assert one["verdict"] == line["verdict"] == contrast.verdict
        assert one["p"] == line["p"] == contrast.p
        assert one["sentence"] == verdict_sentence(findings, contrast, prospect)
        assert one["sentence"].replace(" %", "\N{NO-BREAK SPACE}%")[:40] in markdown.replace(
            "\\_", "_"
        )
        mean = content["conditions"][contrast.condition]["mean"]
        assert number(mean, 4) in markdown


def test_contrasts_carry_unit_direction_levels_and_family(
    make_ledger: Make, made: type[Any]
) -> None:
    rows = list(
        csv.DictReader(io.StringIO(render("codebook_size", make_ledger(made()), "contrasts")))
    )
    families = {row["metric"]: row["family"] for row in rows}
    assert families["eval.denoising_loss"] == "primary"
    assert families["eval.perplexity"] == "exploratory"
    perplexity = next(row for row in rows if row["metric"] == "eval.perplexity")
    assert (perplexity["unit"], perplexity["direction"]) == ("codes", "higher")
    assert (perplexity["verdict"], perplexity["p"]) == ("", "")
    assert {row["model.num_embeddings"] for row in rows} == {"4096", "16384"}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_latex_has_no_missing_number(
    make_ledger: Make, made: type[Any], case: dict[str, Any]
) -> None:
    text = render("codebook_size", make_ledger(made(**case)), "latex")
    assert not {"nan", "inf", "None"} & set(text.replace("loss is nan", "").split())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
@pytest.mark.parametrize("case", CASES, ids=named)
def test_latex_compiles(
    make_ledger: Make, made: type[Any], case: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "report.tex").write_text(
        render("codebook_size", make_ledger(made(**case)), "latex")
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


def test_nothing_in_a_text_is_a_latex_command() -> None:
    assert latex_text("\\input{x} 5% a_b") == r"\textbackslash{}input\{x\} 5\% a\_b"
    assert latex_text("--") == "{-}{-}"
    for language, text in (("zh", "中"), ("en", r"\anychar{4E2D}{中}")):
        with speaking(language):
            assert latex_text("中") == text
    assert latex_text("a\x07b") == "ab"
