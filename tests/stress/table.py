"""The table of promises: one row for each thing that was tried, replaced when it is tried again."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arrayse.files import write_text
from tests.stress.common import Row

ORDER = (
    *("SIGKILL", "SIGTERM", "SIGINT", "full disk", "not finite", "bad audio", "bad configs", "untrusted files"),
    *("load", "processes", "determinism", "security"),
)
"""Promises, as the table has them."""

LONGEST = 600
"""Letters of a note."""

HEAD = """# Promises under fault, load and attack

Written by `make stress`. *Broken* counts what did not hold; *at* is the revision of the code that was tried.

| promise | tried on | times | broken | | at |
| --- | --- | ---: | ---: | --- | --- |
"""


def revision() -> str:
    """Commit of the code that is tried, with ``+changes`` if it has others than that; ``none`` outside a checkout."""
    root = Path(__file__).parents[2]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    if commit.returncode:
        return "none"
    tried = ("arrayse", "simulate", "configs")
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *tried], cwd=root, capture_output=True)
    return commit.stdout.strip() + ("+changes" if same.returncode else "")


def one_line(row: Row, at: str) -> str:
    """A row in Markdown."""
    return f"| {row.promise} | {row.what} | {row.tried:,} | {row.broken} | {_cell(row.note)} | {at} |"


def update(path: Path, row: Row, at: str) -> None:
    """Puts a row into the table in place of the one that tried the same; several processes may."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        rows = {_key(line): line for line in lines if line.startswith("| ") and _key(line)[0] in ORDER}
        rows[row.promise, row.what] = one_line(row, at)
        ordered = sorted(rows.values(), key=lambda line: ORDER.index(_key(line)[0]))
        write_text(path, HEAD + "\n".join(ordered) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time is in the block."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _key(line: str) -> tuple[str, str]:
    cells = line.split(" | ")
    return cells[0].removeprefix("| "), cells[1] if len(cells) > 1 else ""


def _cell(text: str) -> str:
    text = " ".join(text.replace("|", "/").replace("<", "&lt;").split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 200]} … {text[-199:]}"
