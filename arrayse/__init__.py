"""arrayse: small neural speech enhancement for compact microphone arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrayse.models import Enhancer

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(run: str | Path) -> Enhancer:
    """Loads the enhancer of a run folder; nothing heavy is imported before this call.

    Raises:
        ValueError: no run there, or files that do not fit together.
    """
    from arrayse.checkpoint import load_enhancer

    return load_enhancer(Path(run).expanduser())
