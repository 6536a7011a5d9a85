"""What the columns of frames are called that hold a configuration's fields."""

from collections.abc import Collection


def column_of(field: str, taken: Collection[str]) -> str:
    """Returns the name of a field's column: its own, unless another column has that name.

    A training of the user's own may have a field of any name, ``seed`` or ``kind`` for instance.

    Args:
        field: The field.
        taken: The names of the frame's other columns.
    """
    return f"setting.{field}" if field in taken else field
