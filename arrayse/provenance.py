"""What made a result: versions, revision, command, time."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from arrayse.files import read_json, write_json

ABOUT = "about.json"
"""The file in a run or dataset folder that tells what made it."""

PACKAGES = ("arrayse", "torch", "numpy", "scipy", "pyroomacoustics", "pesq", "soundfile")


def provenance(seed: int) -> dict[str, Any]:
    """Time, command line, versions, git revision and seed: what goes with every result."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([_program(), *sys.argv[1:]]),
        "versions": {
            "python": platform.python_version(),
            **{name: installed(name) or "absent" for name in PACKAGES},
        },
        "git": git_revision(),
        "seed": seed,
    }


def _program() -> str:
    """The command as people type it, also if it was ``python -m arrayse``."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def write_about(path: Path, about: dict[str, Any]) -> None:
    """Notes what made a result; of a result that was begun before, that it went on, under ``continued``."""
    if path.is_file():
        first = read_json(path, "about")
        again = {key: about[key] for key in ("created", "command", "versions", "git")}
        about = {**first, "continued": [*first.get("continued", []), again]}
    write_json(path, about)


def training_of(about: dict[str, Any]) -> dict[str, Any]:
    """What a run was trained with, that of the run that it began with included.

    Args:
        about: of the run; ``init`` in it is what this function gave of the other.

    Returns:
        ``objectives``, in their order, and whether any was learned from a teacher: ``distilled``.
    """
    init, own = about.get("init"), about.get("objectives")
    before = init if isinstance(init, dict) else {}
    return {
        "objectives": [*before.get("objectives", []), *(own if isinstance(own, list) else [])],
        "distilled": bool(about.get("teachers") or before.get("distilled")),
    }


def installed(package: str) -> str | None:
    """The installed version of a package, None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Commit of the checkout that this code runs from, with ``+changes`` if files differ; None outside one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        status = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if status.stdout.strip() else "")
