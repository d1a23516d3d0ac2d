"""Commands about arrayse itself: quickstart, keys, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import app, console


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
    from rich.table import Column, Table

    from arrayse.config.keys import list_keys
    from arrayse.schema import SCHEMAS

    if verb not in SCHEMAS:
        raise ValueError(f"verb: expected one of {', '.join(SCHEMAS)}, got {verb}")
    rows = list(list_keys(SCHEMAS[verb]))
    key = Column("key", no_wrap=True, min_width=max(len(row[0]) for row in rows))
    table = Table(key, "default", "may be", box=None, pad_edge=False)
    for row in rows:
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


@app.command()
def benchmark(
    what: Annotated[str, typer.Argument(help="simulator, distillation, metrics or evaluation.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="simulator: speech=, noise=; distillation, evaluation: data=; all: repeats=, out=TABLE.md",
            metavar="[KEY=VALUE]...",
        ),
    ] = None,
) -> None:
    """Measure speed as ratios, side by side in one process with one thread.

    `arrayse benchmark simulator speech=~/speech noise=~/noise out=table.md`

    `arrayse benchmark distillation data=data/office`: teacher live or its outputs from disk

    `arrayse benchmark evaluation data=data/office`: utterances per second with one process and with two

    `arrayse benchmark metrics`: STOI and ESTOI beside pystoi (extra `dev`)
    """
    from arrayse.benchmark.distillation import benchmark_distillation
    from arrayse.benchmark.evaluation import benchmark_evaluation
    from arrayse.benchmark.metrics import benchmark_metrics
    from arrayse.benchmark.simulator import benchmark_simulator
    from arrayse.config import read_config
    from arrayse.files import write_text

    benchmarks = {
        "simulator": benchmark_simulator,
        "distillation": benchmark_distillation,
        "metrics": benchmark_metrics,
        "evaluation": benchmark_evaluation,
    }
    if what not in benchmarks:
        raise ValueError(f"benchmark: expected one of {', '.join(benchmarks)}, got {what}")
    values = read_config("benchmark", overrides or [])
    table = benchmarks[what](values, lambda text: console.print(escape(text), highlight=False, soft_wrap=True))
    if values["out"]:
        write_text(Path(values["out"]), table)
        console.print(f"table: {escape(values['out'])}")
