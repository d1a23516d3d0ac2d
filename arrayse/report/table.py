"""The table by SNR as Markdown, as CSV and in the terminal; :mod:`arrayse.report.latex` writes it for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arrayse.report import markdown
from arrayse.report.headline import headline
from arrayse.report.results import Results, parse_results
from arrayse.report.table_text import (
    column_titles,
    difference_rows,
    few_scenes,
    heading,
    kept_rows,
    kept_text,
    notes,
    size_titles,
    sizes,
    values,
)
from arrayse.report.terminal import Block, fits, print_block, print_notes
from arrayse.report.text import metric_style

if TYPE_CHECKING:
    from rich.console import Console

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
            title = kept_text(results)
            title = markdown.escape(title[0].upper() + title[1:])
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
    """Prints blocks for each metric, what was counted and how, and the verdict of the page, what is best first.

    Args:
        summary: the content of an evaluation's ``summary.json``.
        console: where to print.
    """
    from rich.text import Text

    results = parse_results(summary)
    console.print(Text(heading(results), style="bold"))
    beside = all(fits(_scores(results, metric), console) for metric in results.metrics)
    if not beside and size_titles(results):
        print_block(_sizes(results), console)
    for metric in results.metrics:
        for block in (_scores(results, metric, beside), _differences(results, metric), _kept(results, metric)):
            print_block(block, console)
    notices = notes(results)
    if any(kept_rows(results, metric) for metric in results.metrics):
        notices.insert(0, f"Gain kept: {kept_text(results)}, with its 95 % interval.")
    print_notes(notices, few_scenes(results), console)
    first = headline(results)
    for line in (first.sentence, *first.verdict) if first else ():
        console.print(Text(line, style="bold"))


def _sizes(results: Results) -> Block:
    """The sizes alone, where they have no room beside the scores."""
    rows = [(system.name, sizes(results, system)) for system in results.systems]
    return Block("Sizes", size_titles(results), rows, dim=_dim(results))


def _scores(results: Results, metric: str, with_sizes: bool = True) -> Block:
    rows = [
        (system.name, [*(sizes(results, system) if with_sizes else []), *values(results, system, metric)])
        for system in results.systems
    ]
    columns = [*(size_titles(results) if with_sizes else []), *column_titles(results)]
    return Block(metric_style(metric).title, columns, rows, dim=_dim(results))


def _differences(results: Results, metric: str) -> Block:
    rows = [(f"{a} − {b}", cells) for (a, b), cells in difference_rows(results, metric).items()]
    return Block(f"{metric_style(metric).label}, paired", column_titles(results), rows)


def _kept(results: Results, metric: str) -> Block:
    title = f"{metric_style(metric).label}, gain of {results.gain_teacher} kept"
    return Block(title, column_titles(results), list(kept_rows(results, metric).items()))


def _dim(results: Results) -> frozenset[str]:
    return frozenset(system.name for system in results.systems if not system.is_model)
