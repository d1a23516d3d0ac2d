"""The numbers of a robustness sweep as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arrayse.report import markdown
from arrayse.report.table_text import DEFINITIONS
from arrayse.report.text import metric_style, number, with_spread

if TYPE_CHECKING:
    from rich.console import Console

Summary = Mapping[str, Any]
"""The content of ``sweep.json``."""

NUMBERS = ("mean", "low", "high", "n", "n_failed", "n_seeds")
DIFFERENCES = {"to_reference": "the reference value", "to_baseline": "the baseline"}


def sweep_markdown(summary: Summary) -> str:
    """One Markdown table for each metric: systems as rows, values as columns, paired differences below.

    Args:
        summary: the content of ``sweep.json``.
    """
    blocks = [f"**{markdown.escape(heading(summary))}**"]
    for metric in summary["metrics"]:
        for title, lines in _tables(summary, metric):
            header, *rows = [list(map(markdown.escape, line)) for line in ([title, *summary["values"]], *lines)]
            blocks.append(markdown.table(header, rows))
    return "\n\n".join([*blocks, *map(markdown.escape, notes(summary))]) + "\n"


def sweep_csv(summary: Summary) -> str:
    """One line for each metric, system and value; a missing number is an empty field.

    Args:
        summary: the content of ``sweep.json``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = [f"{key}_{name}" for key in DIFFERENCES for name in NUMBERS[:4]]
    writer.writerow(("condition", "system", "value", "metric", *NUMBERS, *keys))
    for row in summary["rows"]:
        cells = [(row[key] or {}).get(name) for key in DIFFERENCES for name in NUMBERS[:4]]
        own = (row["system"], row["value"], row["metric"], *(row[name] for name in NUMBERS))
        writer.writerow((summary["condition"], *own, *cells))
    return text.getvalue()


def print_sweep(summary: Summary, console: Console) -> None:
    """Prints the means, a block for each metric, in two lines a cell where the terminal is narrow.

    Args:
        summary: the content of ``sweep.json``.
        console: where to print.
    """
    from rich.box import SIMPLE_HEAD
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    unlimited = console.options.update(max_width=10_000)
    console.print(Text(heading(summary), style="bold"))
    for metric in summary["metrics"]:
        title, lines = _tables(summary, metric)[0]
        for plus_minus in (" ±", "\n±"):
            table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
            table.add_column(Text(title), overflow="fold")
            for value in summary["values"]:
                table.add_column(Text(value), justify="right", no_wrap=True)
            for line in lines:
                table.add_row(Text(line[0]), *(cell.replace(" ±", plus_minus) for cell in line[1:]))
            if Measurement.get(console, unlimited, table).maximum <= console.width:
                break
        console.print(table)
    for note in notes(summary):
        console.print(Text(note, style="dim"))


def heading(summary: Summary) -> str:
    """What was swept on what, in one line."""
    at = "" if summary["snr_db"] is None else f", SNR {number(summary['snr_db'], 0)} dB"
    return f"{summary['title']}{at}: {summary['label']}, mean ± half of the 95 % interval"


def notes(summary: Summary) -> list[str]:
    """What stands below every table."""
    failed = sum(row["n_failed"] for row in summary["rows"])
    paired = summary["n_paired"]
    alone = (
        "" if paired == summary["n_scenes"] else f" (in {summary['n_scenes'] - paired} scenes some place had to move)"
    )
    return [
        f"{summary['n_scenes']} scenes ({summary['split']}) at every value. Held: {summary['held']}{alone}",
        f"Differences are paired by scene{' and seed' if any(s['n_seeds'] for s in summary['systems']) else ''}. "
        f"Failed scores, not in the means: {failed or 'none'}.",
        DEFINITIONS,
    ]


def _tables(summary: Summary, metric: str) -> list[tuple[str, list[list[str]]]]:
    """Title and lines of the means, and of each kind of difference that there is."""
    style = metric_style(metric)
    rows = {(row["system"], row["value"]): row for row in summary["rows"] if row["metric"] == metric}
    systems = [system["name"] for system in summary["systems"]]
    found = [(style.title, [[s, *(_cell(rows[s, v], style.digits) for v in summary["values"])] for s in systems])]
    for key in DIFFERENCES:
        if any(row[key] for row in rows.values()):
            other = summary["reference"] if key == "to_reference" else summary["baseline"]
            lines = [[s, *(_cell(rows[s, v][key], style.digits, True) for v in summary["values"])] for s in systems]
            lines = [line for line in lines if set(line[1:]) != {"–"}]
            found.append((f"{style.label}, paired difference to {other}", lines))
    return found


def _cell(row: Mapping[str, Any] | None, digits: int, signed: bool = False) -> str:
    if row is None:
        return "–"
    spread = None if row["low"] is None or row["n"] < 2 else (row["high"] - row["low"]) / 2
    mark = "†" if row["n_failed"] and not signed else ""
    return with_spread(row["mean"], spread, digits, signed) + mark
