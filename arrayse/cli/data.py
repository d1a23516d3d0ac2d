"""Commands about arrays and datasets: array show, simulate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import Arguments, app, console, expanded, split_arguments

SHOWN_SHARDS = 3
"""Of those that are not there: an interruption leaves out hundreds."""

array_app = typer.Typer(no_args_is_help=True, help="Look at microphone arrays.")
app.add_typer(array_app, name="array")


@array_app.command()
def show(
    arguments: Annotated[
        list[str],
        typer.Argument(help="A named array or a YAML file; out=FILE.png, sample_rate=HZ.", metavar="ARRAY|KEY=VALUE"),
    ],
) -> None:
    """Draw an array: layout, aliasing frequency, delay-and-sum and superdirective beampatterns.

    `arrayse array show my_glasses.yaml out=my_glasses.png`

    A file has `positions: [[x, y, z], …]` in metres (x to the front, y to the left, z up), one for each channel of the
    recordings, and `ref_mic`, the channel at which speech is to be estimated. Named arrays: circular, compact_diamond,
    linear, phone2, phone3, earbuds, glasses, my_array.
    """
    from arrayse.config import find_config, read_array, read_config
    from arrayse.geometry import SPEED_OF_SOUND
    from arrayse.report.array_figure import draw_array

    names, overrides = split_arguments(arguments)
    if len(names) != 1:
        raise ValueError(f"array: expected one YAML file or named array, got {len(names)}")
    path = find_config(names[0], "array", "a YAML file with positions and ref_mic, or a named array")
    geometry, values = read_array(names[0]), read_config("array_show", overrides)
    out = Path(values["out"] or f"{path.stem}.png")
    if out.suffix != ".png":
        raise ValueError(f"out: expected a name ending in .png, got {out}")
    draw_array(geometry, out, values["sample_rate"])
    console.print(f"{escape(geometry.name)}: {geometry.n_mics} microphones, aperture {1e3 * geometry.aperture:.1f} mm")
    if geometry.n_mics > 1:
        widest_hz = SPEED_OF_SOUND / (2 * geometry.aperture)
        console.print(
            f"spatial aliasing: from {widest_hz:.0f} Hz for the farthest pair, "
            f"from {geometry.aliasing_hz:.0f} Hz for the closest, each along its own axis",
            soft_wrap=True,
        )
    for file in _passed_over(names[0], path):
        told = f"{path.stem} is the named array; the file {file} that lies here is drawn by arrayse array show ./{file}"
        console.print(escape(told), highlight=False, soft_wrap=True)
    console.print(f"picture: {escape(str(out))}")


def _passed_over(name: str, path: Path) -> list[Path]:
    """Files here that people may have meant by a name, where it means the named config at ``path``."""
    from arrayse.config import config_root

    files = (Path(name), Path(f"{name}.yaml")) if path.is_relative_to(config_root()) else ()
    return [file for file in files if file.is_file() and not file.samefile(path)]


@app.command()
def simulate(arguments: Arguments) -> None:
    """Simulate a dataset: rooms, a talker, interferers, diffuse and sensor noise at your array.

    `arrayse simulate office array=mine.yaml speech=~/speech noise=~/noise out=data/mine preview=8`

    `arrayse simulate office array=mine.yaml speech=~/speech noise=~/noise out=data/mine`

    With `preview=8` it simulates nothing but a page about the first scenes: look at that before a long run.

    A corpus is `builtin` (synthetic, the default), a folder of 16 kHz mono files (one folder per speaker), or a folder
    with a MANIFEST.csv. Named configs: office, quickstart; to be merged after it: babble, wind, walking, octaves,
    real_device, faults, head. For a first look: `'n_scenes={train: 200, valid: 20, test: 20}'`.
    Started again, the same command goes on where it stopped.
    """
    from arrayse.cluster import one_thread_each

    with one_thread_each():  # scenes are small: threads of numpy would only stand in each other's way
        from arrayse.config import read_config
        from arrayse.ui import count_bar
        from arrayse.verbs.common import teller
        from arrayse.verbs.data import run_simulate

    values = read_config("simulate", arguments)
    with count_bar(console, "scenes") as progress, count_bar(console, "corpus files", transient=True) as opening:
        out = run_simulate(values, progress, teller(console), opening)
    if out.suffix == ".html" and out.is_file():
        then = "the same command without preview= simulates the dataset"
        console.print(f"preview: {escape(str(out))}  ({then})", soft_wrap=True)
    else:
        console.print(f"dataset: {escape(str(out))}")


@app.command()
def verify(
    dataset: Annotated[Path, typer.Argument(help="Folder that simulate wrote.", callback=expanded)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Processes; else one for each core.", metavar="workers=N")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make again what is broken or missing.")] = False,
) -> None:
    """Check a dataset: every file, its SHA-256, its SNR; print its statistics.

    `arrayse verify data/office --repair`

    `--repair` makes broken shards again, byte for byte on the same type of machine. Exit code 1: something is wrong and
    was not repaired.
    """
    from arrayse.config import read_config
    from arrayse.ui import count_bar
    from arrayse.verbs.data import run_verify
    from simulate.verify import NO_SHARD

    workers = read_config("verify", overrides or [])["workers"]
    with count_bar(console, "scenes") as progress:
        problems, lines = run_verify(dataset, workers, repair, progress)
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
    missing = [problem for problem in problems if problem.endswith(NO_SHARD)]
    hidden = {*missing[SHOWN_SHARDS:]}
    shown = [problem for problem in problems if problem not in hidden]
    for problem in shown:
        console.print(f"[red]bad[/]  {escape(problem)}", highlight=False, soft_wrap=True)
    if n_more := len(problems) - len(shown):
        console.print(f"[red]bad[/]  … and {n_more} more shards, up to {escape(missing[-1])}", soft_wrap=True)
    if problems:
        console.print(f"{len(problems)} problems: --repair makes these shards again")
        if missing:
            hint = "if it was interrupted, the same simulate command goes on"
            console.print(f"{len(missing)} of them are shards that are not there: {hint}", soft_wrap=True)
        raise typer.Exit(1)
    console.print(f"[green]ok[/]   {escape(str(dataset))}", soft_wrap=True)
