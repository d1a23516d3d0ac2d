"""What tables say, whatever they are written in: headings, cells and notes as text."""

from __future__ import annotations

from collections import Counter

from arrayse.report.cells import Cell, System
from arrayse.report.results import DATASET, Key, Results, Snr
from arrayse.report.text import (
    count,
    decibels,
    higher_is_better,
    listing,
    metric_style,
    p_value,
    percent_interval,
    place_name,
    with_interval,
)

DEFINITIONS = (
    "Scores compare with the target stem: the talker's direct sound at the microphone, without reverberation unless "
    "the dataset has early_ms. The input SNR counts the reverberant speech as signal."
)
OTHER_DEFINITIONS = {
    "pairs": "Scores compare with the clean file of each pair.",
    "recordings": "There is no reference: scores are foretold from the sound alone.",
}
INTERVALS = (
    "±: half of the 95 % interval, where its sides differ by no more than a quarter of that, or one in the last digit; "
    "elsewhere, and where that would tell otherwise of zero, its ends are in brackets."
)
OVERALL = "Mean"

MIN_SCENES = 20
"""Of fewer a bootstrap makes intervals that are far too narrow."""


def heading(results: Results) -> str:
    """What was measured on what, in one line."""
    data = " · ".join(part for part in (place_name(results.data), results.split) if part)
    by = " by input SNR" if results.snr_db else ""
    return f"{results.label}{': ' if data else ''}{data}, mean and 95 % interval{by}"


def column_titles(results: Results) -> list[str]:
    """``0 dB`` for each SNR, and ``Mean`` for what is over all of them."""
    return [OVERALL if snr_db is None else f"{decibels(snr_db)} dB" for snr_db in results.columns]


def size_titles(results: Results) -> list[str]:
    """What tables tell of the size of a system; of microphones only where those of some are known."""
    knows_mics = any(system.n_mics is not None for system in results.systems)
    return ["Params", "MACs/s", *(["Mics"] if knows_mics else [])]


def sizes(results: Results, system: System) -> list[str]:
    """The size of a system as text, an entry for each of :func:`size_titles`."""
    every = [count(system.params), count(system.macs_per_second), count(system.n_mics)]
    return every[: len(size_titles(results))]


def values(results: Results, system: System, metric: str) -> list[str]:
    """The row of one system and metric as text, one entry for each column; † marks failures."""
    cells = [results.cell(system.name, snr_db, metric) for snr_db in results.columns]
    digits = metric_style(metric).digits
    return [with_interval(cell, digits) + ("†" if cell.n_failed else "") for cell in cells]


def difference_rows(results: Results, metric: str, with_p: bool = False) -> dict[tuple[str, str], list[str]]:
    """Paired differences (system, baseline) as text, mean and 95 % interval, one entry for each column.

    ``*`` marks those whose corrected p value is below 0.05, or with ``with_p`` the value itself stands by.
    """
    digits = metric_style(metric).digits
    rows: dict[tuple[str, str], list[str]] = {}
    for pair, cells in results.differences.items():
        if not any(name == metric for _, name in cells):
            continue
        rows[pair] = []
        for snr_db in results.columns:
            cell = cells.get((snr_db, metric))
            text = with_interval(cell, digits, signed=True)
            if cell is not None and cell.p_holm is not None:
                text += f", p {p_value(cell.p_holm)}" if with_p else "*" if cell.is_significant else ""
            rows[pair].append(text)
    return rows


def kept_rows(results: Results, metric: str) -> dict[str, list[str]]:
    """Shares of the teacher's gain by system as text, one entry for each column; none if there is none."""
    rows = {}
    for system in results.systems:
        shares = [results.gain_kept.get((system.name, snr_db, metric)) for snr_db in results.columns]
        if any(share is not None and share.mean is not None for share in shares):
            rows[system.name] = [percent_interval(share) for share in shares]
    return rows


def kept_text(results: Results) -> str:
    """What gain kept is."""
    return f"share of the gain of {results.gain_teacher} over the noisy input"


def few_scenes(results: Results) -> str:
    """A warning where intervals are far too narrow to be believed; empty where they are not."""
    return too_few(results.n_scenes, results.scenes, "intervals and p values") if results.metrics else ""


def too_few(n: int, scenes: str, what: str) -> str:
    """See :func:`few_scenes`."""
    return "" if n >= MIN_SCENES else f"Only {n} {scenes}: {what} are not to be trusted."


def notes(results: Results) -> list[str]:
    """What stands below every table: how many were counted, which failed, what systems are, and what computed."""
    measured = sorted({cell.n for _, cell in counted(results)})
    n = f"{measured[0]}" if len(measured) == 1 else f"{measured[0]} to {measured[-1]}" if measured else "0"
    same = "the same for every system" + (" and SNR" if results.snr_db else "")
    lines = [
        f"n = {n} scored utterances behind each number ({results.n_scenes} {results.scenes}, {same}).",
        few_scenes(results),
        INTERVALS if any(cell.low is not None for cell in results.cells.values()) else "",
        _failure_note(results),
        DEFINITIONS if results.source == DATASET else OTHER_DEFINITIONS.get(results.source, ""),
        *test_notes(results),
    ]
    lines += [f"{system.name}: {system.description}." for system in results.systems if system.is_beamformer]
    lines += [f"{s.name} was trained for the array {s.foreign_array}." for s in results.systems if s.foreign_array]
    if results.implementations:
        named = [f"{metric_style(metric).label}: {text}" for metric, text in results.implementations.items()]
        lines.append(f"Implementations: {'; '.join(named)}.")
    return [line for line in lines if line]


def test_notes(results: Results) -> list[str]:
    """How differences were tested, and what the mean over several trainings is; nothing where there is neither."""
    lines = []
    if any(cell.p_holm is not None for cells in results.differences.values() for cell in cells.values()):
        lines.append(
            "p: Wilcoxon signed-rank test of the paired differences, two-sided, with Holm's correction over all "
            "systems that are compared with the same; * p < 0.05."
        )
    several = [f"{system.name} {system.n_seeds}" for system in results.systems if system.n_seeds > 1]
    if several:
        counted = listing(several)
        lines.append(f"Means over trainings with different seeds, whose spread is in the intervals: {counted}.")
    return lines


def best_cells(results: Results) -> frozenset[Key]:
    """For each metric and column the candidates with the best mean; none where only one was measured."""
    names = [system.name for system in results.candidates]
    best: set[Key] = set()
    for metric in results.metrics:
        for snr_db in results.columns:
            means = {name: results.cell(name, snr_db, metric).mean for name in names}
            known = {name: mean for name, mean in means.items() if mean is not None}
            if len(known) > 1:
                top = (max if higher_is_better(metric) else min)(known.values())
                best.update((name, snr_db, metric) for name, mean in known.items() if mean == top)
    return frozenset(best)


def counted(results: Results) -> list[tuple[tuple[str, str], Cell]]:
    """By (system, metric) the cells that count each utterance once: those at one SNR, or those of sources without."""
    wanted: set[Snr] = set(results.snr_db) or {None}
    return [((system, metric), cell) for (system, snr_db, metric), cell in results.cells.items() if snr_db in wanted]


def _failure_note(results: Results) -> str:
    failed: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for key, cell in counted(results):
        failed[key] += cell.n_failed
        asked[key] += cell.n + cell.n_failed
    if not failed.total():
        return "Failed scores: none." if results.cells else ""
    named = [f"{key[0]} {metric_style(key[1]).label} {n} of {asked[key]}" for key, n in failed.items() if n]
    return f"† Failed scores, not in the mean: {failed.total()} ({listing(named)})."
