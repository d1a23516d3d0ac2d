"""The table by SNR as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from arrayse.report.results import Results, System, parse_results
from arrayse.report.text import count, decibels, listing, metric_style, with_spread

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SYSTEM_COLUMNS = ("system", "kind", "params", "macs_per_second")
DEFINITIONS = (
    "Scores compare with the target stem: the talker's direct sound at the microphone, without reverberation unless "
    "the dataset has early_ms. The input SNR counts the reverberant speech as signal."
)
CELL_COLUMNS = ("metric", "snr_db", "mean", "low", "high", "n", "n_failed")


def markdown_table(summary: dict[str, Any]) -> str:
    """One Markdown table for each metric: systems as rows, SNRs as columns, what was counted and how below.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    header = ["System", "Params", "MACs/s", *(f"{decibels(snr_db)} dB" for snr_db in results.snr_db)]
    blocks = [f"**{_escape(heading(results))}**"]
    for metric in results.metrics:
        lines = [header, ["---", *["---:"] * (len(header) - 1)]]
        for system in results.systems:
            sizes = [count(system.params), count(system.macs_per_second)]
            lines.append([_escape(system.name), *sizes, *values(results, system, metric)])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"{_escape(metric_style(metric).title)}\n\n{table}")
        blocks += _markdown_differences(results, metric)
    return "\n\n".join([*blocks, *(_escape(note) for note in notes(results))]) + "\n"


def _markdown_differences(results: Results, metric: str) -> list[str]:
    """The paired differences of one metric as a block; none if there are none."""
    if not results.differences:
        return []
    head = ["Paired difference", *(f"{decibels(snr_db)} dB" for snr_db in results.snr_db)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [[_escape(f"{a} − {b}"), *cells] for (a, b), cells in difference_rows(results, metric).items()]
    return ["\n".join(f"| {' | '.join(line)} |" for line in lines)]


def csv_table(summary: dict[str, Any]) -> str:
    """The table in long form, one line for each system, metric and SNR; a missing number is an empty field.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SYSTEM_COLUMNS + CELL_COLUMNS)
    for system in results.systems:
        for metric in results.metrics:
            for snr_db in results.snr_db:
                cell = results.cell(system.name, snr_db, metric)
                about = (system.name, system.kind, system.params, system.macs_per_second, metric, snr_db)
                writer.writerow((*about, cell.mean, cell.low, cell.high, cell.n, cell.n_failed))
    return text.getvalue()


def print_table(summary: dict[str, Any], console: Console) -> None:
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
        for make in (_terminal_table, _terminal_differences) if results.differences else (_terminal_table,):
            table = make(results, metric, "±")
            if Measurement.get(console, unlimited, table).maximum > console.width:
                table = make(results, metric, "\n±")
            console.print(table)
    for note in notes(results):
        console.print(Text(note, style="dim"))


def _terminal_table(results: Results, metric: str, plus_minus: str) -> Table:
    """One block; a line break in ``plus_minus`` puts the interval below the mean, for a narrow terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max(len(system.name) for system in results.systems)
    table.add_column(Text(metric_style(metric).title), overflow="fold", min_width=min(longest, 24))
    for title in ("Params", "MACs/s", *(f"{decibels(snr_db)} dB" for snr_db in results.snr_db)):
        table.add_column(title, justify="right", no_wrap=True)
    for system in results.systems:
        cells = [cell.replace(" ±", plus_minus) for cell in values(results, system, metric)]
        sizes = [count(system.params), count(system.macs_per_second)]
        table.add_row(Text(system.name), *sizes, *cells, style="" if system.is_model else "dim")
    return table


def _terminal_differences(results: Results, metric: str, plus_minus: str) -> Table:
    """The block of paired differences, see :func:`_terminal_table`."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max(len(f"{a} − {b}") for a, b in results.differences)
    table.add_column(Text(f"{metric_style(metric).label}, paired"), overflow="fold", min_width=min(longest, 32))
    for snr_db in results.snr_db:
        table.add_column(f"{decibels(snr_db)} dB", justify="right", no_wrap=True)
    for (system, baseline), cells in difference_rows(results, metric).items():
        table.add_row(Text(f"{system} − {baseline}"), *(cell.replace(" ±", plus_minus) for cell in cells))
    return table


def difference_rows(results: Results, metric: str) -> dict[tuple[str, str], list[str]]:
    """Paired differences (system, baseline) as text, mean ± half of the 95 % interval, one entry for each SNR."""
    digits = metric_style(metric).digits
    rows = {}
    for pair, cells in results.differences.items():
        found = [cells.get((snr_db, metric)) for snr_db in results.snr_db]
        rows[pair] = ["–" if c is None else with_spread(c.mean, c.half_width, digits, signed=True) for c in found]
    return rows


def heading(results: Results) -> str:
    """What was measured on what, in one line."""
    data = " · ".join(part for part in (results.data, results.split) if part)
    return f"{results.label}{': ' if data else ''}{data}, mean ± half of the 95 % interval by input SNR"


def values(results: Results, system: System, metric: str) -> list[str]:
    """The row of one system and metric as text, one entry for each SNR; † marks failures."""
    cells = [results.cell(system.name, snr_db, metric) for snr_db in results.snr_db]
    digits = metric_style(metric).digits
    return [with_spread(cell.mean, cell.half_width, digits) + ("†" if cell.n_failed else "") for cell in cells]


def notes(results: Results) -> list[str]:
    """What stands below every table: how many were counted, which failed, what beamformers are, and what computed."""
    measured = sorted({cell.n for cell in results.cells.values()})
    n = f"{measured[0]}" if len(measured) == 1 else f"{measured[0]} to {measured[-1]}" if measured else "0"
    scenes = f"{results.n_scenes} scenes, the same for every system and SNR"
    lines = [f"n = {n} scored utterances behind each number ({scenes}).", _failure_note(results), DEFINITIONS]
    lines += [f"{system.name}: {system.description}." for system in results.systems if system.is_beamformer]
    if results.implementations:
        named = [f"{metric_style(metric).label}: {text}" for metric, text in results.implementations.items()]
        lines.append(f"Implementations: {'; '.join(named)}.")
    return lines


def _failure_note(results: Results) -> str:
    failed: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for (system, _, metric), cell in results.cells.items():
        failed[system, metric] += cell.n_failed
        asked[system, metric] += cell.n + cell.n_failed
    if not failed.total():
        return "Failed scores: none."
    named = [
        f"{system} {metric_style(metric).label} {n} of {asked[system, metric]}"
        for (system, metric), n in failed.items()
        if n
    ]
    return f"† Failed scores, not in the mean: {failed.total()} ({listing(named)})."


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table cell."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", plain)
