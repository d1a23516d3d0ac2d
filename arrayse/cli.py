"""The command line: verbs, help, and errors that people can act on (exit code 2, one line each)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from arrayse import __version__

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
array_app = typer.Typer(no_args_is_help=True, help="Look at microphone arrays.")
app.add_typer(array_app, name="array")
console = Console()

CONFIG_HELP = "YAML files or named configs, merged left to right, and key=value overrides, which win; see arrayse keys."
Arguments = Annotated[list[str], typer.Argument(help=CONFIG_HELP, metavar="[CONFIG|KEY=VALUE]...")]


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


@app.command()
def simulate(arguments: Arguments) -> None:
    """Simulate a dataset: rooms, a talker, interferers, diffuse and sensor noise at your array.

    `arrayse simulate office array=circular speech=~/speech noise=~/noise out=data/office`

    A corpus is `builtin`, a folder of 16 kHz mono files (one folder per speaker), or a folder with a MANIFEST.csv.
    Started again, the same command goes on where it stopped.
    """
    from arrayse.config import read_config
    from arrayse.ui import count_bar
    from arrayse.verbs import run_simulate

    values = read_config("simulate", arguments)
    with count_bar(console, "scenes") as progress:
        out = run_simulate(values, progress, lambda text: console.print(escape(text), highlight=False, soft_wrap=True))
    console.print(f"dataset: {escape(str(out))}")


@app.command()
def train(arguments: Arguments) -> None:
    """Train a network on a dataset.

    `arrayse train teacher data=data/office out=runs/teacher 'mics=[0,1,2]'`

    Several processes: `torchrun --nproc-per-node 2 -m arrayse train …`. Started again, it goes on where it stopped.
    """
    _train("train", arguments)


@app.command()
def distill(arguments: Arguments) -> None:
    """Train a small student with the help of a trained teacher.

    `arrayse distill student lin_one_step teacher=runs/teacher data=data/office 'mics=[0,1]' out=runs/student`
    """
    _train("distill", arguments)


@app.command()
def evaluate(
    arguments: Annotated[
        list[str], typer.Argument(help="Run folders. " + CONFIG_HELP, metavar="RUN... [CONFIG|KEY=VALUE]...")
    ],
) -> None:
    """Score runs on a dataset over SNR, all on the same scenes; print the table.

    `arrayse evaluate runs/teacher runs/student data=data/office 'snr_db=[-5,0,5]' out=runs/evaluation`
    """
    from arrayse.config import ConfigError, find_config, read_config
    from arrayse.report.table import print_table
    from arrayse.ui import count_bar
    from arrayse.verbs import run_evaluate

    names, overrides = _split(arguments)
    folders = [Path(name).expanduser() for name in names if Path(name).expanduser().is_dir()]
    runs = {folder.resolve().name: folder for folder in folders}
    configs = [name for name in names if Path(name).expanduser() not in folders]
    for name in configs:
        try:
            find_config(name, "evaluate")
        except ConfigError as error:
            raise ConfigError(
                f"evaluate: expected a run folder or a config, got {name}: no such folder\n{error}"
            ) from None
    if not runs or len(runs) < len(folders):
        raise ConfigError(f"runs: expected run folders with different names, got {', '.join(names) or 'none'}")
    values = read_config("evaluate", [*configs, *overrides])
    with count_bar(console, "scenes") as progress:
        summary = run_evaluate(values, runs, progress)
    print_table(summary, console)
    console.print(f"evaluation: {escape(values['out'])}  (arrayse report {escape(values['out'])} makes a page of it)")


@app.command()
def enhance(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained network.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="Recording of any length: all channels of the array, or only those that the network hears."
        ),
    ],
    destination: Annotated[
        Path, typer.Argument(help="Where the enhanced speech goes (.wav or .flac, one channel, 16 bits).")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="gain_db=-3 lowers the result by 3 dB.", metavar="[gain_db=DB]")
    ] = None,
) -> None:
    """Enhance a recording.

    `arrayse enhance runs/student in.wav out.wav`
    """
    from arrayse.config import read_config
    from arrayse.verbs import run_enhance

    run_enhance(run, source, destination, read_config("enhance", overrides or [])["gain_db"])
    console.print(f"enhanced: {escape(str(destination))}")


@app.command()
def report(
    arguments: Annotated[
        list[str],
        typer.Argument(help="Folders that evaluate wrote, and out=PAGE.html.", metavar="EVALUATION... [out=FILE]"),
    ],
) -> None:
    """Make one self-contained HTML page: table, curves over SNR, players with spectrograms.

    `arrayse report runs/evaluation out=report.html`
    """
    from arrayse.config import read_config
    from arrayse.report.build import build_report

    folders, overrides = _split(arguments)
    if not folders:
        raise ValueError("evaluation: expected a folder that arrayse evaluate wrote, got none")
    out = Path(read_config("report", overrides)["out"] or Path(folders[0]) / "report.html")
    if out.suffix != ".html":
        raise ValueError(f"out: expected a name ending in .html, got {out}")
    page = build_report([Path(folder) for folder in folders], out)
    console.print(f"report: {escape(str(page))}")


@array_app.command()
def show(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="A YAML file or a named array; out=FILE.png, sample_rate=HZ.", metavar="ARRAY [KEY=VALUE]..."
        ),
    ],
) -> None:
    """Draw an array: layout, aliasing frequency, delay-and-sum and superdirective beampatterns.

    `arrayse array show glasses out=glasses.png`
    """
    from arrayse.config import read_array, read_config
    from arrayse.geometry import SPEED_OF_SOUND
    from arrayse.report.array_figure import draw_array

    names, overrides = _split(arguments)
    if len(names) != 1:
        raise ValueError(f"array: expected one YAML file or named array, got {len(names)}")
    geometry, values = read_array(names[0]), read_config("array_show", overrides)
    out = Path(values["out"] or f"{geometry.name}.png")
    if out.suffix != ".png":
        raise ValueError(f"out: expected a name ending in .png, got {out}")
    draw_array(geometry, out, values["sample_rate"])
    console.print(f"{escape(geometry.name)}: {geometry.n_mics} microphones, aperture {1e3 * geometry.aperture:.1f} mm")
    if geometry.n_mics > 1:
        widest_hz = SPEED_OF_SOUND / (2 * geometry.aperture)
        console.print(
            f"spatial aliasing: from {widest_hz:.0f} Hz for the farthest pair, "
            f"from {geometry.aliasing_hz:.0f} Hz for the closest, each along its own axis"
        )
    console.print(f"picture: {escape(str(out))}")


@app.command()
def quickstart(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="out=FOLDER (runs/quickstart).", metavar="[out=FOLDER]")
    ] = None,
) -> None:
    """The whole path on built-in synthetic speech, within ten minutes on two cores."""
    from arrayse.config import read_config
    from arrayse.quickstart import quickstart as run_quickstart

    page = run_quickstart(Path(read_config("quickstart", arguments or [])["out"]), console)
    console.print(f"report: {escape(str(page))}  (open it in a browser)")


@app.command()
def keys(
    verb: Annotated[str, typer.Argument(help="simulate, train, distill or evaluate.")],
) -> None:
    """List every key that a verb can be told, with its default and what it may be.

    `arrayse keys simulate`
    """
    from rich.table import Table

    from arrayse.keys import list_keys
    from arrayse.schema import SCHEMAS

    if verb not in SCHEMAS:
        raise ValueError(f"verb: expected one of {', '.join(SCHEMAS)}, got {verb}")
    table = Table("key", "default", "may be", box=None, pad_edge=False)
    for row in list_keys(SCHEMAS[verb]):
        table.add_row(*map(escape, row))
    console.print(table)


@app.command()
def doctor() -> None:
    """Check the installation: packages, hardware, optional extras."""
    from arrayse.doctor import examine

    findings = examine()
    marks = {True: "[green]ok[/]  ", None: "[yellow]--[/]  ", False: "[red]bad[/] "}
    for finding in findings:
        console.print(f"{marks[finding.ok]}{finding.what:<16}{escape(finding.found)}")
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Names, and key=value overrides."""
    return [a for a in arguments if "=" not in a], [a for a in arguments if "=" in a]


def _is_silent() -> bool:
    """Whether this is one of several processes, of which the first one tells. Asked before torch is imported."""
    return os.environ.get("RANK", "0") != "0"


def _train(verb: str, arguments: list[str]) -> None:
    from arrayse.config import read_config
    from arrayse.ui import training_bars
    from arrayse.verbs import run_train

    values = read_config(verb, arguments)
    target = Console(quiet=True) if _is_silent() else console
    with training_bars(target) as progress:
        run = run_train(values, progress, lambda text: target.print(escape(text)))
    target.print(f"run: {escape(str(run))}")


def main() -> None:
    """Entry point. What the user can mend ends with exit code 2, other failures with 1, a line each and no traceback.

    With ARRAYSE_DEBUG set in the environment tracebacks are shown.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ARRAYSE_DEBUG"):
            raise
        sys.exit(_explain(error, quiet=_is_silent()))


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
