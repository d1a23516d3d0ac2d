"""Commands about what runs on a device: enhance, profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import app, console, expanded, split_arguments


@app.command()
def enhance(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained network.", callback=expanded)],
    source: Annotated[
        Path,
        typer.Argument(
            help="Recording of any length: all channels of the array, or only those that the network hears.",
            callback=expanded,
        ),
    ],
    destination: Annotated[
        Path,
        typer.Argument(help="Where the enhanced speech goes (.wav or .flac, one channel, 16 bits).", callback=expanded),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="gain_db=-3 lowers the result by 3 dB.", metavar="gain_db=DB")
    ] = None,
) -> None:
    """Enhance a recording.

    `arrayse enhance runs/student in.wav out.wav`
    """
    from arrayse.config import read_config
    from arrayse.verbs.device import run_enhance

    run_enhance(run, source, destination, read_config("enhance", overrides or [])["gain_db"])
    console.print(f"enhanced: {escape(str(destination))}")


@app.command()
def profile(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Named configs, YAML files, run folders (none: all of configs/model); seconds=, repeats=, rtf=false, "
            "array=, out=FOLDER or FILE.md or FILE.csv; device=true, onnx=FILE; model.KEY=, mics= and the like change "
            "the networks of configs.",
            metavar="NAME|RUN|KEY=VALUE",
        ),
    ] = None,
) -> None:
    """Tell what networks cost: parameters, multiply-accumulates, latency, real-time factor on one core.

    `arrayse profile tesch metzger model.freq_hidden=88 model.time_hidden=40 'mics=[0,1]'`

    `arrayse profile runs/student device=true  # times of one block by torch and ONNX, memory`

    Without names it is the table of all named networks, in a few minutes; `rtf=false` does not time them. With
    `device=true` `onnx=FILE` times a file of `arrayse export` too.
    """
    from arrayse.config import ConfigError, read_config
    from arrayse.report.costs import print_costs
    from arrayse.report.device import print_device
    from arrayse.ui import count_bar
    from arrayse.verbs.profile import run_device_profile, run_profile, split_keys

    names, overrides = split_arguments(arguments or [])
    of_networks, others = split_keys(overrides)
    values = read_config("profile", others)
    if values["onnx"] is not None and not values["device"]:
        raise ConfigError("onnx: expected it with device=true, got it without")
    if values["device"]:
        measured, paths = run_device_profile(values, names, of_networks)
        print_device(measured, console)
        for path in paths:
            console.print(f"table: {escape(str(path))}")
        return
    with count_bar(console, "networks", transient=True) as progress:
        profiles, paths = run_profile(values, names, of_networks, progress)
    print_costs(profiles, values, console)
    for path in paths:
        console.print(f"table: {escape(str(path))}")
