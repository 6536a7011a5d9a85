# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `sampler:` of a spec to what suggests configurations."""

from typing import Any

from qdexp.config.configuration import Value
from qdexp.errors import nearest
from qdexp.experiment.document import Document, Path
from qdexp.experiment.sampler_options import SAMPLERS
from qdexp.experiment.search_spec import SamplerChoice, SamplerName
from qdexp.experiment.space import Space

DEFAULT_SAMPLER: SamplerName = "tpe"

SAMPLER_KEYS = ("name", "seed")
"""Beside the options of the sampler that is named."""


def read_sampler(document: Document, space: Space) -> SamplerChoice:
    """Returns what suggests: a name alone, or a name with its seed and options.

    Raises:
        SpecError: There is no such sampler or option, or it cannot suggest from this space.
    """
    written: Value = document.content.get("sampler", DEFAULT_SAMPLER)
    is_mapping = isinstance(written, dict)
    name_path: Path = ("sampler", "name") if is_mapping else ("sampler",)
    name = _name(document, written.get("name") if is_mapping else written, name_path)
    if name == "grid":
        _check_finite(document, space, name_path)
    if not is_mapping:
        return SamplerChoice(name=name, options={}, seed=0)
    content = document.mapping(("sampler",), (*SAMPLER_KEYS, *SAMPLERS[name]))
    seed = content.get("seed", 0)
    if type(seed) is not int or seed < 0:
        problem = f"seed: expected a whole number from 0, found {seed!r}"
        raise document.error(f"sampler: {problem}", ("sampler", "seed"))
    options = {key: value for key, value in content.items() if key not in SAMPLER_KEYS}
    _check_options(document, name, options)
    return SamplerChoice(name=name, options=options, seed=seed)


def _name(document: Document, name: Value, path: Path) -> SamplerName:
    for each in SAMPLERS:
        if each == name:
            return each
    hint = nearest(str(name), SAMPLERS)
    problem = f"sampler: expected one of {', '.join(SAMPLERS)}, found {name!r}{hint}"
    raise document.error(problem, path)


def _check_options(document: Document, name: SamplerName, options: dict[str, Any]) -> None:
    for key, value in options.items():
        option = SAMPLERS[name][key]
        if not option.allows(value):
            problem = f"sampler: expected {option.in_words} for {key}, found {value!r}"
            raise document.error(problem, ("sampler", key))


def _check_finite(document: Document, space: Space, path: Path) -> None:
    for parameter in space.parameters:
        if parameter.num_values is None:
            problem = "sampler: expected choices, whole numbers or a step for each parameter of a "
            problem += f"grid, found {parameter.field} without a step"
            raise document.error(problem, path)
