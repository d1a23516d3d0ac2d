"""What docstrings in Google's style say of arguments and attributes."""

from __future__ import annotations

import inspect
import re
from typing import Any

SECTIONS = ("Args:", "Attributes:")


def told_of_arguments(target: Any) -> dict[str, str]:
    """What the docstrings of a class and of those that it extends, or of a function, say of each argument."""
    told: dict[str, str] = {}
    for each in reversed(target.__mro__ if inspect.isclass(target) else [target]):
        told |= _arguments(each.__doc__ or "")
    return told


def summary_of(target: Any) -> str:
    """The first paragraph of a docstring, in one line; nothing where there is none."""
    first = inspect.cleandoc(target.__doc__ or "").split("\n\n")[0]
    return "" if first.startswith(SECTIONS) else _plain(first)


def documentation_of(target: Any) -> str:
    """A docstring with the summary and the arguments of a class, those of the classes that it extends too."""
    arguments = [f"    {name}: {text}" for name, text in told_of_arguments(target).items()]
    return "\n".join([summary_of(target), "", SECTIONS[0], *arguments])


def _arguments(docstring: str) -> dict[str, str]:
    """By name, each in one line; names before one colon share what follows."""
    told, names, inside = dict[str, str](), list[str](), False
    for line in inspect.cleandoc(docstring).splitlines():
        if line and not line.startswith(" "):
            names, inside = [], line in SECTIONS
        elif inside and (found := re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)):
            names = found[1].split(", ")
            told |= dict.fromkeys(names, found[2])
        elif line:
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
    return {name: _plain(text) for name, text in told.items()}


def _plain(text: str) -> str:
    """Without the marks of documentation: of a reference its last name."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return " ".join(text.replace("``", "").split())
