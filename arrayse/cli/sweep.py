"""The command that sweeps a condition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import CONFIG_HELP, app, console, split_arguments, split_runs


@app.command()
def sweep(
    arguments: Annotated[list[str], typer.Argument(help="Run folders. " + CONFIG_HELP, metavar="CONFIG|RUN|KEY=VALUE")],
) -> None:
    """Score runs while one thing changes and all else is held: SNR, RT60, direction, interferers, faults, array.

    `arrayse sweep rt60 runs/teacher runs/student data=data/office out=runs/rt60`

    Named sweeps: snr, rt60, doa, n_interferers, position_error, gain_error, dead_mic, other_array. The first test
    scenes of the dataset are rendered again at every value, so that differences are paired. Writes sweep.json, tables
    and a figure. Started again, the same command goes on where it stopped.
    """
    from arrayse.config import ConfigError, read_config
    from arrayse.report.sweep_table import print_sweep
    from arrayse.ui import count_bar
    from arrayse.verbs.sweep import run_sweep

    names, overrides = split_arguments(arguments)
    folders, configs = split_runs(names, "sweep")
    values = read_config("sweep", [*configs, *overrides])
    folders += [Path(run) for run in values["runs"]]
    runs = {folder.resolve().name: folder for folder in folders}
    if len(runs) < len(folders):
        raise ConfigError(f"runs: expected run folders with different names, got {', '.join(map(str, folders))}")
    with count_bar(console, "scenes rendered, scored") as progress:
        summary = run_sweep(values, runs, progress)
    print_sweep(summary, console)
    made = sorted(f"{path.name}/" if path.is_dir() else path.name for path in Path(values["out"]).glob("[!.]*"))
    console.print(f"sweep: {escape(values['out'])}  ({escape(', '.join(made))})", soft_wrap=True)
