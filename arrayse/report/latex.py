"""The table by SNR for papers: LaTeX with booktabs, one ``table`` for each metric."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from arrayse.report.cells import Cell, System
from arrayse.report.results import Results, Snr, parse_results
from arrayse.report.table_text import best_cells, column_titles, heading, kept_text, notes, size_titles, sizes
from arrayse.report.text import MISSING, metric_style, number, spread

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "†": r"\ensuremath{\dagger}",
    "·": r"\ensuremath{\cdot}",
    "µ": r"\ensuremath{\mu}",
    "–": "--",
    "’": "'",
    "…": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{ZERO WIDTH SPACE}": "{}",
} | {letter: f"\\{letter}" for letter in "&%$#_{}"}


LIGATURES = re.compile(r"([-`'])(?=\1)|[!?](?=`)")
"""First letters of what TeX would join to a dash, a quotation mark or a turned one."""

PACKAGES = r"""% Packages: \usepackage{booktabs}, \usepackage{graphicx}
% Tables that are wider than the line are shrunk to it: of two columns, table* takes both."""

BEYOND_ASCII = "% Some letters are not ASCII: LuaLaTeX and XeLaTeX print what the font has, pdfLaTeX the Latin ones."

SHRINK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def latex_table(summary: Mapping[str, Any]) -> str:
    r"""Tables to ``\input``: mean and 95 % interval, the best of a column in bold, \* where p < 0.05.

    Stars mark scores that differ from those of the baseline; † marks failed scores.

    Args:
        summary: the content of an evaluation's ``summary.json``.
    """
    results = parse_results(summary)
    tables = ["\n".join(_table(results, metric)) for metric in results.metrics]
    head = [PACKAGES, *([] if "".join(tables).isascii() else [BEYOND_ASCII]), _comment(heading(results))]
    return "\n\n".join(["\n".join(head), *tables, "\n".join(map(_comment, notes(results)))]) + "\n"


def _comment(text: str) -> str:
    return f"% {' '.join(text.split())}"


def _table(results: Results, metric: str) -> list[str]:
    best, kept = best_cells(results), any(key[2] == metric for key in results.gain_kept)
    titles = ["System", *size_titles(results), *column_titles(results), *(["Gain kept"] if kept else [])]
    rows = []
    for system in results.systems:
        cells = [
            _number(results, system, snr_db, metric, (system.name, snr_db, metric) in best)
            for snr_db in results.columns
        ]
        share = results.overall_kept(system.name, metric)
        cells += [_share(share)] if kept else []
        rows.append([escape(system.name), *map(escape, sizes(results, system)), *cells])
    caption = f"{escape(metric_style(metric).title)}: mean and 95\\,\\% interval"
    caption += " by input SNR." if results.snr_db else "."
    if kept:
        caption += f" Gain kept: {escape(kept_text(results))}."
    if results.baseline is not None and any(r"^{*}" in cell for row in rows for cell in row):
        caption += f" $^{{*}}$ differs from {escape(results.baseline)} (Wilcoxon, Holm-corrected $p < 0.05$)."
    return [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{caption}}}",
        SHRINK,
        f"\\begin{{tabular}}{{@{{}}l{'r' * (len(titles) - 1)}@{{}}}}",
        r"\toprule",
        _row([escape(title) for title in titles]),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _number(results: Results, system: System, snr_db: Snr, metric: str, is_best: bool) -> str:
    cell, digits = results.cell(system.name, snr_db, metric), metric_style(metric).digits
    if cell.mean is None:
        return escape(MISSING) + (r"$^{\dagger}$" if cell.n_failed else "")
    mean = _minus(number(cell.mean, digits))
    text = f"\\mathbf{{{mean}}}" if is_best else mean
    text += _spread(cell, digits)
    difference = results.differences.get((system.name, results.baseline or ""), {}).get((snr_db, metric))
    marks = ("*" if difference is not None and difference.is_significant else "") + (
        r"\dagger" if cell.n_failed else ""
    )
    return f"${text}{f'^{{{marks}}}' if marks else ''}$"


def _share(share: Cell | None) -> str:
    if share is None or share.mean is None:
        return escape(MISSING)
    return f"${_minus(number(100 * share.mean, 0))}{_spread(share, 0, scale=100)}\\,\\%$"


def _spread(cell: Cell, digits: int, scale: float = 1.0) -> str:
    r"""In mathematics: `` \pm 0.1`` or ``\ (0.2\mbox{ to }0.5)``, of which LaTeX itself has the box."""
    text = spread(cell, digits, scale).replace("±", r" \pm ").replace(" to ", r"\mbox{ to }")
    return _minus(text.replace("(", r"\ ("))


def _row(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _minus(text: str) -> str:
    return text.replace("−", "-")


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, in one line; what no font may have is left to a Unicode engine."""
    line = LIGATURES.sub("\\g<0>\N{ZERO WIDTH SPACE}", " ".join(text.split()))
    return "".join(SPECIAL.get(letter, letter) for letter in line)
