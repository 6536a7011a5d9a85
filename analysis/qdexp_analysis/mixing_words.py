"""What was mixed, in sentences that stand beside times and costs."""

from collections.abc import Sequence
from typing import Literal

from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say, word
from qdexp_analysis.mixing import CODE, DATA, MACHINE, Mixture

MOST_LISTED = 4
Group = Literal["condition", "side"]
"""What trials are compared by."""

MOST_CHARACTERS = 60


def mixing_sentences(findings: Findings) -> list[str]:
    """Returns a sentence for each kind of thing that differs between trials."""
    return sentences_of(findings.mixtures, "condition")


def sentences_of(mixtures: Sequence[Mixture], group: Group) -> list[str]:
    """Returns the same of mixtures; `group` is what trials are compared by: condition, or side."""
    by_kind = {
        kind: [mixture for mixture in mixtures if mixture.key in keys]
        for kind, keys in (("machine", MACHINE), ("code", CODE), ("data", (DATA,)))
    }
    effects = {
        "machine": say("times, speeds and memory are no fair comparison"),
        "code": say("a difference, above all in time and cost, may be one of the code"),
        "data": say("trials were trained and measured on different data"),
    }
    return [
        _sentence(kind, found, effects[kind], group) for kind, found in by_kind.items() if found
    ]


def _sentence(kind: str, found: Sequence[Mixture], effect: str, group: Group) -> str:
    listed = say("; ").join(_listed(mixture) for mixture in found)
    if all(mixture.is_balanced for mixture in found):
        balanced = {
            "condition": say("every condition has trials of each, so that this is noise of seeds"),
            "side": say("every side has trials of each, so that this is noise of seeds"),
        }
        alike = balanced[group]
    else:
        different = {
            "condition": say("conditions are not alike in it: {effect}", effect=effect),
            "side": say("sides are not alike in it: {effect}", effect=effect),
        }
        alike = different[group]
    names = {"machine": say("Mixed machines"), "code": say("Mixed code"), "data": say("Mixed data")}
    return say("{what} ({listed}); {alike}.", what=names[kind], listed=listed, alike=alike)


def _listed(mixture: Mixture) -> str:
    name = word(mixture.key.replace("_", " "))
    texts = [_short(value) for value in mixture.values[:MOST_LISTED]]
    more = len(mixture.values) - len(texts)
    return say(
        "{name}: {listed}{rest}",
        name=name,
        listed=say(", ").join(texts),
        rest=say(" and {more} more", more=more) if more else "",
    )


def _short(value: str) -> str:
    return value if len(value) <= MOST_CHARACTERS else f"{value[: MOST_CHARACTERS - 1]}…"
