"""What was mixed, in sentences that stand beside times and costs."""

from collections.abc import Sequence

from qdexp_analysis.findings import Findings
from qdexp_analysis.mixing import CODE, DATA, MACHINE, Mixture

MOST_LISTED = 4
MOST_CHARACTERS = 60


def mixing_sentences(findings: Findings) -> list[str]:
    """Returns a sentence for each kind of thing that differs between trials."""
    return sentences_of(findings.mixtures, "condition")


def sentences_of(mixtures: Sequence[Mixture], group: str) -> list[str]:
    """Returns the same of mixtures; `group` is what trials are compared by: condition, or side."""
    by_kind = {
        kind: [mixture for mixture in mixtures if mixture.key in keys]
        for kind, keys in (("machine", MACHINE), ("code", CODE), ("data", (DATA,)))
    }
    effects = {
        "machine": f"times, speeds and memory of {group}s are no fair comparison",
        "code": f"a difference between {group}s, above all in time and cost, may be one of the "
        "code",
        "data": "trials were trained and measured on different data",
    }
    return [
        _sentence(kind, found, effects[kind], group) for kind, found in by_kind.items() if found
    ]


def _sentence(kind: str, found: Sequence[Mixture], effect: str, group: str) -> str:
    listed = "; ".join(_listed(mixture) for mixture in found)
    if all(mixture.is_balanced for mixture in found):
        alike = f"every {group} has trials of each, so that this is noise between seeds"
    else:
        alike = f"{group}s are not alike in it: {effect}"
    names = {"machine": "Mixed machines", "code": "Mixed code", "data": "Mixed data"}
    return f"{names[kind]} ({listed}); {alike}."


def _listed(mixture: Mixture) -> str:
    name = mixture.key.replace("_", " ")
    texts = [_short(value) for value in mixture.values[:MOST_LISTED]]
    more = len(mixture.values) - len(texts)
    return f"{name}: {', '.join(texts)}{f' and {more} more' if more else ''}"


def _short(value: str) -> str:
    return value if len(value) <= MOST_CHARACTERS else f"{value[: MOST_CHARACTERS - 1]}…"
