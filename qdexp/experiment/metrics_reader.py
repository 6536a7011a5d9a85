# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the metrics that a spec names to those that its configurations can be compared on."""

from collections.abc import Sequence
from typing import NoReturn

from qdexp.config.catalogue import Catalogue
from qdexp.config.configuration import Value
from qdexp.config.metric import Metric
from qdexp.config.settings import Settings
from qdexp.errors import RequestError
from qdexp.experiment.document import Document, Path
from qdexp.experiment.spec import Metrics, SmallestEffect

_KEYS = ("primary", "secondary", "smallest_effect")


class MetricsReader:
    """Every method returns a checked part or raises a SpecError at its place.

    Args:
        document: The spec.
        known: The metrics that it may name.
        varied: The fields that it varies.
        configurations: Those that are compared.
    """

    def __init__(
        self,
        document: Document,
        known: Catalogue,
        varied: Sequence[str],
        configurations: Sequence[Settings],
    ) -> None:
        self._document = document
        self._content = document.content
        self._known = known
        self._varied = varied
        self._configurations = configurations

    def metrics(self) -> Metrics:
        """Returns what is judged, by the words of `metrics:` or by the trainable's own."""
        if "metrics" not in self._content and self._known.primary is not None:
            return Metrics(primary=self._known.primary, smallest_effect=None, secondary=())
        return self.beside(self.primary())

    def primary(self) -> str:
        """Returns the name under which the metric that is judged is measured."""
        what = "a primary metric"
        return self.comparable(self.primary_name(), ("metrics", "primary"), what=what)

    def primary_name(self) -> Value:
        """Returns the metric that is judged, as it is written."""
        name = self._keys().get("primary", self._known.primary)
        if name is None:
            problem = f"expected `primary`, {self._known.expected}, found none"
            self._fail(f"metrics: {problem}", ("metrics",))
        return name

    def beside(self, primary: str) -> Metrics:
        """Returns what is judged, with this primary metric."""
        content = self._keys()
        written = content.get("secondary", [])
        if not isinstance(written, list):
            problem = f"secondary: expected a list of metrics, found {written!r}"
            self._fail(problem, ("metrics",))
        secondary = [
            self._resolved(name, configuration, ("metrics", "secondary", index))
            for index, name in enumerate(written)
            for configuration in self._configurations
        ]
        return Metrics(
            primary=primary,
            smallest_effect=self._smallest_effect(content.get("smallest_effect")),
            secondary=tuple(dict.fromkeys(secondary)),
        )

    def comparable(self, name: Value, path: Path, *, what: str) -> str:
        """Returns the one name under which all configurations measure a metric."""
        declared = self.metric(name, path)
        for field in self._varied:
            if declared.is_defined_by(field):
                problem = f"expected {what} that conditions can be compared on, found "
                problem += f"'{declared.name}', whose definition contains {field}"
                self._fail(f"{path[0]}: {problem}", path)
        if declared.direction == "neither":
            problem = f"expected a metric with a better direction, found '{declared.name}'"
            self._fail(f"{path[0]}: {problem}", path)
        for configuration in self._configurations:
            try:
                self._known.check_measured(declared.name, configuration)
            except RequestError as error:
                self._fail(f"{path[0]}: {error}", path)
        resolved = sorted({self._resolved(name, each, path) for each in self._configurations})
        if len(resolved) > 1:
            problem = f"expected {what} that all configurations measure alike, found "
            self._fail(f"{path[0]}: {problem}{resolved[0]} and {resolved[1]}", path)
        return resolved[0]

    def metric(self, name: Value, path: Path) -> Metric:
        """Returns the declaration of a metric."""
        try:
            return self._known.metric(str(name))
        except RequestError as error:
            self._fail(f"{path[0]}: {error}", path)

    def _fail(self, problem: str, path: Path) -> NoReturn:
        raise self._document.error(problem, path)

    def _keys(self) -> dict[str, Value]:
        has_metrics = "metrics" in self._content
        return self._document.mapping(("metrics",), _KEYS) if has_metrics else {}

    def _resolved(self, name: Value, configuration: Settings, path: Path) -> str:
        """Returns the name under which a configuration measures a metric."""
        try:
            return self._known.resolve(str(name), configuration)
        except RequestError as error:
            self._fail(f"{path[0]}: {error}", path)

    def _smallest_effect(self, value: Value) -> SmallestEffect | None:
        if value is None:
            return None
        is_relative = isinstance(value, str) and value.endswith("%")
        try:
            number = float(value[:-1]) / 100 if is_relative else float(value)
        except (TypeError, ValueError):
            number = 0.0
        if not 0 < number < float("inf") or isinstance(value, bool):
            problem = f"expected a share such as 0.5% or a number above 0, found {value!r}"
            self._fail(f"smallest_effect: {problem}", ("metrics", "smallest_effect"))
        return SmallestEffect(value=number, is_relative=is_relative)
