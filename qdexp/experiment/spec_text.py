# ruamel's nodes are dicts and lists of anything.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
"""The YAML of a spec that a program makes: for people to read, to run again and to change."""

import math
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from qdexp.experiment.document import plain_data

_LONG_LINES = 10_000
"""Columns after which a line is broken: nothing that a spec holds is so long."""

_ROWS = ("set", "factors", "conditions", "rounds")
"""Keys whose content stands line by line."""


def spec_text(content: Mapping[str, Any], comment: Sequence[str]) -> str:
    """Returns the YAML text of a spec; what reads it finds exactly these values.

    Args:
        content: The spec as plain data.
        comment: The lines at its head, without their signs.
    """
    yaml = YAML()
    yaml.width = _LONG_LINES
    buffer = StringIO()
    yaml.dump(_block(plain_data(content)), buffer)
    head = "".join(f"# {' '.join(line.split())}\n" for line in comment)
    return head + buffer.getvalue()


def share_text(share: float) -> str:
    """Returns a share as a spec writes it, ``0.5%``: reading it gives exactly the same number."""
    near = 100 * share
    numbers = [near, math.nextafter(near, 0), math.nextafter(near, math.inf)]
    numbers += [float(f"{near:.15g}"), float(f"{near:.16g}")]
    exact = [repr(number) for number in numbers if number / 100 == share]
    return f"{min(exact, key=len, default=repr(near))}%"


def duration_text(seconds: float) -> str:
    """Returns a duration as a spec writes it: ``90.0 s``."""
    return f"{seconds:.3f} s"


def _block(content: Mapping[str, Any]) -> CommentedMap:
    """Returns a mapping with a line for each key, or more."""
    found = CommentedMap()
    for key, value in content.items():
        if key in _ROWS:
            found[key] = _rows(value)
        else:
            found[key] = _block(value) if key == "path" else _line(value)
    return found


def _rows(content: Any) -> CommentedMap | CommentedSeq:  # noqa: ANN401 - a dict or a list
    """Returns a mapping or a list with each part in a line of its own."""
    if isinstance(content, list):
        return CommentedSeq([_line(each) for each in content])
    return CommentedMap((key, _line(value)) for key, value in content.items())


def _line(content: Any) -> Any:  # noqa: ANN401 - plain data of any kind
    """Returns what stands in one line."""
    if isinstance(content, str) and content.startswith(("?", ":")):
        return DoubleQuotedScalarString(content)  # plain, ruamel would read it as a key or value
    if not isinstance(content, dict | list):
        return content
    found = _rows(content)
    found.fa.set_flow_style()
    return found
