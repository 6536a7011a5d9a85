"""Verdicts are as often wrong as they say, and every known mistake would be seen.

The same figures over ten times as many experiments: `make calibration`, docs/calibration.md.
"""

from itertools import chain

import pytest
from checks import CHECKS, Check
from mutants import MUTANTS
from qdexp_analysis import contrasts, findings, left_out, sequence

EVERY_CHECK = [
    pytest.param(check, id=f"{name}, {check.world.name}")
    for name, check in chain.from_iterable(
        ((name, check) for check in checks) for name, checks in CHECKS.items()
    )
]


@pytest.mark.parametrize("check", EVERY_CHECK)
def test_verdicts_are_as_sure_as_they_say(check: Check) -> None:
    figure = check.figure()
    assert check.holds(figure), f"expected {check.low} to {check.high}, found {figure}"


@pytest.mark.parametrize("name", MUTANTS)
def test_a_known_mistake_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.patch(monkeypatch)
    figure = mutant.check.figure(1000)
    assert not mutant.check.holds(figure), f"{name} passes as {figure}"


def test_what_is_simulated_is_what_writes_the_verdicts_of_a_report() -> None:
    assert sequence.judge is contrasts.judge
    assert findings.judge_in_course is sequence.judge_in_course
    assert left_out.judge is contrasts.judge
