"""Files that are never half-written: write beside, flush to disk, rename into place."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
"""Names that :func:`_beside` gives, and nobody else."""


def write_whole(path: Path, write: Callable[[Path], None], durable: bool = True) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, then renames it into place.

    Whatever stops it (an exception, a kill, a full disk), ``path`` holds the old content or the new one.

    Args:
        path: where the file is to be; its folder is made if need be.
        write: is given the temporary path, whose name does not end like that of ``path``.
        durable: also survive a power cut, which takes far longer than the rest for small files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        write(temporary)
        if durable:
            _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _flush(path.parent)


def write_first(path: Path, text: str) -> bool:
    """Writes a UTF-8 text file whole unless there is one already, and says whether it did: only one process can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        _write_plain(temporary, text)
        _flush(temporary)
        os.link(temporary, path)  # unlike a rename it leaves what is there
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)
    return True


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file whole."""
    write_whole(path, lambda temporary: _write_plain(temporary, text))


def write_json(path: Path, value: Any) -> None:
    """Writes one indented JSON document whole; ValueError if it holds NaN."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON document a line, the file whole; ValueError if one holds NaN."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_json(path: Path, what: str) -> Any:
    """Reads one JSON document.

    Raises:
        ValueError: no such file, or not JSON; ``what`` says what was looked for.
    """
    if not path.is_file():
        raise ValueError(f"{what}: expected a file {path}, got none")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}: expected JSON in {path}, got {error}") from None


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yields the documents of a JSON-lines file.

    A last line without its newline is the trace of a process that was killed while it appended: it is
    left out.

    Raises:
        ValueError: no such file, or a whole line that is not JSON.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of JSON lines, got none")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path} line {number}: expected JSON, got {error}") from None


def append_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Adds lines to a JSON-lines file, after cutting off a half-written last line."""
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        _cut_half_line(file)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder beside ``path`` that becomes ``path`` when the block ends well; else it goes.

    If another process put ``path`` there meanwhile, that one stays and ours is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        _flush(temporary)
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lets no other process into a block of the same folder, which is made if need be; no file is left there.

    The lock is that of the kernel on the folder itself and goes with the process, however it ends. Where there is no
    such lock (Windows, some network file systems) nothing is held.

    Raises:
        ValueError: another process, or another block of this one, is in the folder; or there is a file in its place.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got a file")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    _LOCKED.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"out: expected a folder that no other process writes into, got {folder}") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        if descriptor in _LOCKED:
            _LOCKED.remove(descriptor)
            os.close(descriptor)


_LOCKED: set[int] = set()
"""Descriptors of the folders that this process is alone in."""


def _leave_locks() -> None:
    """A fork that outlives a killed process must not keep its locks."""
    while _LOCKED:
        os.close(_LOCKED.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders that a killed process left directly in ``folder``.

    If their process lives after all, it fails: it can no longer put into place what is being removed.
    """
    for leftover in filter(is_leftover, folder.iterdir()):
        doomed = _beside(folder / "removed")
        try:
            os.rename(leftover, doomed)  # at once, so that no half-removed folder is ever put into place
        except FileNotFoundError:
            continue
        if doomed.is_dir():
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            doomed.unlink(missing_ok=True)


def remove_unfinished(path: Path) -> None:
    """Removes what killed processes left of a file, of which only one process writes at a time."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if is_leftover(leftover):
            leftover.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether the name is one that only unfinished files and folders of this module bear."""
    return _LEFTOVER.fullmatch(path.name) is not None


def check_new_folder(folder: Path, what: str) -> None:
    """Raises ValueError if there is a file in place of ``folder``, or a folder with other files than leftovers.

    Args:
        folder: where a result is to lie.
        what: what else it might have been, for the message.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got a file")
    if folder.is_dir() and not all(is_leftover(there) for there in folder.iterdir()):
        raise ValueError(f"{folder}: expected an empty folder or {what}, got a folder with other files")


def check_free_space(folder: Path, n_bytes: int) -> None:
    """Raises ValueError unless the disk that ``folder`` is (or will be) on has ``n_bytes`` free."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise ValueError(f"{folder}: expected {n_bytes / 1e9:.2f} GB free on the disk, got {free / 1e9:.2f} GB")


def one_line(error: Exception) -> str:
    """What an error says, in one line that is not too long; its kind if it says nothing.

    Of an error of libsndfile that is its own message, without the file name around it.
    """
    error_string = getattr(error, "error_string", str(error))
    return " ".join(error_string.split())[:300] or type(error).__name__


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    """A name in the folder of ``path`` that is not taken."""
    return path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"


def _write_plain(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut_half_line(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
