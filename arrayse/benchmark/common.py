"""What the benchmarks share."""

from __future__ import annotations

from arrayse.provenance import provenance


def versions_line(repeats: int) -> str:
    """How the numbers came about."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance(0)["versions"].items())
    return f"medians of {repeats} repeats, one thread, sides in turn; {versions}"
