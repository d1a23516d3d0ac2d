"""The table of what networks cost as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrayse.profile.cost import SECONDS, TIMED_MACS, Profile, Timing
from arrayse.provenance import installed
from arrayse.report import markdown
from arrayse.report.text import MISSING, count

if TYPE_CHECKING:
    from rich.console import Console

HEADER = ("Network", "Params", "MACs/s", "Causal", "Latency (ms)", "Real-time factor", "Mics")
COLUMNS = (
    *("network", "params", "macs_per_second", "causal", "latency_ms"),
    *("real_time_factor", "seconds_timed", "mics"),
)
WHOLE = "utterance"


def markdown_costs(profiles: list[Profile], values: dict[str, Any]) -> str:
    """The table and below it what was counted and how.

    Args:
        profiles: a row each.
        values: ``seconds`` of audio that were to be timed, and ``repeats``: how often.
    """
    rows = [[profile.name.replace("|", r"\|"), *cells(profile, values["seconds"])] for profile in profiles]
    return "\n\n".join([markdown.table(HEADER, rows), *notes(profiles, values["seconds"], values["repeats"])]) + "\n"


def csv_costs(profiles: list[Profile]) -> str:
    """The numbers unrounded; what there is not is an empty field, microphones are apart by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for profile in profiles:
        cost, timing = profile.cost, profile.timing
        timed = (None, None) if timing is None else (timing.real_time_factor, timing.seconds)
        mics = " ".join(map(str, cost.mics))
        about = (profile.name, cost.parameters, cost.macs_per_second, str(cost.causal).lower(), cost.latency_ms)
        writer.writerow((*about, *timed, mics))
    return text.getvalue()


def print_costs(profiles: list[Profile], values: dict[str, Any], console: Console) -> None:
    """Prints what :func:`markdown_costs` gives."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(HEADER[0], overflow="fold", min_width=min(max(len(profile.name) for profile in profiles), 24))
    for title in HEADER[1:]:
        table.add_column(title.replace(" ", "\n"), justify="right", no_wrap=title != "Mics")
    for profile in profiles:
        table.add_row(Text(profile.name), *cells(profile, values["seconds"]))
    console.print(table)
    for note in notes(profiles, values["seconds"], values["repeats"]):
        console.print(Text(note, style="dim"))


def cells(profile: Profile, seconds: float) -> list[str]:
    """The row of a network after its name; the length of the timed audio stands by where it is not ``seconds``."""
    cost = profile.cost
    latency = WHOLE if cost.latency_ms is None else f"{cost.latency_ms:.3g}"
    return [
        count(cost.parameters),
        count(cost.macs_per_second),
        "yes" if cost.causal else "no",
        latency,
        _factor(profile.timing, seconds),
        _ranges(cost.mics),
    ]


def notes(profiles: list[Profile], seconds: float, repeats: int) -> list[str]:
    """What stands below the table."""
    lines = [
        f"MACs/s: multiply-accumulates of the network per second of audio, over an utterance of {SECONDS:g} s; "
        f"transforms not included. Latency: algorithmic; {WHOLE}: the network needs the whole of it."
    ]
    timings = [profile.timing for profile in profiles if profile.timing is not None]
    if timings:
        times = "1 pass" if repeats == 1 else f"median of {repeats} passes"
        line = f"Real-time factor: wall time to compute / length of the audio; one thread, {times} over {seconds:g} s"
        if any(_is_shorter(timing, seconds) for timing in timings):
            line += f", or over the length in brackets, which takes {count(TIMED_MACS)} MACs"
        lines.append(f"{line}; {machine()}.")
    return lines


def machine() -> str:
    """What timings depend on beside the network: torch, and the CPU where the system tells its name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return ", ".join([f"torch {installed('torch')}", *names[:1]])


def _ranges(mics: tuple[int, ...]) -> str:
    """Channels, three and more in a row as a range: ``0–2 5``."""
    rows: list[list[int]] = []
    for mic in mics:
        if rows and mic == rows[-1][-1] + 1:
            rows[-1].append(mic)
        else:
            rows.append([mic])
    return " ".join(f"{row[0]}–{row[-1]}" if len(row) > 2 else " ".join(map(str, row)) for row in rows)


def _factor(timing: Timing | None, seconds: float) -> str:
    if timing is None:
        return MISSING
    length = f" ({timing.seconds:.2g} s)" if _is_shorter(timing, seconds) else ""
    return f"{timing.real_time_factor:.2g}{length}"


def _is_shorter(timing: Timing, seconds: float) -> bool:
    return timing.seconds < 0.99 * seconds
