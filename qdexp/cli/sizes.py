"""Sizes as people say them."""


def size_in_words(num_bytes: float) -> str:
    """Returns a size in its unit, two or three digits of it: ``812 MiB``, ``1.4 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if num_bytes >= 10 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} TiB"
