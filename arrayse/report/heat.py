"""Heat maps: scores of all systems in each kind of noise, reverberation, direction and number of interferers."""

from __future__ import annotations

from dataclasses import dataclass

from arrayse.report.cells import GroupCell
from arrayse.report.results import Results
from arrayse.report.text import higher_is_better, metric_style, number, shows_zero

CONDITIONS = {
    "noise": "Noise",
    "rt60": "RT60",
    "doa": "Direction of the talker",
    "n_interferers": "Number of interferers",
}
"""What there are maps of; scores by SNR stand in the table."""


@dataclass(frozen=True)
class HeatCell:
    """One system in one group.

    Attributes:
        score: mean as text.
        gain: difference to the mean of the untouched input in the same group, as text; empty where there is none.
        warmth: 0 for the worst score of the map to 1 for the best.
        gain_warmth: -1 to 1: the difference relative to the largest one of the map, positive where it is better; 0
            where it is written as zero or comes of too few scenes.
        title: interval and count.
        few: too few scenes to trust the interval.
    """

    score: str
    gain: str
    warmth: float
    gain_warmth: float
    title: str
    few: bool


@dataclass(frozen=True)
class HeatMap:
    """All systems in all groups of one condition, in one metric.

    Attributes:
        condition: its title.
        metric: name.
        groups: names of the groups with the largest number of scored scenes in each.
        rows: for each system a cell per group, None where it has none.
    """

    condition: str
    metric: str
    groups: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, tuple[HeatCell | None, ...]], ...]


def heat_maps(results: Results) -> tuple[HeatMap, ...]:
    """A map for each condition and metric; none of what the evaluation did not break down."""
    found = (_heat_map(results, condition, metric) for condition in CONDITIONS for metric in results.metrics)
    return tuple(heat_map for heat_map in found if heat_map is not None)


def _heat_map(results: Results, condition: str, metric: str) -> HeatMap | None:
    rows = {
        name: {cell.value: cell for cell in cells if cell.condition == condition and cell.mean is not None}
        for (name, of), cells in results.groups.items()
        if of == metric
    }
    sizes: dict[str, int] = {}
    for cells in rows.values():
        for group, cell in cells.items():
            sizes[group] = max(sizes.get(group, 0), cell.n)
    if not sizes:
        return None
    sign = 1 if higher_is_better(metric) else -1
    scores = [sign * float(cell.mean or 0) for cells in rows.values() for cell in cells.values()]
    gains = {name: _gains(cells, _input(results, name, rows)) for name, cells in rows.items()}
    reach = max((abs(gain) for each in gains.values() for gain in each.values()), default=0) or 1.0
    lowest, span = min(scores), (max(scores) - min(scores)) or 1.0
    made = []
    for name, cells in rows.items():
        line = []
        for group in sizes:
            found, gain = cells.get(group), gains[name].get(group)
            warmth = 0.0 if found is None else (sign * float(found.mean or 0) - lowest) / span
            line.append(None if found is None else _cell(found, metric, gain, warmth, reach))
        made.append((name, tuple(line)))
    return HeatMap(CONDITIONS[condition], metric, tuple(sizes.items()), tuple(made))


def _input(results: Results, name: str, rows: dict[str, dict[str, GroupCell]]) -> dict[str, GroupCell]:
    """The groups of the untouched input of a system; nothing for an input itself."""
    inputs = {system.name for system in results.systems if system.is_input}
    given = results.input_of(name)
    return {} if given is None or name in inputs else rows.get(given.name, {})


def _gains(cells: dict[str, GroupCell], given: dict[str, GroupCell]) -> dict[str, float]:
    return {
        group: float(cell.mean or 0) - float(given[group].mean or 0) for group, cell in cells.items() if group in given
    }


def _cell(cell: GroupCell, metric: str, gain: float | None, warmth: float, reach: float) -> HeatCell:
    digits = metric_style(metric).digits
    spread = "" if cell.low is None else f"{number(cell.low, digits + 1)} to {number(cell.high, digits + 1)}, "
    few = ", too few to trust the interval" if cell.few else ""
    text = "" if gain is None else number(gain, digits, signed=True)
    title = f"{spread}n = {cell.n}{few}"
    has_colour = gain is not None and not shows_zero(gain, digits) and not cell.few
    better = (1 if higher_is_better(metric) else -1) * (gain or 0) / reach if has_colour else 0.0
    return HeatCell(number(cell.mean, digits), text, warmth, better, title, cell.few)
