"""One evaluation made ready for the page: chosen, counted and drawn, so that the template only lays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arrayse.report.evaluation import Evaluation
from arrayse.report.figures import array_figure, colour_index, curve_figure, swatch
from arrayse.report.headline import Headline, headline
from arrayse.report.players import PlayerView, player_view
from arrayse.report.results import Key, Results
from arrayse.report.table import notes
from arrayse.report.text import higher_is_better, metric_style


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
        sizes: parameters and multiply-accumulates of the best model.
        best: the cells in which a student (or model, without students) has the highest mean.
        colours: colour number of each system.
        notes: lines below the table.
        failures: reasons for missing scores with their counts, most frequent first.
        swatches: a legend mark for each system.
        curves: a figure for each metric.
        array: drawing of the microphones; empty if unknown.
        players: listening examples.
        provenance: names and values.
        config: text of the configuration.
    """

    id: str
    title: str
    results: Results
    headline: Headline | None
    sizes: tuple[SizeTile, ...]
    best: frozenset[Key]
    colours: dict[str, int]
    notes: tuple[str, ...]
    failures: tuple[tuple[str, int], ...]
    swatches: tuple[str, ...]
    curves: tuple[str, ...]
    array: str
    players: tuple[PlayerView, ...]
    provenance: tuple[tuple[str, str], ...]
    config: str


def make_section(evaluation: Evaluation, name: str) -> Section:
    """Makes the section called ``name``: it starts every id in it."""
    results = evaluation.results
    first = headline(results)
    scores = {(row["system"], row["scene"], float(row["snr_db"])): row for row in evaluation.rows}
    players = (
        player_view(f"{name}-p{place}", example, results, scores) for place, example in enumerate(evaluation.examples)
    )
    return Section(
        id=name,
        title=results.data or evaluation.folder.resolve().name,
        results=results,
        headline=first,
        sizes=_sizes(first) if first else (),
        best=best_cells(results),
        colours=colour_index(results),
        notes=tuple(notes(results)),
        failures=_failures(evaluation.rows),
        swatches=tuple(swatch(results, system.name, f"{name}-{system.name}") for system in results.systems),
        curves=tuple(curve_figure(results, metric, f"{name}-{metric}") for metric in results.metrics),
        array=array_figure(results.array, f"{name}-array") if results.array else "",
        players=tuple(player for player in players if player),
        provenance=tuple(_flat(results.provenance)),
        config=evaluation.config,
    )


def best_cells(results: Results) -> frozenset[Key]:
    """For each metric and SNR the candidates with the best mean; none where only one was measured."""
    names = [system.name for system in results.candidates]
    best: set[Key] = set()
    for metric in results.metrics:
        for snr_db in results.snr_db:
            means = {name: results.cell(name, snr_db, metric).mean for name in names}
            known = {name: mean for name, mean in means.items() if mean is not None}
            if len(known) > 1:
                top = (max if higher_is_better(metric) else min)(known.values())
                best.update((name, snr_db, metric) for name, mean in known.items() if mean == top)
    return frozenset(best)


def _sizes(first: Headline) -> tuple[SizeTile, ...]:
    params, macs = first.best.params, first.best.macs_per_second
    tiles = []
    if params is not None:
        tiles.append(SizeTile(params, "parameters", first.teacher.params if first.teacher else None))
    if macs is not None:
        tiles.append(SizeTile(macs, "MACs per second", first.teacher.macs_per_second if first.teacher else None))
    return tuple(tiles)


def _failures(rows: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    counts = Counter(
        f"{row['system']}, {metric_style(metric).label}: {reason}"
        for row in rows
        for metric, reason in (row.get("reasons") or {}).items()
    )
    return tuple(counts.most_common())


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested names joined by a space: ``versions torch``."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} ")
        else:
            yield name, str(value)
