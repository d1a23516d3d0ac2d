"""The numbers of a robustness sweep as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arrayse.report import markdown
from arrayse.report.cells import Cell, parse_cell
from arrayse.report.table_text import DEFINITIONS, INTERVALS, too_few
from arrayse.report.terminal import Block, print_block, print_notes
from arrayse.report.text import MISSING, metric_style, number, with_interval

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
    """Prints the means, a block for each metric.

    Args:
        summary: the content of ``sweep.json``.
        console: where to print.
    """
    from rich.text import Text

    console.print(Text(heading(summary), style="bold"))
    for metric in summary["metrics"]:
        title, lines = _tables(summary, metric)[0]
        print_block(Block(title, summary["values"], [(line[0], line[1:]) for line in lines]), console)
    print_notes(notes(summary), few_scenes(summary), console)


def heading(summary: Summary) -> str:
    """What was swept on what, in one line."""
    at = "" if summary["snr_db"] is None else f", SNR {number(summary['snr_db'], 0)} dB"
    return f"{summary['title']}{at}: {summary['label']}, mean and 95 % interval"


def few_scenes(summary: Summary) -> str:
    """A warning where intervals are far too narrow to be believed; empty where they are not."""
    return too_few(summary["n_scenes"], _scenes(summary), "intervals")


def notes(summary: Summary) -> list[str]:
    """What stands below every table."""
    failed = sum(row["n_failed"] for row in summary["rows"])
    paired = summary["n_paired"]
    alone = (
        "" if paired == summary["n_scenes"] else f" (in {summary['n_scenes'] - paired} scenes some place had to move)"
    )
    lines = [
        few_scenes(summary),
        f"{summary['n_scenes']} {_scenes(summary)} ({summary['split']}) at every value. Held: {summary['held']}{alone}",
        f"Differences are paired by scene{' and seed' if any(s['n_seeds'] for s in summary['systems']) else ''}. "
        f"Failed scores, not in the means: {failed or 'none'}.",
        INTERVALS,
        DEFINITIONS,
    ]
    return [line for line in lines if line]


def _scenes(summary: Summary) -> str:
    return "scene" if summary["n_scenes"] == 1 else "scenes"


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
            lines = [line for line in lines if set(line[1:]) != {MISSING}]
            found.append((f"{style.label}, paired difference to {other}", lines))
    return found


def _cell(row: Mapping[str, Any] | None, digits: int, signed: bool = False) -> str:
    if row is None:
        return MISSING
    mark = "†" if row["n_failed"] and not signed else ""
    return with_interval(Cell(**parse_cell(row)), digits, signed) + mark
