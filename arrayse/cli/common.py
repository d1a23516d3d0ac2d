"""What the commands share: the application, the console, and how arguments are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
console = Console()

CONFIG_HELP = (
    "Named configs or YAML files (mine.yaml, ./mine), merged left to right; key=value overrides win, arrayse keys VERB "
    "lists them."
)
Arguments = Annotated[list[str], typer.Argument(help=CONFIG_HELP, metavar="CONFIG|KEY=VALUE")]
OptionalArguments = Annotated[list[str] | None, typer.Argument(help=CONFIG_HELP, metavar="CONFIG|KEY=VALUE")]


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Names, folders with ``=`` in theirs too, and key=value overrides."""
    names = [each for each in arguments if "=" not in each or Path(each).expanduser().is_dir()]
    return names, [each for each in arguments if each not in names]


def is_silent() -> bool:
    """Whether this is one of several processes, of which the first one tells. Asked before torch is imported."""
    return os.environ.get("RANK", "0") != "0"
