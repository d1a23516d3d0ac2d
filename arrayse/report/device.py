"""What a network costs on a device, as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

from arrayse.profile.device import ALONE, INT8, ONNX, TORCH, DeviceProfile
from arrayse.profile.frame_times import FrameTimes, clock
from arrayse.provenance import installed
from arrayse.report import markdown
from arrayse.report.costs import machine
from arrayse.report.text import MISSING, count, factor, milliseconds, percent
from arrayse.sizes import bytes_in_words

if TYPE_CHECKING:
    from rich.console import Console

HEADER = (
    "One block",
    "Weights",
    "p50 (ms)",
    "p95 (ms)",
    "p99 (ms)",
    "Real-time factor",
    "p99 / budget",
    "Against torch",
)
COLUMNS = ("system", "weight_bytes", "p50_ms", "p95_ms", "p99_ms", "real_time_factor", "budget_ms", "speed_up")


def markdown_device(profile: DeviceProfile) -> str:
    """Size and latency, the table of times, and what they mean."""
    return "\n\n".join([facts(profile), markdown.table(HEADER, rows(profile)), *notes(profile)]) + "\n"


def csv_device(profile: DeviceProfile) -> str:
    """The times unrounded; what there is not is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for system, times in profile.times.items():
        percentiles = (times.median_ms, times.p95_ms, times.p99_ms)
        ends = (times.real_time_factor, times.budget_ms, _speed_up(profile, times))
        writer.writerow((system, profile.weight_bytes.get(system), *percentiles, *ends))
    return text.getvalue()


def print_device(profile: DeviceProfile, console: Console) -> None:
    """Prints what :func:`markdown_device` gives."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console.print(Text(facts(profile)))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(HEADER[0], overflow="fold", min_width=min(max(map(len, profile.times)), 24))
    for title in HEADER[1:]:
        table.add_column(title.replace(" ", "\n"), justify="right", no_wrap=True)
    for name, *cells in rows(profile):
        table.add_row(Text(name), *cells)
    console.print(table)
    for note in notes(profile):
        console.print(Text(note, style="dim"))


def facts(profile: DeviceProfile) -> str:
    """Everything that no clock says."""
    sizes = [f"{bytes_in_words(profile.weight_bytes[TORCH])} of weights in 32 bits"]
    if INT8 in profile.weight_bytes:
        sizes.append(f"{bytes_in_words(profile.weight_bytes[INT8])} in 8")
    return (
        f"{profile.name}: {count(profile.cost.parameters)} parameters, {', '.join(sizes)}, "
        f"{bytes_in_words(profile.state_bytes)} of states, {count(profile.cost.macs_per_second)} MACs/s, "
        f"{len(profile.cost.mics)} microphones, a block every {profile.budget_ms:g} ms, "
        f"latency {profile.cost.latency_ms:g} ms."
    )


def rows(profile: DeviceProfile) -> list[list[str]]:
    """A row for every system."""
    return [
        [
            system,
            bytes_in_words(profile.weight_bytes[system]) if system in profile.weight_bytes else MISSING,
            *map(milliseconds, (times.median_ms, times.p95_ms, times.p99_ms)),
            factor(times.real_time_factor),
            percent(times.p99_ms / times.budget_ms),
            f"{_speed_up(profile, times):.2g}×",
        ]
        for system, times in profile.times.items()
    ]


def notes(profile: DeviceProfile) -> list[str]:
    """What the times mean, how they were taken, and what is missing."""
    best = next(name for name in (INT8, ONNX, TORCH) if name in profile.times)
    lines = [_meaning(best, profile.times[best])]
    if profile.overhead is not None:
        lines.append(f"Transform, states and overlap-add take {percent(profile.overhead)} of the time of {INT8}.")
    load = "" if profile.load is None else f", load {profile.load:.1f} on {os.cpu_count()} cores"
    alone = f" {ALONE}: without transform and overlap-add." if ALONE in profile.times else ""
    lines.append(
        f"Times: {clock()[0]} of whole steps with transform, states and overlap-add, one thread, "
        f"{profile.n_blocks} blocks of noise each, in turn{load}. "
        f"Real-time factor: median over length of a block.{alone} "
        f"{machine()}, onnxruntime {installed('onnxruntime') or 'absent'}."
    )
    return [*lines, *(f"{system}: not measured: {reason}" for system, reason in profile.missing.items())]


def _meaning(system: str, times: FrameTimes) -> str:
    """In words: how much of a core, and how much slower it may be."""
    budget = f"of the {times.budget_ms:g} ms that there are for a block"
    if times.median_ms > times.budget_ms:
        return f"{system} takes {times.median_ms:.3g} ms {budget}: it does not keep up."
    room = f"a core {times.budget_ms / times.median_ms:.2g} times slower would just keep up"
    late = "" if times.p99_ms <= times.budget_ms else "; one block in a hundred came too late here"
    share = f"{percent(times.real_time_factor)} of one core"
    return f"{system} takes {times.median_ms:.3g} ms {budget}, {share}: {room}{late}."


def _speed_up(profile: DeviceProfile, times: FrameTimes) -> float:
    return profile.times[TORCH].median_ms / times.median_ms
