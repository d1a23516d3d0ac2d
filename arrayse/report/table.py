"""The table by SNR as Markdown, as CSV and in the terminal; :mod:`arrayse.report.latex` writes it for papers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from arrayse.report.results import Results, parse_results
from arrayse.report.table_text import DEFINITIONS as DEFINITIONS  # what sweeps say too
from arrayse.report.table_text import KEPT, column_titles, difference_rows, heading, kept_rows, notes, values
from arrayse.report.text import count, metric_style

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SYSTEM_COLUMNS = ("system", "kind", "params", "macs_per_second")
CELL_COLUMNS = ("metric", "snr_db", "mean", "low", "high", "n", "n_failed", "median")


def markdown_table(summary: Mapping[str, Any]) -> str:
    """For each metric a table with systems as rows and SNRs as columns, differences with p values, and gain kept.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    blocks = [f"**{_escape(heading(results))}**"]
    for metric in results.metrics:
        rows = [
            [
                _escape(system.name),
                count(system.params),
                count(system.macs_per_second),
                *values(results, system, metric),
            ]
            for system in results.systems
        ]
        header = ["System", "Params", "MACs/s", *column_titles(results)]
        blocks.append(f"{_escape(metric_style(metric).title)}\n\n{_markdown(header, rows)}")
        differences = difference_rows(results, metric, with_p=True)
        if differences:
            rows = [[_escape(f"{a} − {b}"), *map(_escape, cells)] for (a, b), cells in differences.items()]
            blocks.append(_markdown(["Paired difference", *column_titles(results)], rows))
        kept = kept_rows(results, metric)
        if kept:
            title = _escape(KEPT.format(teacher=results.gain_teacher))
            blocks.append(
                _markdown([title, *column_titles(results)], [[_escape(name), *cells] for name, cells in kept.items()])
            )
    return "\n\n".join([*blocks, *(_escape(note) for note in notes(results))]) + "\n"


def csv_table(summary: Mapping[str, Any]) -> str:
    """The table in long form, one line for each system, metric and SNR; a missing number is an empty field.

    An empty SNR stands for the mean over all of them, or for a source without SNR.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SYSTEM_COLUMNS + CELL_COLUMNS)
    for system in results.systems:
        for metric in results.metrics:
            for snr_db in results.columns:
                cell = results.cell(system.name, snr_db, metric)
                about = (system.name, system.kind, system.params, system.macs_per_second, metric, snr_db)
                writer.writerow((*about, cell.mean, cell.low, cell.high, cell.n, cell.n_failed, cell.median))
    return text.getvalue()


def print_table(summary: Mapping[str, Any], console: Console) -> None:
    """Prints one block for each metric, then what was counted and how.

    Args:
        summary: the content of an evaluation's ``summary.json``.
        console: where to print.
    """
    from rich.measure import Measurement
    from rich.text import Text

    results = parse_results(summary)
    unlimited = console.options.update(max_width=10_000)
    console.print(Text(heading(results), style="bold"))
    for metric in results.metrics:
        for make in (_terminal_table, _terminal_differences, _terminal_kept):
            table = make(results, metric, "±")
            if Measurement.get(console, unlimited, table).maximum > console.width:
                table = make(results, metric, "\n±")
            if table.row_count:
                console.print(table)
    for note in notes(results):
        console.print(Text(note, style="dim"))


def _terminal_table(results: Results, metric: str, plus_minus: str) -> Table:
    """One block; a line break in ``plus_minus`` puts the interval below the mean, for a narrow terminal."""
    from rich.text import Text

    names = [system.name for system in results.systems]
    table = _terminal(metric_style(metric).title, names, 24, ["Params", "MACs/s", *column_titles(results)])
    for system in results.systems:
        cells = [cell.replace(" ±", plus_minus) for cell in values(results, system, metric)]
        sizes = [count(system.params), count(system.macs_per_second)]
        table.add_row(Text(system.name), *sizes, *cells, style="" if system.is_model else "dim")
    return table


def _terminal_differences(results: Results, metric: str, plus_minus: str) -> Table:
    """The block of paired differences, see :func:`_terminal_table`."""
    rows = {f"{a} − {b}": cells for (a, b), cells in difference_rows(results, metric).items()}
    return _terminal_rows(f"{metric_style(metric).label}, paired", rows, results, plus_minus)


def _terminal_kept(results: Results, metric: str, plus_minus: str) -> Table:
    """The block of gain kept, see :func:`_terminal_table`."""
    title = f"{metric_style(metric).label}, gain of {results.gain_teacher} kept"
    return _terminal_rows(title, kept_rows(results, metric), results, plus_minus)


def _terminal_rows(title: str, rows: Mapping[str, Sequence[str]], results: Results, plus_minus: str) -> Table:
    from rich.text import Text

    table = _terminal(title, list(rows), 32, column_titles(results))
    for name, cells in rows.items():
        table.add_row(Text(name), *(cell.replace(" ±", plus_minus) for cell in cells))
    return table


def _terminal(title: str, names: Sequence[str], width: int, columns: Sequence[str]) -> Table:
    """An empty table whose first column leaves ``width`` letters to names that need them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max(map(len, names), default=1)
    table.add_column(Text(title), overflow="fold", min_width=min(longest, width))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table cell."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", plain)
