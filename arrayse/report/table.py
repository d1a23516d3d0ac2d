"""The table by SNR as Markdown, as CSV and in the terminal; :mod:`arrayse.report.latex` writes it for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from arrayse.report import markdown
from arrayse.report.results import Results, parse_results
from arrayse.report.table_text import (
    KEPT,
    column_titles,
    difference_rows,
    heading,
    kept_rows,
    notes,
    size_titles,
    sizes,
    values,
)
from arrayse.report.text import metric_style

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLUMNS = (
    *("system", "kind", "params", "macs_per_second", "metric", "snr_db"),
    *("mean", "low", "high", "n", "n_failed", "median", "n_mics"),
)
"""Of the CSV; new ones come last, so that who reads by place reads on."""


def markdown_table(summary: Mapping[str, Any]) -> str:
    """For each metric a table with systems as rows and SNRs as columns, differences with p values, and gain kept.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    blocks = [f"**{markdown.escape(heading(results))}**"]
    columns = column_titles(results)
    for metric in results.metrics:
        rows = [[markdown.escape(s.name), *sizes(results, s), *values(results, s, metric)] for s in results.systems]
        scores = markdown.table(["System", *size_titles(results), *columns], rows)
        blocks.append(f"{markdown.escape(metric_style(metric).title)}\n\n{scores}")
        differences = difference_rows(results, metric, with_p=True)
        if differences:
            rows = [[f"{system} − {other}", *cells] for (system, other), cells in differences.items()]
            rows = [list(map(markdown.escape, row)) for row in rows]
            blocks.append(markdown.table(["Paired difference", *columns], rows))
        kept = kept_rows(results, metric)
        if kept:
            title = markdown.escape(KEPT.format(teacher=results.gain_teacher))
            rows = [[markdown.escape(name), *cells] for name, cells in kept.items()]
            blocks.append(markdown.table([title, *columns], rows))
    return "\n\n".join([*blocks, *map(markdown.escape, notes(results))]) + "\n"


def csv_table(summary: Mapping[str, Any]) -> str:
    """The table in long form, one line for each system, metric and SNR; a missing number is an empty field.

    An empty SNR stands for the mean over all of them, or for a source without SNR.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for system in results.systems:
        for metric in results.metrics:
            for snr_db in results.columns:
                cell = results.cell(system.name, snr_db, metric)
                about = (system.name, system.kind, system.params, system.macs_per_second, metric, snr_db)
                numbers = (cell.mean, cell.low, cell.high, cell.n, cell.n_failed, cell.median)
                writer.writerow((*about, *numbers, system.n_mics))
    return text.getvalue()


def print_table(summary: Mapping[str, Any], console: Console) -> None:
    """Prints one block for each metric, then what was counted and how; no column is cut off on a narrow terminal.

    Args:
        summary: the content of an evaluation's ``summary.json``.
        console: where to print.
    """
    from rich.measure import Measurement
    from rich.text import Text

    results = parse_results(summary)
    unlimited = console.options.update(max_width=10_000)

    def fits(table: Table) -> bool:
        return Measurement.get(console, unlimited, table).maximum <= console.width

    console.print(Text(heading(results), style="bold"))
    apart = not all(fits(_terminal_table(results, metric, "\n±")) for metric in results.metrics)
    if apart and size_titles(results):
        console.print(_terminal_sizes(results))
    for metric in results.metrics:
        for make in (partial(_terminal_table, with_sizes=not apart), _terminal_differences, _terminal_kept):
            table = make(results, metric, "±")
            if not fits(table):
                table = make(results, metric, "\n±")
            if table.row_count:
                console.print(table)
    for note in notes(results):
        console.print(Text(note, style="dim"))


def _terminal_sizes(results: Results) -> Table:
    """The sizes alone, where they have no room beside the scores."""
    from rich.text import Text

    table = _terminal("Sizes", [system.name for system in results.systems], 16, size_titles(results))
    for system in results.systems:
        table.add_row(Text(system.name), *sizes(results, system), style="" if system.is_model else "dim")
    return table


def _terminal_table(results: Results, metric: str, plus_minus: str, with_sizes: bool = True) -> Table:
    """One block; a line break in ``plus_minus`` puts the interval below the mean, for a narrow terminal."""
    from rich.text import Text

    names, beside = [system.name for system in results.systems], size_titles(results) if with_sizes else []
    table = _terminal(metric_style(metric).title, names, 16, [*beside, *column_titles(results)])
    for system in results.systems:
        cells = [cell.replace(" ±", plus_minus) for cell in values(results, system, metric)]
        told = sizes(results, system) if with_sizes else []
        table.add_row(Text(system.name), *told, *cells, style="" if system.is_model else "dim")
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

    table = _terminal(title, list(rows), 20, column_titles(results))
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
