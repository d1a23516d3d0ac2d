"""Loops that numba compiles: every function and every number that they use stands in this folder.

Numba renews the machine code that it keeps on disk when the file of a function changes, but not when another file
does that the function uses. So the code is kept under a name that holds the hash of the whole folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_OPTIONS: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "boundscheck": False, "nogil": True}

inlined: Any = numba.njit(**_OPTIONS)
"""For functions that only compiled functions call."""


def folder_hash(folder: Path) -> str:
    """Twelve hexadecimal digits that tell the Python files of a folder from any others."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


_HASH = folder_hash(Path(__file__).parent)


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiles a function now; keeps it on disk for the next process wherever the disk lets it."""

    def compile_it(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__qualname__ += f"_{_HASH}"  # numba names its file after it
        try:
            return numba.njit(signature, cache=True, **_OPTIONS)(function)
        except RuntimeError:  # there is no folder that could be written
            return numba.njit(signature, **_OPTIONS)(function)

    return compile_it
