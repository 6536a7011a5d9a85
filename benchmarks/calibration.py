"""How often verdicts are wrong: what the statistical tests hold, over more experiments.

    PYTHONPATH=tests/statistical .venv/bin/python benchmarks/calibration.py [TIMES [PAGE]]

Simulates each check of tests/statistical over TIMES (4) times as many experiments as the test does,
each known mistake over 250 x TIMES, all through the functions that write a report's verdicts. The
seeds are fixed: the same command gives the same page, docs/calibration.md, or PAGE.
"""

import sys
from pathlib import Path

import pytest
from checks import CHECKS, Check
from looking import LOOK_CHECKS, LookCheck
from measures import QUANTILE, Figure
from mutants import MUTANTS

PAGE = Path(__file__).parent.parent / "docs" / "calibration.md"
TIMES = 4

HEAD = """\
# How often verdicts are wrong

Made by `make calibration`: experiments of which the truth is known (normal, heavy-tailed and skewed
noise that conditions of one seed share in part, unequal variances, lost trials, held-out clips) are
judged by the functions that write a report's verdicts, and the mistakes counted; looks add seeds
until all is decided. `make test` holds
the same figures over fewer experiments. +- is one standard error of the simulation; a figure holds
if it is inside its limits or {quantile} of them beyond.

With clips the degrees of freedom are Satterthwaite's, an approximation: the error of a family can
be some tenths of a point above 5 % there. Intervals cut by Holm's correction cannot also cover
together at 95 % whatever is true
([decision 19](decisions/0019-intervals-that-agree-with-verdicts.md)).
"""

MISTAKES = """\
## Known mistakes, and that they would be seen

Each is put in the place of the right analysis; the check named must then fail.

| mistake | check | limits | right | with the mistake | seen |
| --- | --- | ---: | ---: | ---: | --- |
"""


def main(times: float = TIMES, page: Path = PAGE) -> None:
    """Simulates everything and writes the page."""
    parts = [HEAD.format(quantile=QUANTILE)]
    for name, checks in {**CHECKS, **LOOK_CHECKS}.items():
        parts.append(f"## {name[0].upper() + name[1:]}\n")
        parts.append("| experiments | simulated | found | holds |\n| --- | ---: | ---: | --- |")
        parts += [_row(check, times) for check in checks]
        parts.append("")
    parts.append(MISTAKES + "\n".join(_mistake(name, round(250 * times)) for name in MUTANTS))
    page.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _row(check: Check | LookCheck, times: float) -> str:
    number = round(times * check.number)
    figure = check.figure(number)
    holds = "yes" if figure.is_within(check.low, check.high) else "**no**"
    name = check.world.name if isinstance(check, Check) else check.name
    text = f"| {name} | {number:,} | {_text(figure)} | {holds} |"
    sys.stderr.write(text + "\n")
    return text


def _mistake(name: str, number: int) -> str:
    mutant = MUTANTS[name]
    right = mutant.check.figure(number)
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        wrong = mutant.check.figure(number)
    seen = "**no**" if mutant.check.holds(wrong) else "yes"
    check = next(key for key, checks in CHECKS.items() if mutant.check in checks).split(":")[0]
    limits = f"{100 * mutant.check.low:g} to {100 * mutant.check.high:g} %"
    where = f"{check} ({mutant.check.world.name})"
    return f"| {name} | {where} | {limits} | {_text(right)} | {_text(wrong)} | {seen} |"


def _text(figure: Figure) -> str:
    return f"{100 * figure.value:.2f} +- {100 * figure.error:.2f} %"


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]), *map(Path, sys.argv[2:3]))
