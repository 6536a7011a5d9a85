"""What was mixed, in sentences that stand beside times and costs."""

from collections.abc import Sequence

from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say, word
from qdexp_analysis.mixing import CODE, DATA, MACHINE, Mixture

MOST_LISTED = 4
MOST_CHARACTERS = 60


def mixing_sentences(findings: Findings) -> list[str]:
    """Returns a sentence for each kind of thing that differs between trials."""
    by_kind = {
        kind: [mixture for mixture in findings.mixtures if mixture.key in keys]
        for kind, keys in (("machine", MACHINE), ("code", CODE), ("data", (DATA,)))
    }
    effects = {
        "machine": say("times, speeds and memory of conditions are no fair comparison"),
        "code": say(
            "a difference between conditions, above all in time and cost, may be one of the code"
        ),
        "data": say("trials were trained and measured on different data"),
    }
    return [_sentence(kind, found, effects[kind]) for kind, found in by_kind.items() if found]


def _sentence(kind: str, found: Sequence[Mixture], effect: str) -> str:
    listed = say("; ").join(_listed(mixture) for mixture in found)
    if all(mixture.is_balanced for mixture in found):
        alike = say("every condition has trials of each, so that this is noise between seeds")
    else:
        alike = say("conditions are not alike in it: {effect}", effect=effect)
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
