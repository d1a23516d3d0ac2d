"""The figure of a robustness sweep: a panel for each metric, a line for each system, 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrayse.files import write_whole
from arrayse.report.text import decibels, metric_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Summary = Mapping[str, Any]
"""The content of ``sweep.json``."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b4a9c", "#8c510a")
"""Told apart by colour-blind people (Okabe and Ito 2008, and two more)."""

MARKERS = "osD^vP*X"
GREY = "#767676"
USUAL = "#e9eef4"
PANEL_INCHES = (3.3, 2.8)
SIDE_STEP = {True: 0.006, False: 0.1}
"""Between the marks of two systems at one value, so that their intervals do not hide each other: a share of the axis
where values are numbers, of the distance of two values where they are names."""


def draw_sweep(summary: Summary, path: Path) -> None:
    """Draws all metrics over the values into one SVG or PNG file; the range of the dataset is shaded.

    Args:
        summary: the content of ``sweep.json``.
        path: of the picture, whose ending tells the format.
    """
    import matplotlib
    from matplotlib.figure import Figure

    metrics, width, height = summary["metrics"], *PANEL_INCHES
    kind = path.suffix.removeprefix(".")
    about: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 100}
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": summary["condition"]}):
        columns = min(4, 1 + len(metrics))
        n_lines = -(-(1 + len(summary["systems"])) // columns)
        size = (max(width * len(metrics), 5.0), height + 0.22 * n_lines + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            _draw_panel(axes, summary, metric)
        at = "" if summary["snr_db"] is None else f", SNR {decibels(summary['snr_db'])} dB"
        figure.supxlabel(f"{summary['title']}{at}", fontsize=9, parse_math=False)
        handles, names = panels[0].get_legend_handles_labels()
        legend = figure.legend(handles, names, loc="outside upper left", ncols=columns, frameon=False, fontsize=8.5)
        for name in legend.get_texts():
            name.set_parse_math(False)
        write_whole(path, lambda temporary: figure.savefig(temporary, format=kind, facecolor="white", **about))


def _draw_panel(axes: Axes, summary: Summary, metric: str) -> None:
    numbers, values, systems = summary["numbers"], summary["values"], summary["systems"]
    where = np.arange(len(values), dtype=float) if numbers is None else np.array(numbers)
    step = SIDE_STEP[numbers is not None] * (np.ptp(where) if numbers is not None else 1.0)
    rows = {(row["system"], row["value"]): row for row in summary["rows"] if row["metric"] == metric}
    for position, system in enumerate(systems):
        cells = [rows[system["name"], value] for value in values]
        table = np.array([[cell[key] for key in ("mean", "low", "high")] for cell in cells], dtype=float)
        side = step * (position - (len(systems) - 1) / 2)
        look = _look([each["kind"] for each in systems], position, joined=numbers is not None)
        axes.vlines(where + side, table[:, 1], table[:, 2], color=look["color"], linewidth=0.9, alpha=0.75)
        axes.plot(where + side, table[:, 0], label=system["name"], **look)
    if numbers is not None and summary["usual"] is not None:
        low, high = summary["usual"]
        edge = {"linewidth": 0.0 if high > low else 4.0, "zorder": 0}
        axes.axvspan(low, high, color=USUAL, label="in the dataset", **edge)
    axes.set_title(metric_style(metric).title, loc="left", fontsize=10, fontweight="bold", parse_math=False)
    _style(axes, where, values, turned=numbers is None)


def _look(kinds: list[str], position: int, joined: bool) -> dict[str, Any]:
    """Of one system of these kinds: grey for inputs, a colour in their order for the others; lines where ``joined``."""
    made = sum(kind != "noisy" for kind in kinds[:position])
    colour = GREY if kinds[position] == "noisy" else COLOURS[made % len(COLOURS)]
    dash = ("-" if kinds[position] == "model" else "--") if joined else ""
    look = {"linestyle": dash, "marker": MARKERS[position % len(MARKERS)], "linewidth": 1.4, "markersize": 4.5}
    return {"color": colour, **look}


def _style(axes: Axes, where: np.ndarray, values: list[str], turned: bool) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    axes.tick_params(length=0, labelsize=8.5)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xticks(where, [value.replace("-", "−") for value in (values if turned else _readable(where, values))])
    if turned and max(map(len, values)) > 5:
        axes.set_xticks(where, values, rotation=25, ha="right", rotation_mode="anchor")


def _readable(where: np.ndarray, values: list[str]) -> list[str]:
    """The labels of an axis, without those that would run into the one before them."""
    shown: list[str] = []
    last = -np.inf
    for place, value in zip(where, values, strict=True):
        is_clear = place - last > (0.015 + 0.03 * len(value)) * np.ptp(where)
        shown.append(value if is_clear else "")
        last = place if is_clear else last
    return shown
