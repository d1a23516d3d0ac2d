"""What the benchmarks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from arrayse.provenance import provenance


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute with one thread; the simulator never uses more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def versions_line(repeats: int) -> str:
    """How the numbers came about."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance(0)["versions"].items())
    return f"medians of {repeats} repeats, one thread, sides in turn; {versions}"
