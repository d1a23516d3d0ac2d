"""The scenes of a dataset by their lines in the manifests, which are read when a number is asked for.

A line has thousands of characters; of a dataset of 100,000 scenes only names and places are kept in memory.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayse.converter import Converter

MANIFEST = "manifest.jsonl"

_ID = re.compile(rb'\{"id": "([\w-]+)"')
_FILE = re.compile(rb', "file": "([\w.-]+)", "sha256": "[0-9a-f]{64}"\}\Z')
"""The end of a line as the simulator writes it; what lies deeper in a line may be called a file too."""

_END = 300
"""Bytes that a line is searched from its end; one with a longer name is parsed."""


@dataclass(frozen=True, eq=False)
class SceneEntry:
    """One line of a manifest and the folder that its audio lies in."""

    folder: Path
    numbers: dict[str, Any]

    @property
    def id(self) -> str:
        """Split and number of the scene: its name in every table."""
        return str(self.numbers["id"])

    @property
    def file_name(self) -> str:
        """Of the stems; a manifest names no other folder."""
        return os.path.basename(self.numbers["file"])

    @property
    def path(self) -> Path:
        """The file with the stems."""
        return self.folder / self.file_name

    @property
    def converter(self) -> Converter:
        """Clips and quantises what the microphones of the scene record."""
        device = self.numbers["device"]
        return Converter.from_dbfs(device["clip_dbfs"], device["bits"])

    @property
    def n_samples(self) -> int:
        """Length of the scene."""
        return int(self.numbers["n_samples"])

    def loaded(self) -> SceneEntry:
        """The same with its line in memory, for those who ask for several numbers."""
        return SceneEntry(self.folder, self.numbers)


class StoredEntry(SceneEntry):
    """A scene whose line stays on disk.

    Args:
        folder: of the shard.
        offset: where its line begins in the manifest, in bytes.
        name: of the scene.
        file: with the stems.
    """

    def __init__(self, folder: Path, offset: int, name: str, file: str) -> None:
        stems = os.path.basename(file)
        vars(self).update(folder=folder, offset=offset, name=name, stems=stems)  # a frozen class is set no other way

    @property
    def numbers(self) -> dict[str, Any]:
        """The line, read anew each time; raises ValueError if it is no longer that of the scene and its file."""
        path = self.folder / MANIFEST
        numbers = _read_line(path, vars(self)["offset"])
        if numbers.get("id") != self.id or os.path.basename(str(numbers.get("file"))) != self.file_name:
            raise ValueError(f"{path}: expected {self.id} with {self.file_name}, got another line: it was changed")
        return numbers

    @property
    def id(self) -> str:
        """See :class:`SceneEntry`."""
        return str(vars(self)["name"])

    @property
    def file_name(self) -> str:
        """See :class:`SceneEntry`."""
        return str(vars(self)["stems"])


def scan_manifest(shard: Path) -> Iterator[StoredEntry]:
    """The scenes of a shard in order.

    A last line without its newline is left out, as in :func:`arrayse.files.read_json_lines`.

    Raises:
        ValueError: no manifest, or a line that is none of a scene.
    """
    path, offset = shard / MANIFEST, 0
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of JSON lines, got none")
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        yield StoredEntry(shard, offset, *(_glance(line) or _parse(line, path, number)))
        offset += len(line) + 1


def lost_files(entries: list[StoredEntry]) -> Iterator[Path]:
    """The files with stems that are not there, looked for with one reading of each folder."""
    there: dict[Path, set[str]] = {}
    for entry in entries:
        if entry.folder not in there:
            with os.scandir(entry.folder) as found:
                there[entry.folder] = {item.name for item in found if item.is_file()}
        if entry.file_name not in there[entry.folder]:
            yield entry.path


def _glance(line: bytes) -> tuple[str, str] | None:
    """Name and file of a line as the simulator writes it, which is not parsed for them; None of any other."""
    name, file = _ID.match(line), _FILE.search(line, len(line) - _END)
    return (name[1].decode(), file[1].decode()) if name and file else None


def _parse(line: bytes, path: Path, number: int) -> tuple[str, str]:
    """Name and file of a line that is not written as the simulator writes it."""
    try:
        numbers = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} line {number}: expected JSON, got {error}") from None
    if not isinstance(numbers, dict) or not all(isinstance(numbers.get(key), str) for key in ("id", "file")):
        raise ValueError(f"{path} line {number}: expected a scene with its id and file, got {str(numbers)[:60]}")
    return numbers["id"], numbers["file"]


def _read_line(path: Path, offset: int) -> dict[str, Any]:
    with path.open("rb") as file:
        file.seek(offset)
        line = file.readline()
    try:
        numbers = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} byte {offset}: expected JSON, got {error}") from None
    if not isinstance(numbers, dict):
        raise ValueError(f"{path} byte {offset}: expected a scene, got {str(numbers)[:60]}")
    return numbers
