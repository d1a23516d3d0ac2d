"""What a score costs: quality against the size of networks, and which of them no smaller one beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arrayse.report.curves import title_axes
from arrayse.report.figures import (
    DASHED,
    DOTTED,
    INK,
    MUTED,
    colour_index,
    inline_svg,
    marker_of,
    new_figure,
    page_colour,
)
from arrayse.report.results import Results
from arrayse.report.text import count, higher_is_better, metric_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = {"params": "Parameters", "macs_per_second": "MACs per second"}

LONGEST = 22
"""Letters of a name that are written beside its point."""

DECADE = math.sqrt(10)
"""Around sizes that are close together there is room for a decade at least, so that its axis has a number."""

SIDE_STEP, REACH = 0.022, 0.1
"""Between points of one size, and over all of them at most: shares of the span of sizes on the scale."""


def size_figure(results: Results, metric: str, size: str, salt: str) -> str:
    """Means over all SNRs with 95 % intervals against a size, as SVG; empty if fewer than two networks have both.

    A line joins the networks that none of the same or smaller size beats; untouched inputs are lines across.

    Args:
        results: of an evaluation.
        metric: which score.
        size: ``params`` or ``macs_per_second``.
        salt: tells the figures of one page apart.
    """
    places = [
        place
        for place, system in enumerate(results.systems)
        if getattr(system, size) and results.mean_over_snr(system.name, metric) is not None
    ]
    if len(places) < 2:
        return ""
    figure, axes = new_figure(5.4, 3.8)
    axes.set_xscale("log")
    across = side_by_side([float(getattr(results.systems[place], size)) for place in places])
    for place, x in zip(places, across, strict=True):
        _draw_point(axes, results, metric, place, x)
    for place, system in enumerate(results.systems):
        mean = results.mean_over_snr(system.name, metric) if system.is_input else None
        if mean is not None:
            axes.axhline(mean, color=page_colour(0), linestyle=DASHED, linewidth=1.2, gid=f"system-{place}")
    _draw_front(axes, results, metric, size, dict(zip(places, across, strict=True)))
    axes.margins(x=0.16, y=0.12)
    if max(across) < DECADE * min(across):
        axes.set_xlim(min(across) / DECADE, max(across) * DECADE)
    axes.set_xlabel(SIZES[size])
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    title_axes(axes, metric)
    label = f"{metric_style(metric).title} against {SIZES[size].lower()} on a logarithmic scale, with 95 % intervals"
    return inline_svg(figure, f"{label}; the numbers are in the overview", salt)


def _draw_point(axes: Axes, results: Results, metric: str, place: int, x: float) -> None:
    name, gid = results.systems[place].name, f"system-{place}"
    cell, colour = results.overall(name, metric), page_colour(colour_index(results)[name])
    if cell.low is not None and cell.high is not None:
        axes.vlines(x, cell.low, cell.high, color=colour, linewidth=1.4, alpha=0.55, gid=gid)
    marker = marker_of(results)[name]
    axes.plot(x, float(cell.mean or 0), color=colour, marker=marker, markersize=7.5, linestyle="none", gid=gid)


def _draw_front(axes: Axes, results: Results, metric: str, size: str, across: dict[int, float]) -> None:
    """Draws the line through the networks that no smaller one equals, and names their points, ``across`` by place."""
    places = list(across)
    systems = [results.systems[place] for place in places]
    points = [(float(getattr(s, size)), float(results.overall(s.name, metric).mean or 0)) for s in systems]
    front = pareto_front(points, higher_is_better(metric))
    axes.plot(*zip(*(points[index] for index in front), strict=True), color=MUTED, lw=1.1, ls=DOTTED, zorder=1)
    for index in front:
        name = systems[index].name
        short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        is_last = len(front) > 1 and index == front[-1]
        below = index == front[0] and not any(_is_under(points, index, other) for other in range(len(points)))
        where, side = ((-9, 7), "right") if is_last else ((9, -15), "left") if below else ((9, 7), "left")
        text: dict[str, Any] = {"color": INK, "fontsize": 9.5, "parse_math": False, "gid": f"system-{places[index]}"}
        axes.annotate(
            short, (across[places[index]], points[index][1]), where, textcoords="offset points", ha=side, **text
        )


def _is_under(points: Sequence[tuple[float, float]], one: int, other: int) -> bool:
    """Whether another point has almost the size of one and a lower score: there its name could not stand below."""
    return other != one and 1 / 1.3 < points[other][0] / points[one][0] < 1.3 and points[other][1] <= points[one][1]


def side_by_side(sizes: Sequence[float]) -> list[float]:
    """The sizes, equal ones moved apart a little, so that the intervals of a few do not hide each other."""
    span = math.log(max(sizes) / min(sizes)) or 1.0
    places = []
    for place, size in enumerate(sizes):
        n_same = sizes.count(size)
        step = min(SIDE_STEP, REACH / n_same) * span
        places.append(size * math.exp(step * (sizes[:place].count(size) - (n_same - 1) / 2)))
    return places


def pareto_front(points: Sequence[tuple[float, float]], higher_is_better: bool = True) -> list[int]:
    """Places of the points (size, score) that no other one of the same or smaller size equals or beats, by size."""
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -sign * points[place][1]))
    front: list[int] = []
    for place in order:
        if not front or sign * points[place][1] > sign * points[front[-1]][1]:
            front.append(place)
    return front
