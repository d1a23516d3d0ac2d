"""The command stream: a recording block by block, or microphones and a loudspeaker live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from arrayse.cli.common import app, console, expanded, own_interrupt

if TYPE_CHECKING:
    from arrayse.stream.live import Reading

METER_WIDTH = 40
"""Characters of a level meter, from -60 to 0 dB of full scale."""


@app.command()
def stream(
    run: Annotated[
        Path, typer.Argument(help="Run folder of a causal network, or a file of arrayse export.", callback=expanded)
    ],
    source: Annotated[str, typer.Argument(help="Recording of any length, or the word live.", metavar="RECORDING|live")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Where the result goes (.wav or .flac), then block=SAMPLES gain_db=DB; for live: block= gain_db= "
            "input=DEVICE output=DEVICE (name or number; devices=true lists them) seconds=.",
            metavar="DESTINATION|KEY=VALUE",
        ),
    ] = None,
) -> None:
    """Enhance block by block, as a device does: a recording that fits into no memory, or live sound.

    `arrayse stream runs/student in.wav out.wav                     # the result of enhance`

    `arrayse stream student.onnx in.wav out.wav                     # by ONNX Runtime (extra export)`

    `arrayse stream runs/student live devices=true                  # the sound devices (extra live)`

    `arrayse stream runs/student live input=UMA output=Headphones   # until Ctrl-C`

    Of a recording it tells latency and real-time factor (wall time), of live sound levels, load and dropped blocks.
    """
    from arrayse.profile.cost import one_thread

    given = arguments or []
    with one_thread():  # of torch; networks this small are slower on several
        if source == "live":
            _live(run, given)
        elif not given:
            raise ValueError(f"destination: expected a name for the result, got none: arrayse stream {run} {source} …")
        else:
            _file(run, expanded(Path(source)), expanded(Path(given[0])), given[1:])


def _file(run: Path, source: Path, destination: Path, overrides: list[str]) -> None:
    from arrayse.config import read_config
    from arrayse.ui import count_bar
    from arrayse.verbs.stream import open_backend, stream_file

    values = read_config("stream", overrides)
    backend = open_backend(run, values["backend"])
    with count_bar(console, "seconds", transient=True) as progress:
        done = stream_file(backend, source, destination, values, progress)
    console.print(
        f"real-time factor {done.real_time_factor:.3g} (wall time, one thread), "
        f"blocks of {done.block_samples} samples, latency {done.latency_ms:g} ms (taken off), "
        f"{done.n_muted_blocks} muted blocks",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"enhanced: {escape(str(destination))}", soft_wrap=True)


def _live(run: Path, overrides: list[str]) -> None:
    from arrayse.config import read_config
    from arrayse.stream.live import load_sound
    from arrayse.verbs.stream import make_live, open_backend

    values = read_config("stream_live", overrides)
    sound = load_sound()
    if values["devices"]:
        _print_devices(sound)
        return
    live = make_live(open_backend(run, values["backend"]), sound, values)
    latency_ms = 1e3 * live.streamer.latency_samples / live.streamer.backend.sample_rate
    console.print(
        f"{live.channels[0]} channels of {escape(live.source.name)} → {escape(live.sink.name)}, blocks of "
        f"{live.streamer.multiple} samples, latency {latency_ms:g} ms and that of the devices; Ctrl-C ends it",
        highlight=False,
        soft_wrap=True,
    )
    with own_interrupt(), Live(console=console, transient=True, auto_refresh=False) as display:
        last = live.run(lambda reading: display.update(_meters(reading), refresh=True))
    if live.device_latency:
        taken, given = (1e3 * seconds for seconds in live.device_latency)
        console.print(f"latency of the devices, as they say: {taken:.0f} ms in, {given:.0f} ms out", highlight=False)
    console.print(f"{last.seconds:.1f} s, {_counts(last)}", highlight=False, soft_wrap=True)


def _print_devices(sound: Any) -> None:
    from arrayse.stream.live import list_devices

    table = Table("number", "device", "inputs", "outputs", box=None, pad_edge=False)
    for device in list_devices(sound):
        table.add_row(str(device.index), escape(device.name), str(device.n_inputs), str(device.n_outputs))
    console.print(table)


def _meters(reading: Reading) -> Table:
    """Levels as bars, load and counts below."""
    from arrayse.stream.live import SILENCE_DB

    table = Table.grid(padding=(0, 1))
    for name, level in (("input", reading.input_dbfs), ("output", reading.output_dbfs)):
        filled = round(METER_WIDTH * min(max(1 + level / 60, 0), 1))
        told = f"{level:5.1f} dBFS" if level > SILENCE_DB else "silent"
        table.add_row(name, "█" * filled + "·" * (METER_WIDTH - filled), told)
    table.add_row("", _counts(reading), "")
    return table


def _counts(reading: Reading) -> str:
    return (
        f"load {reading.load:.0%} (worst block {reading.worst_load:.0%}), "
        f"{reading.n_dropped_blocks} dropped blocks, {reading.n_muted_blocks} muted"
    )
