"""The command export: networks as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrayse.cli.common import app, console, expanded


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a causal network.", callback=expanded)],
    out: Annotated[Path, typer.Argument(help="The file (.onnx).", callback=expanded)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="form=frame (a spectrum in and out; the host transforms) or wave (samples in and out); int8=true; "
            "data=DATASET n_scenes=N score int8 against float on test scenes.",
            metavar="KEY=VALUE",
        ),
    ] = None,
) -> None:
    """Write a network as an ONNX file: one step of a stream with its states (extra `export`).

    `arrayse export runs/student student.onnx`

    `arrayse export runs/student student.onnx int8=true data=data/office  # what int8 costs`

    `arrayse export runs/student student.onnx form=wave                   # with transforms`

    `arrayse stream student.onnx in.wav out.wav                           # runs it`
    """
    from arrayse.config import read_config
    from arrayse.ui import count_bar
    from arrayse.verbs.common import teller
    from arrayse.verbs.export import run_export

    values = read_config("export", overrides or [])
    with count_bar(console, "scenes", transient=True) as progress:
        run_export(run, out, values, progress, teller(console))
