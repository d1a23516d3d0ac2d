"""The command line: verbs, help, and errors that people can act on (exit code 2, one line each)."""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape

from arrayse import __version__
from arrayse.cli.common import app, console, console_of_errors
from arrayse.doctor import installable

# isort: split
from arrayse.cli import data, nets, results, sweep, device, stream, export, settings, about  # noqa: F401, I001  # in the order of --help

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """From a drawing of a microphone array to a tiny network that runs on it.

    `arrayse quickstart` shows the whole path in a few minutes on synthetic speech. With your own array and sound it is
    `array show`, `simulate`, `train`, `distill`, `evaluate`, `report`, `enhance`.

    Each explains itself with `--help`; `arrayse keys train` lists all that it can be told, and `arrayse config train
    teacher` what a named config tells it.
    """
    if version:
        console.print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point. What the user can mend ends with exit code 2, other failures with 1, a line each and no traceback.

    SIGTERM ends with 143 and SIGINT (Ctrl-C) with 130, workers and half-written files cleared away. With ARRAYSE_DEBUG
    set in the environment tracebacks are shown.
    """
    stop, code = _Stop(), 0
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is where a shell started it in the background
        signal.signal(signal.SIGINT, stop)
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as end:
        code = getattr(end, "code", INTERRUPTED)
    except Exception as error:
        if os.environ.get("ARRAYSE_DEBUG"):
            raise
        code = _explain(error, stopped=stop.code is not None)
        if stop.code is None:
            sys.exit(code)
    code = code if stop.code is None else stop.code
    if code in (INTERRUPTED, TERMINATED):
        console_of_errors().print("stopped: the same command goes on where it can, or begins again")
    sys.exit(code)


class _Stop:
    """Ends the command on a signal, and remembers it: what is raised can get lost inside a library, or break it.

    Objects that were half made by then may fail where they are cleared away: Python would print a traceback for each.

    Attributes:
        code: to exit with; None as long as there was no signal.
    """

    code: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.code = 128 + number
        if not os.environ.get("ARRAYSE_DEBUG"):
            sys.unraisablehook = lambda _: None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(self.code)


def _explain(error: Exception, stopped: bool) -> int:
    """Prints an error, which may come from a library that a signal broke, and gives the exit code."""
    errors = console_of_errors()
    code = getattr(error, "exit_code", None)  # of a job that was stopped by a signal and has saved where it stands
    if code is not None:
        errors.print(escape(str(error)))
        return int(code)
    for line in installable(str(error)).splitlines() or [type(error).__name__]:
        errors.print(f"[red]error[/] {escape(line)}")
    if isinstance(error, ValueError) or getattr(error, "errno", None) == errno.ENAMETOOLONG:
        return 2
    if not isinstance(error, (RuntimeError, OSError)) and not stopped:
        errors.print(f"{type(error).__name__}: this should not happen; ARRAYSE_DEBUG=1 shows where")
    return 1
