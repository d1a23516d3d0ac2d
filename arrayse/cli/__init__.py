"""The command line: verbs, help, and errors that people can act on (exit code 2, one line each)."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from arrayse import __version__
from arrayse.cli.common import app, console, is_silent

# isort: split
from arrayse.cli import data, nets, results, sweep, device, stream, export, about  # noqa: F401, I001  # in the order of --help

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """From a drawing of a microphone array to a tiny network that runs on it.

    `arrayse quickstart` shows the whole path in a few minutes on synthetic speech.
    """
    if version:
        console.print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point. What the user can mend ends with exit code 2, other failures with 1, a line each and no traceback.

    SIGTERM ends with 143 and SIGINT (Ctrl-C) with 130, workers and half-written files cleared away. With ARRAYSE_DEBUG
    set in the environment tracebacks are shown.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as stop:
        code = getattr(stop, "code", INTERRUPTED)
        if code in (INTERRUPTED, TERMINATED):
            Console(stderr=True, quiet=is_silent()).print("stopped: what can be resumed goes on with the same command")
        sys.exit(code)
    except Exception as error:
        if os.environ.get("ARRAYSE_DEBUG"):
            raise
        sys.exit(_explain(error, quiet=is_silent()))


def _explain(error: Exception, quiet: bool) -> int:
    """Prints an error and gives the exit code."""
    errors = Console(stderr=True, soft_wrap=True, quiet=quiet)
    code = getattr(error, "exit_code", None)  # of a job that was stopped by a signal and has saved where it stands
    if code is not None:
        errors.print(escape(str(error)))
        return int(code)
    for line in str(error).splitlines() or [type(error).__name__]:
        errors.print(f"[red]error[/] {escape(line)}")
    if isinstance(error, ValueError):
        return 2
    if not isinstance(error, (RuntimeError, OSError)):
        errors.print(f"{type(error).__name__}: this should not happen; ARRAYSE_DEBUG=1 shows where")
    return 1
