"""What the commands share: the application, the console, and how arguments are read."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from arrayse.training.ranks import is_first_process

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
    """Names, folders and YAML files with ``=`` in theirs too, and key=value overrides."""
    from arrayse.config import is_override

    names = [each for each in arguments if not is_override(each) or os.path.isdir(os.path.expanduser(each))]
    return names, [each for each in arguments if each not in names]


def split_runs(names: list[str], verb: str) -> tuple[list[Path], list[str]]:
    """Run folders and configs; a folder without a network in it does not take the place of a named config.

    Raises:
        ConfigError: a name that is neither.
    """
    from arrayse.checkpoint import MODEL
    from arrayse.config import ConfigError, find_config
    from arrayse.verbs.common import is_run

    configs = [name for name in names if not is_run(name)]
    for name in configs:
        try:
            find_config(name, verb)
        except ConfigError as error:
            got = f"{name} without {MODEL}" if Path(name).expanduser().is_dir() else f"{name}: no such run"
            raise ConfigError(f"{verb}: expected a run folder or a config, got {got}\n{error}") from None
    return [Path(name).expanduser() for name in names if name not in configs], configs


def expanded(path: Path) -> Path:
    """With the home folder in place of ``~``, which a shell leaves behind a sign or in quotes."""
    return path.expanduser()


def console_of_errors() -> Console:
    """Of several processes the first one tells."""
    return Console(stderr=True, soft_wrap=True, quiet=not is_first_process())


@contextmanager
def own_interrupt() -> Iterator[None]:
    """Where Ctrl-C is the usual end of what is inside, not that of the command: Python's own handler."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
