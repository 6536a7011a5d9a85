"""Controls: the baseline with one change whose effect is known, beside what is compared.

`twin` is the baseline in another data order: it can be neither better nor worse, and is a red flag
if it is. `none` is the baseline without its quantizer: what quantization costs in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from qdexp.config.configuration import Configuration, Value
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, nearest
from qdexp.experiment.document import Document
from qdexp.experiment.grid import Grid
from qdexp.experiment.trial import Condition, condition_label, with_effect

TWIN, NONE = "twin", "none"
NAMES = (TWIN, NONE)

FIELD = "qdexp.control"
"""The key of a control's condition: no configuration field has this name."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """The baseline with one change, outside of the family that is judged."""

    name: str
    configuration: Settings

    @property
    def condition(self) -> Condition:
        """What stands where compared conditions have their levels."""
        return {FIELD: self.name}


def control_name(condition: Condition) -> str | None:
    """Returns which control a condition is, or None if it is one that is compared."""
    return condition.get(FIELD)


def read_controls(document: Document, grid: Grid) -> tuple[Control, ...]:
    """Returns the controls that a spec asks for.

    Raises:
        SpecError: One is not known, or cannot be, or is compared already.
    """
    written = document.content.get("controls", [])
    if not isinstance(written, list):
        problem = f"controls: expected a list of {_listed()}, found {written!r}"
        raise document.error(problem, ("controls",))
    names: list[object] = list(written)  # pyright: ignore[reportUnknownArgumentType]
    return tuple(_control(document, grid, names, index) for index in range(len(names)))


def _control(document: Document, grid: Grid, names: Sequence[object], index: int) -> Control:
    name, path = names[index], ("controls", index)
    if not isinstance(name, str) or name not in NAMES:
        hint = nearest(str(name), NAMES)
        problem = f"controls: expected {_listed()}, found {name!r}{hint}"
        raise document.error(problem, path)
    if name in names[:index]:
        raise document.error(f"controls: expected different ones, found {name} twice", path)
    baseline = next(each for condition, each in grid.conditions if condition == grid.baseline)
    if not isinstance(baseline, Configuration):
        problem = f"controls: expected none with a training of one's own, found {name}"
        raise document.error(f"{problem}: it changes a field of qdexp's own", path)
    try:
        changed = baseline.replace(_change(name, baseline))
    except ConfigurationError as error:
        raise document.error(f"controls: {name}: {error}", path) from None
    for condition, configuration in grid.conditions:
        if with_effect(configuration) == with_effect(changed):
            problem = f"controls: expected what is not compared already, found {name}, which is "
            raise document.error(f"{problem}the condition {condition_label(condition)}", path)
    return Control(name=name, configuration=changed)


def _change(name: str, baseline: Configuration) -> dict[str, Value]:
    """Returns what a control changes in the baseline."""
    if name == TWIN:
        return {"training.data_order": baseline.training.data_order + 1}
    return {"model.quantizer": "none"}


def _listed() -> str:
    return " or ".join(NAMES)
