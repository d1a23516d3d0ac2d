"""One evaluation made ready for the page: chosen, counted and drawn, so that the template only lays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arrayse.report.audio import data_uri
from arrayse.report.curves import curve_figure
from arrayse.report.evaluation import Evaluation
from arrayse.report.figures import array_figure, colour_index, swatch
from arrayse.report.headline import Headline, headline
from arrayse.report.heat import HeatMap, heat_maps
from arrayse.report.latex import latex_table
from arrayse.report.overview import Overview, overview
from arrayse.report.players import PlayerView, player_view
from arrayse.report.results import Key, Results
from arrayse.report.scatter import Scatter, scatter
from arrayse.report.size_figure import SIZES, size_figure
from arrayse.report.table import csv_table, markdown_table
from arrayse.report.table_text import best_cells, few_scenes, notes, size_titles
from arrayse.report.text import higher_is_better, metric_style, place_name

MANY = 12
"""Curves that are shown at first, those of untouched inputs apart: as many as have colours of their own."""


@dataclass(frozen=True)
class SizeTile:
    """One size of the best model, beside the teacher's where there is one."""

    value: float
    unit: str
    reference: float | None

    @property
    def share(self) -> float | None:
        return self.value / self.reference if self.reference else None


@dataclass(frozen=True)
class Section:
    """What the template shows of one evaluation; figures are SVG text.

    Attributes:
        id: prefix of every id in this section.
        title: heading.
        results: the numbers.
        headline: what comes first; None without a model.
        few_scenes: a warning; empty where there are enough.
        sizes: parameters and multiply-accumulates of the best model.
        overview: costs and means of all systems.
        best: the cells in which a student (or model, without students) has the best mean.
        size_titles: what the table by SNR tells of sizes.
        colours: colour number of each system.
        notes: lines below the table.
        failures: reasons for missing scores with their counts, most frequent first.
        downloads: the table by file name as data URIs.
        swatches: a legend mark for each system.
        shown: places of the systems whose curves are shown at first.
        curves: a figure for each metric; none without SNR.
        sizes_figures: the first metric against parameters and multiply-accumulates.
        scatter: scores of single utterances; None with fewer than two systems.
        heat: scores in groups of scenes.
        array: drawing of the microphones; empty if unknown.
        players: listening examples.
        provenance: names and values.
        config: text of the configuration.
    """

    id: str
    title: str
    results: Results
    headline: Headline | None
    few_scenes: str
    sizes: tuple[SizeTile, ...]
    overview: Overview
    best: frozenset[Key]
    size_titles: tuple[str, ...]
    colours: dict[str, int]
    notes: tuple[str, ...]
    failures: tuple[tuple[str, int], ...]
    downloads: dict[str, str]
    swatches: tuple[str, ...]
    shown: frozenset[int]
    curves: tuple[str, ...]
    sizes_figures: tuple[str, ...]
    scatter: Scatter | None
    heat: tuple[HeatMap, ...]
    array: str
    players: tuple[PlayerView, ...]
    provenance: tuple[tuple[str, str], ...]
    config: str

    @property
    def has_origin(self) -> bool:
        """Whether it is known where all this comes from."""
        return bool(self.provenance or self.config)


def make_section(evaluation: Evaluation, name: str, lossless: bool = True) -> Section:
    """Makes the section called ``name``: it starts every id in it. With ``lossless`` its sounds are FLAC."""
    results = evaluation.results
    first, colours = headline(results), colour_index(results)
    sized = [size_figure(results, results.metrics[0], size, f"{name}-{size}") for size in SIZES if results.metrics]
    return Section(
        id=name,
        title=place_name(results.data or evaluation.folder.resolve().name),
        results=results,
        headline=first,
        few_scenes=few_scenes(results),
        sizes=_sizes(first) if first else (),
        overview=overview(results),
        best=best_cells(results),
        size_titles=tuple(size_titles(results)),
        colours=colours,
        notes=tuple(notes(results)),
        failures=_failures(evaluation),
        downloads=_downloads(evaluation.summary) if results.metrics else {},
        swatches=tuple(swatch(results, system.name, f"{name}-{system.name}") for system in results.systems),
        shown=shown_at_first(results),
        curves=tuple(curve_figure(results, m, f"{name}-{m}") for m in results.metrics if results.snr_db),
        sizes_figures=tuple(figure for figure in sized if figure),
        scatter=scatter(results, evaluation.rows, first, colours),
        heat=heat_maps(results),
        array=array_figure(results.array, f"{name}-array") if results.array else "",
        players=_players(evaluation, name, lossless),
        provenance=tuple(_flat(results.provenance)),
        config=evaluation.config,
    )


def shown_at_first(results: Results) -> frozenset[int]:
    """Places of the untouched inputs and of the :data:`MANY` others that are best by the first metric."""
    inputs = {place for place, system in enumerate(results.systems) if system.is_input}
    others = [place for place in range(len(results.systems)) if place not in inputs]
    if len(others) > MANY and results.metrics:
        metric = results.metrics[0]
        sign = -1 if higher_is_better(metric) else 1
        means = {place: results.mean_over_snr(results.systems[place].name, metric) for place in others}
        others.sort(key=lambda place: float("inf") if (mean := means[place]) is None else sign * mean)
    return frozenset(inputs | set(others[:MANY]))


def _players(evaluation: Evaluation, name: str, lossless: bool) -> tuple[PlayerView, ...]:
    scores = {
        (row["system"], row["scene"], None if row["snr_db"] is None else float(row["snr_db"])): row
        for row in evaluation.rows
    }
    players = (
        player_view(f"{name}-p{place}", example, evaluation.results, scores, lossless)
        for place, example in enumerate(evaluation.examples)
    )
    return tuple(player for player in players if player)


def _downloads(summary: Mapping[str, Any]) -> dict[str, str]:
    tables = {
        "table.csv": ("text/csv", csv_table(summary)),
        "table.md": ("text/markdown", markdown_table(summary)),
        "table.tex": ("text/x-tex", latex_table(summary)),
    }
    return {name: data_uri(f"{kind};charset=utf-8", text.encode()) for name, (kind, text) in tables.items()}


def _sizes(first: Headline) -> tuple[SizeTile, ...]:
    params, macs = first.best.params, first.best.macs_per_second
    tiles = []
    if params is not None:
        tiles.append(SizeTile(params, "parameters", first.teacher.params if first.teacher else None))
    if macs is not None:
        tiles.append(SizeTile(macs, "MACs per second", first.teacher.macs_per_second if first.teacher else None))
    return tuple(tiles)


def _failures(evaluation: Evaluation) -> tuple[tuple[str, int], ...]:
    """From the rows, or from the summary where there are none."""
    counts = Counter(
        f"{row['system']}, {metric_style(metric).label}: {reason}"
        for row in evaluation.rows
        for metric, reason in (row.get("reasons") or {}).items()
    )
    if not evaluation.rows:
        for system, metric, reason, n in evaluation.results.failures:
            counts[f"{system}, {metric_style(metric).label}: {reason}"] += n
    return tuple(counts.most_common())


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested names joined by a space: ``versions torch``."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} ")
        else:
            yield name, str(value)
