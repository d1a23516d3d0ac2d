"""Commands that measure networks and show what was measured: evaluate, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import CONFIG_HELP, app, console, expanded, split_arguments, split_runs


@app.command()
def evaluate(
    arguments: Annotated[list[str], typer.Argument(help="Run folders. " + CONFIG_HELP, metavar="RUN|CONFIG|KEY=VALUE")],
) -> None:
    """Score runs over SNR, all on the same scenes, and compare them in pairs; print the table and what it says.

    `arrayse evaluate runs/teacher runs/student data=data/office 'snr_db=[-5,0,5]' out=runs/evaluation`

    `arrayse evaluate runs/student pairs=~/voicebank out=runs/public     # noisy and clean files`

    `arrayse evaluate runs/student recordings=~/field out=runs/field     # no reference`

    Pairs are FOLDER/noisy and FOLDER/clean, or named as in public test sets; recordings are rated with the extra
    `dnsmos`, else only to be heard. Runs NAME_s0, NAME_s1, … are trainings of one system. `baseline=NAME` compares all
    with one. Started again, the same command goes on where it stopped. `cluster=local` or `cluster=tcp://host:port`: on
    dask.
    """
    from arrayse.config import ConfigError, read_config
    from arrayse.doctor import installable
    from arrayse.report.table import print_table
    from arrayse.ui import count_bar
    from arrayse.verbs.common import teller
    from arrayse.verbs.results import run_evaluate

    names, overrides = split_arguments(arguments)
    folders, configs = split_runs(names, "evaluate")
    runs = {folder.resolve().name: folder for folder in folders}
    if not runs or len(runs) < len(folders):
        raise ConfigError(f"runs: expected run folders with different names, got {', '.join(names) or 'none'}")
    values = read_config("evaluate", [*configs, *overrides])
    with count_bar(console, "scenes") as progress:
        summary = run_evaluate(values, runs, progress, teller(console))
    if summary["metrics"]:
        print_table(summary, console)
    else:
        hint = installable("pip install 'arrayse[dnsmos]' lets DNSMOS rate them")
        console.print(escape(f"no scores without a reference: {hint}"))
    console.print(f"evaluation: {escape(values['out'])}  (arrayse report {escape(values['out'])} makes a page of it)")


@app.command()
def report(
    arguments: Annotated[
        list[str],
        typer.Argument(help="Folders that evaluate wrote, and out=PAGE.html.", metavar="EVALUATION|out=FILE"),
    ],
) -> None:
    """Make one self-contained HTML page: table, curves over SNR, players with spectrograms.

    `arrayse report runs/evaluation out=report.html`
    """
    from arrayse.config import read_config
    from arrayse.report.build import build_report

    names, overrides = split_arguments(arguments)
    folders = [expanded(Path(name)) for name in names]
    if not folders:
        raise ValueError("evaluation: expected a folder that arrayse evaluate wrote, got none")
    out = Path(read_config("report", overrides)["out"] or folders[0] / "report.html")
    if out.suffix != ".html":
        raise ValueError(f"out: expected a name ending in .html, got {out}")
    page = build_report(folders, out)
    console.print(f"report: {escape(str(page))}")
