"""Networks and distillation losses of other packages: installed beside this one, and named in their pyproject.toml."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from arrayse.files import one_line


def with_installed(table: dict[str, Any], group: str, base: type) -> dict[str, Any]:
    """A table of classes, and what installed packages add to it by entry points.

    No config, run or dataset can add anything: whoever installs a package decides so.

    Args:
        table: classes by the name that configs choose them by.
        group: of the entry points.
        base: what the classes have to derive from.

    Raises:
        ValueError: a name that is taken, a class that cannot be imported, or something else than such a class.
    """
    whole = dict(table)
    for entry in entry_points(group=group):
        place = f"{group}: {entry.name} = {entry.value}, of the installed package {_package(entry)}"
        if entry.name in whole:
            raise ValueError(f"{place}: expected a name other than {', '.join(whole)}, got {entry.name}")
        try:
            found = entry.load()
        except Exception as error:  # whatever a module does when it is imported
            raise ValueError(f"{place}: expected a class, got {type(error).__name__}: {one_line(error)}") from error
        if not (inspect.isclass(found) and issubclass(found, base)):
            raise ValueError(f"{place}: expected a class that derives from {base.__name__}, got {found!r:.80}")
        whole[entry.name] = found
    return whole


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"
