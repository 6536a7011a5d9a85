"""What the metrics of an experiment are: qdexp's own, or those that its spec's trainable declares.

A user's declarations are in the spec's definition, so that a report needs no code of theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qdexp.config import metrics
from qdexp.config.metric import Metric
from qdexp.results.ledger import SpecRecord
from qdexp_analysis.language import translated

COST = "cost."
"""What the names of costs begin with, whoever measures them."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The metrics of one experiment.

    Args:
        own: Those that a user's own trainable declares, by name; None for qdexp's training.
    """

    own: Mapping[str, Metric] | None = None

    @property
    def is_own(self) -> bool:
        """Tells whether a user's own trainable declares them."""
        return self.own is not None

    def find(self, name: str) -> Metric | None:
        """Returns the declaration of a metric, or None if nobody declared it."""
        if self.own is None or (name not in self.own and name.startswith(COST)):
            found = metrics.find(name)
            return translated(found) if found else None
        return self.own.get(name)

    def metric(self, name: str) -> Metric:
        """Returns a metric's declaration; one that nobody declared has no better or worse."""
        return self.find(name) or Metric(name=name, direction="neither")

    def in_order(self, measured: Iterable[str]) -> list[str]:
        """Returns measured names as tables list them: as declared, then the others.

        Of qdexp's, what was measured on training batches is left out; of a user's, nothing.
        """
        if self.own is None:
            return metrics.in_order(name for name in measured if name.startswith(("eval.", COST)))
        places = {name: place for place, name in enumerate(self.own)}
        return sorted(measured, key=lambda name: (places.get(name, len(places)), name))


OURS = Declared()


def declared_in(spec: SpecRecord) -> Declared:
    """Returns what the metrics of a spec's experiment are."""
    own = spec.definition.get("own")
    if own is None:
        return OURS
    found = [Metric(**{**each, "defined_by": tuple(each["defined_by"])}) for each in own["metrics"]]
    return Declared(own={metric.name: metric for metric in found})
