"""Numbers of things as people write them."""


def counted(number: int, what: str) -> str:
    """Returns ``1 trial`` or ``1,000 trials``.

    Args:
        number: How many.
        what: The name of one.
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
