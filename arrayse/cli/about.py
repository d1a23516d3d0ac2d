"""Commands about arrayse itself: quickstart, doctor, benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import app, console


@app.command()
def quickstart(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Where all goes; else runs/quickstart.", metavar="out=FOLDER"),
    ] = None,
) -> None:
    """The whole path on built-in synthetic speech, within ten minutes on two cores.

    Simulates a dataset, trains a teacher and two students, one of them distilled, scores them, and writes a page
    `report.html` into the folder. Started again, it goes on where it stopped.
    """
    from arrayse.config import read_config
    from arrayse.verbs.quickstart import quickstart as run_quickstart

    page = run_quickstart(Path(read_config("quickstart", arguments or [])["out"]), console)
    console.print(f"report: {escape(str(page))}  (open it in a browser)")


@app.command()
def doctor() -> None:
    """Check the installation: packages, hardware, optional extras."""
    from arrayse.doctor import examine

    findings = examine()
    marks = {True: "[green]ok[/]  ", None: "[yellow]--[/]  ", False: "[red]bad[/] "}
    for finding in findings:
        console.print(f"{marks[finding.ok]}{finding.what:<16}{escape(finding.found)}", soft_wrap=True)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


@app.command()
def benchmark(
    what: Annotated[str, typer.Argument(help="simulator, distillation, metrics or evaluation.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="simulator: speech=, noise=; distillation, evaluation: data=; all: repeats=, out=TABLE.md",
            metavar="KEY=VALUE",
        ),
    ] = None,
) -> None:
    """Measure speed as ratios, side by side in one process with one thread.

    `arrayse benchmark simulator speech=~/speech noise=~/noise out=table.md`

    `arrayse benchmark distillation data=data/office  # teacher live or its outputs from disk`

    `arrayse benchmark evaluation data=data/office    # with one process and with two`

    `arrayse benchmark metrics                        # STOI and ESTOI beside pystoi (extra dev)`
    """
    from arrayse.benchmark.distillation import benchmark_distillation
    from arrayse.benchmark.evaluation import benchmark_evaluation
    from arrayse.benchmark.metrics import benchmark_metrics
    from arrayse.benchmark.simulator import benchmark_simulator
    from arrayse.config import read_config
    from arrayse.files import write_text
    from arrayse.verbs.common import teller

    benchmarks = {
        "simulator": benchmark_simulator,
        "distillation": benchmark_distillation,
        "metrics": benchmark_metrics,
        "evaluation": benchmark_evaluation,
    }
    if what not in benchmarks:
        raise ValueError(f"benchmark: expected one of {', '.join(benchmarks)}, got {what}")
    values = read_config("benchmark", overrides or [])
    table = benchmarks[what](values, teller(console))
    if values["out"]:
        write_text(Path(values["out"]), table)
        console.print(f"table: {escape(values['out'])}")
