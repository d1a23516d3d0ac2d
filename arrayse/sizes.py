"""Numbers of bytes in words."""

from __future__ import annotations


def bytes_in_words(n_bytes: float) -> str:
    """Three figures and a unit that people know: 3840000 → ``3.84 MB``, 0 → ``0 kB``."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= 0.9995 * limit:
            return f"{n_bytes / limit:.3g} {unit}"
    return f"{n_bytes / 1e3:.3g} kB"
