"""What the commands share: the application, the console, and how arguments are read."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
console = Console()

CONFIG_HELP = "YAML files or named configs, merged left to right, and key=value overrides, which win; see arrayse keys."
Arguments = Annotated[list[str], typer.Argument(help=CONFIG_HELP, metavar="[CONFIG|KEY=VALUE]...")]
OptionalArguments = Annotated[list[str] | None, typer.Argument(help=CONFIG_HELP, metavar="[CONFIG|KEY=VALUE]...")]


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Names, and key=value overrides."""
    return [a for a in arguments if "=" not in a], [a for a in arguments if "=" in a]


def is_silent() -> bool:
    """Whether this is one of several processes, of which the first one tells. Asked before torch is imported."""
    return os.environ.get("RANK", "0") != "0"
