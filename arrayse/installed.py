"""Tables of classes that configs choose by name: those of this package, and those that installed packages add."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

from arrayse.files import one_line


class Table(Mapping[str, Any]):
    """Classes by name; entry points of installed packages add to them.

    Whoever installs a package decides what is added: no config, run or dataset can, nor a folder in which a command is
    run. Nothing of a package is imported before its class is asked for, or all classes are. Of all, those that cannot
    be used are left out with a warning.

    Args:
        own: classes of this package.
        group: of the entry points.
        base: what the classes have to derive from.
        needed: names of attributes that they have to have.
        given: arguments that the program gives; all others need a type, which becomes that of a key.
    """

    def __init__(
        self, own: dict[str, Any], group: str, base: type, needed: tuple[str, ...], given: tuple[str, ...]
    ) -> None:
        self._own, self._base, self._needed, self._given = own, base, needed, given
        self._entries = {entry.name: entry for entry in reversed(_entries()) if entry.group == group}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._own:
            return self._own[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(self._entries[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._entries

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for name, entry in self._entries.items():
            try:
                if name in self._own:
                    raise ValueError(f"{_told(entry)}: expected another name, got one that is taken")
                self[name]
            except ValueError as error:
                warnings.warn(str(error), stacklevel=2)
            else:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _load(self, entry: EntryPoint) -> Any:
        """Raises ValueError for what is no such class."""
        try:
            found = entry.load()
        except Exception as error:  # whatever a module does when it is imported
            raise ValueError(
                f"{_told(entry)}: expected a class, got {type(error).__name__}: {one_line(error)}"
            ) from error
        if not (inspect.isclass(found) and issubclass(found, self._base)):
            got = f"{found!r:.80}"
            raise ValueError(f"{_told(entry)}: expected a class that derives from {self._base.__name__}, got {got}")
        if missing := [name for name in self._needed if not hasattr(found, name)]:
            raise ValueError(f"{_told(entry)}: expected {', '.join(self._needed)}, got none of {', '.join(missing)}")
        untyped = [
            name
            for name, parameter in inspect.signature(found).parameters.items()
            if parameter.annotation is parameter.empty and name not in self._given
        ]
        if untyped:
            raise ValueError(f"{_told(entry)}: expected a type for every argument, got none for {', '.join(untyped)}")
        return found


@functools.cache
def _entries() -> tuple[EntryPoint, ...]:
    """Those of installed packages; what merely lies in the current folder is not installed."""
    found: dict[str, Any] = {}
    for package in distributions():
        folder = Path(str(package.locate_file("")))
        if folder.resolve() != Path.cwd():
            found.setdefault(package.name, package.entry_points)  # the first one of a name is what would be imported
    return tuple(entry for entries in found.values() for entry in entries)


def _told(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "unknown"
    return f"{entry.group}: {entry.name} = {entry.value}, of the installed package {package}"
