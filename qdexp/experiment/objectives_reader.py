# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `objectives:` and `pruning:` of a spec to what a search compares."""

from typing import Any, NoReturn, get_args

from qdexp.config.configuration import Configuration, Value
from qdexp.config.settings import Settings
from qdexp.experiment.document import Document, Path
from qdexp.experiment.metrics_reader import MetricsReader
from qdexp.experiment.search_spec import Direction, Objective, Pruning, PruningKind

_CURVE = "eval.curve_"
REPORTED = (_CURVE, "train.")
"""What the names of metrics begin with that a running trial of qdexp's own reports."""

PRUNING_KEYS = ("kind", "metric", "steps", "reduction_factor", "least")
PRUNING_KINDS: tuple[PruningKind, ...] = get_args(PruningKind)


class ObjectivesReader:
    """Every method returns a checked part or raises a SpecError at its place.

    Args:
        document: The spec.
        metrics: Reads the metrics that it may name.
        baseline: The configuration that the search begins with.
    """

    def __init__(self, document: Document, metrics: MetricsReader, baseline: Settings) -> None:
        self._document = document
        self._content = document.content
        self._metrics = metrics
        self._baseline = baseline

    def objectives(self) -> tuple[Objective, ...]:
        """Returns what is optimised: the primary metric unless the spec lists more."""
        if "objectives" not in self._content:
            return (self._objective(self._metrics.primary_name(), self._place_of_primary()),)
        written: Value = self._content["objectives"]
        if not isinstance(written, list) or not written:
            self._fail(f"objectives: expected a list of metrics, found {written!r}", "objectives")
        found: list[Objective] = []
        for index, name in enumerate(written):
            objective = self._objective(name, ("objectives", index))
            if objective in found:
                problem = f"objectives: expected different metrics, found '{name}' twice"
                self._fail(problem, "objectives", index)
            found.append(objective)
        self._check_first(found[0])
        return tuple(found)

    def pruning(self) -> Pruning | None:
        """Returns what stops trials early, or None."""
        if "pruning" not in self._content:
            return None
        content = self._document.mapping(("pruning",), PRUNING_KEYS)
        kind = self._kind(content.get("kind"))
        if kind == "median" and "reduction_factor" in content:
            problem = "pruning: expected reduction_factor with `kind: asha` only, found it"
            path = ("pruning", "reduction_factor")
            raise self._document.key_error(f"{problem} with median", path)
        metric, direction = self._pruned_by(content)
        return Pruning(
            kind=kind,
            metric=metric,
            direction=direction,
            steps=self._steps(metric, content.get("steps")),
            reduction_factor=self._whole(content, "reduction_factor", least=2, default=4),
            least=self._whole(content, "least", least=1, default=4),
        )

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _place_of_primary(self) -> Path:
        return ("metrics", "primary") if "metrics" in self._content else ("space",)

    def _objective(self, name: Value, path: Path) -> Objective:
        resolved = self._metrics.comparable(name, path, what="an objective")
        return Objective(metric=resolved, direction=self._direction(resolved, path))

    def _direction(self, name: str, path: Path) -> Direction:
        direction = self._metrics.metric(name, path).direction
        assert direction != "neither"
        return direction

    def _check_first(self, first: Objective) -> None:
        """Refuses a primary metric that is not the first objective."""
        content = self._content.get("metrics")
        if not isinstance(content, dict) or "primary" not in content:
            return
        path = ("metrics", "primary")
        primary = self._metrics.comparable(content["primary"], path, what="a primary metric")
        if primary != first.metric:
            problem = f"metrics: expected the first of the objectives, {first.metric}, as the "
            self._fail(f"{problem}primary metric, found {primary}", *path)

    def _kind(self, written: Value) -> PruningKind:
        for kind in PRUNING_KINDS:
            if written == kind:
                return kind
        expected = " or ".join(PRUNING_KINDS)
        self._fail(f"pruning: expected kind {expected}, found {written!r}", "pruning", "kind")

    def _pruned_by(self, content: dict[str, Any]) -> tuple[str, Direction]:
        path = ("pruning", "metric")
        if "metric" not in content:
            problem = "expected the metric that running trials are compared on, found none"
            self._fail(f"pruning: {problem}", *path)
        name = self._metrics.comparable(content["metric"], path, what="a metric")
        is_ours = isinstance(self._baseline, Configuration)
        if is_ours and not name.startswith(REPORTED):
            problem = f"expected a metric that a running trial reports, such as {_CURVE}"
            self._fail(f"pruning: {problem}denoising_loss, found '{name}'", *path)
        return name, self._direction(name, path)

    def _steps(self, metric: str, written: Value) -> tuple[int, ...]:
        steps = list(written) if isinstance(written, list) else []
        are_whole = all(type(step) is int and step > 0 for step in steps)
        if not steps or not are_whole or steps != sorted(set(steps)):
            problem = f"expected steps as a rising list of whole numbers from 1, found {written!r}"
            self._fail(f"pruning: {problem}", "pruning", "steps")
        last = self._baseline.num_steps
        for index, step in enumerate(steps):
            if last and step >= last:
                problem = f"expected steps before the last, {last}, found {step}"
                self._fail(f"pruning: {problem}", "pruning", "steps", index)
            self._check_reported(metric, step, index)
        return tuple(steps)

    def _check_reported(self, metric: str, step: int, index: int) -> None:
        """Refuses a step at which qdexp's own training does not report the metric."""
        configuration = self._baseline
        if not isinstance(configuration, Configuration):
            return
        every = configuration.training.log_every_steps
        curve = configuration.evaluation.curve_steps
        path = ("pruning", "steps", index)
        if metric.startswith(_CURVE) and step not in curve:
            problem = f"expected steps of evaluation.curve_steps, {list(curve)}, at which {metric} "
            self._fail(f"pruning: {problem}is measured, found {step}", *path)
        if metric.startswith("train.") and step % every:
            problem = f"expected multiples of training.log_every_steps, {every}, at which {metric} "
            self._fail(f"pruning: {problem}is reported, found {step}", *path)

    def _whole(self, content: dict[str, Any], key: str, *, least: int, default: int) -> int:
        value = content.get(key, default)
        if type(value) is not int or value < least:
            problem = f"expected a whole number from {least} for {key}, found {value!r}"
            self._fail(f"pruning: {problem}", "pruning", key)
        return value
