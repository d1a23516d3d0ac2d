"""Headers and hashes of audio files, kept in the user's cache: the second start does not read a large corpus again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from arrayse.audio import AudioInfo, audio_info
from arrayse.files import sha256_of, write_text

LEAST_BYTES = 100_000_000
"""What takes less than a moment to read is not kept."""

FRESH_NS = 2_000_000_000
"""A file written so lately may change again without another time of change, whose steps are coarse on some disks."""

Facts = tuple[AudioInfo, str]
"""Header and SHA-256 of a file."""


def cache_home() -> Path:
    """Where programs of this user keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@contextmanager
def known_files(corpus: Path, kind: str) -> Iterator[Callable[[Path], Facts]]:
    """Gives a function that tells header and SHA-256 of a file of a corpus, from the cache where it is as it was.

    A file is as it was if path, size and time of change are. What was read is kept when the block ends, also by an
    error, so that nobody waits twice; a cache that is damaged, or cannot be written, is none. To have everything read
    again, remove ``arrayse/files-v1`` under ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Args:
        corpus: the manifest or folder, which has a file of its own in the cache.
        kind: of the files.

    The function raises:
        ValueError: see :func:`arrayse.audio.audio_info`.
    """
    key = hashlib.sha256(f"{kind} {corpus.absolute()}".encode()).hexdigest()
    store = cache_home() / "arrayse" / "files-v1" / f"{key[:32]}.json"
    old, seen, n_bytes, whole = _read(store), dict[str, Any](), 0, False

    def look(path: Path) -> Facts:
        nonlocal n_bytes
        name, stat = str(path.absolute()), path.stat() if path.is_file() else None
        mark = stat and [stat.st_size, stat.st_mtime_ns]
        known = old.get(name)
        if known is not None and known[0] == mark:
            seen[name] = known
            return AudioInfo(*known[1]), known[2]
        info, sha256 = audio_info(path), sha256_of(path)
        if stat and stat.st_mtime_ns < time.time_ns() - FRESH_NS:
            seen[name] = [mark, [info.sample_rate, info.n_channels, info.n_samples], sha256]
            n_bytes += stat.st_size
        return info, sha256

    try:
        yield look
        whole = True
    finally:
        if n_bytes >= LEAST_BYTES:
            _write(store, seen if whole else old | seen)


def _read(store: Path) -> dict[str, Any]:
    """What was kept, by path: size and time of change, header, SHA-256; nothing if it is not as it was written."""
    try:
        digest, _, text = store.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return {}
    kept: dict[str, Any] = json.loads(text) if digest == hashlib.sha256(text.encode()).hexdigest() else {}
    return kept


def _write(store: Path, kept: dict[str, Any]) -> None:
    """Writes the file whole, its hash in the first line; of two processes the last one stays."""
    text = json.dumps(kept)
    with suppress(OSError):  # it only saves time
        write_text(store, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
