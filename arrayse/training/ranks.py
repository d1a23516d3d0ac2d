"""Which of the processes of a training this is, as torchrun says in the environment; asked before torch is imported."""

from __future__ import annotations

import os


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this one; 0 where it is alone, whatever else set the variable."""
    return _own("RANK")


def local_rank() -> int:
    """Number of this one on its machine."""
    return _own("LOCAL_RANK")


def is_first_process() -> bool:
    """Whether this one writes what all share, and tells."""
    return rank() == 0


def _own(name: str) -> int:
    return int(os.environ.get(name, "0")) if world_size() > 1 else 0
