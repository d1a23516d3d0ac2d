"""arrayse: small neural speech enhancement for compact microphone arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arrayse.models import Enhancer
    from arrayse.stream import Streamer, TorchBackend

__version__ = "0.1.0"
__all__ = ["Streamer", "TorchBackend", "__version__", "load"]


def load(run: str | Path) -> Enhancer:
    """Loads the enhancer of a run folder; nothing heavy is imported before this call.

    Raises:
        ValueError: no run there, or files that do not fit together.
    """
    from arrayse.checkpoint import load_enhancer

    return load_enhancer(Path(run).expanduser())


def __getattr__(name: str) -> Any:
    """The classes of :mod:`arrayse.stream`, imported when they are asked for."""
    if name in ("Streamer", "TorchBackend"):
        from arrayse import stream

        return getattr(stream, name)
    raise AttributeError(f"module arrayse has no attribute {name}")
