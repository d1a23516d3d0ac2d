"""What speaks against the best model: its input, the baseline, a beamformer that is ahead, a teacher that is not."""

from __future__ import annotations

from arrayse.report.cells import Cell, System
from arrayse.report.results import Results
from arrayse.report.rivals import against_beamformers, against_distillation, against_teacher, told_direction
from arrayse.report.table_text import MIN_SCENES
from arrayse.report.text import higher_is_better, listing, metric_style, shows_zero, with_unit


def verdict(results: Results, best: System, role: str) -> tuple[str, ...]:
    """Sentences that a reader must not miss; none where there is nothing to say against the models.

    Args:
        results: of an evaluation.
        best: the candidate with the best mean of the first metric.
        role: what candidates are called, ``student`` or ``model``.
    """
    found = (
        _against_input(results, best, role),
        against_distillation(results, best, role),
        _against_baseline(results, role),
        against_beamformers(results),
        against_teacher(results, best),
    )
    return tuple(filter(None, found))


def change(results: Results, system: str, metric: str) -> Cell | None:
    """What a system changes of its untouched input over all SNRs: the paired difference, or else that of the means."""
    paired = results.gain(system, metric)
    if paired is not None and paired.mean is not None:
        return paired
    given, mean = results.input_of(system), results.mean_over_snr(system, metric)
    before = results.mean_over_snr(given.name, metric) if given else None
    return None if mean is None or before is None else Cell(mean - before, None, None, 0, 0)


def _against_input(results: Results, best: System, role: str) -> str:
    worse: list[str] = []
    not_better: list[str] = []
    even_the_best = False
    for metric in results.metrics:
        cell, style = change(results, best.name, metric), metric_style(metric)
        if cell is None or cell.mean is None:
            continue
        better = 1 if higher_is_better(metric) else -1
        is_zero = shows_zero(cell.mean, style.digits)
        if better * cell.mean > 0 and not is_zero:
            continue
        is_clear = not is_zero and (cell.sign == -better or cell.low is None)
        (worse if is_clear else not_better).append(f"{style.label} ({with_unit(cell, metric)})")
        even_the_best |= metric == results.metrics[0] and len(results.candidates) > 1
    parts = [f"worse than the noisy input in {listing(worse)}"] if worse else []
    if not_better:
        parts.append(f"no better {'' if worse else 'than the noisy input '}in {listing(not_better)}")
    who = f"Even the best {role}, {best.name}," if even_the_best else best.name
    return f"{who} is {' and '.join(parts)}." if parts else ""


def _against_baseline(results: Results, role: str) -> str:
    baseline = results.baseline
    rivals = [system.name for system in results.candidates if (system.name, baseline) in results.differences]
    system = next((system for system in results.systems if system.name == baseline), None)
    if system is None or baseline is None or system.is_bound or not rivals:
        return ""
    beaten = {metric: _is_beaten(results, rivals, baseline, metric) for metric in results.metrics}
    unbeaten = [metric_style(metric).label for metric, found in beaten.items() if found is False]
    if not unbeaten:
        return ""
    if any(found.n < MIN_SCENES for rival in rivals for found in results.differences[rival, baseline].values()):
        return ""  # so few scenes are evidence of nothing, which a banner says
    who = f"No {role} beats" if len(rivals) > 1 else f"{rivals[0]} does not beat"
    where = "" if not any(beaten.values()) else f" in {listing(unbeaten)}"
    why = "no 95 % interval of a paired difference is on the better side of zero"
    return f"{who} the baseline {baseline}{told_direction(system)}{where}: {why}."


def _is_beaten(results: Results, rivals: list[str], baseline: str, metric: str) -> bool | None:
    """Whether an interval of a difference over all SNRs, or else at one of them, is on the better side of zero.

    None: nothing was compared.
    """
    cells: list[Cell] = []
    for rival in rivals:
        overall = results.overall_difference(rival, baseline, metric)
        every = [cell for (_, of), cell in results.differences[rival, baseline].items() if of == metric]
        cells += [overall] if overall is not None else every
    cells = [cell for cell in cells if cell.mean is not None]
    better = 1 if higher_is_better(metric) else -1
    return any(cell.sign == better for cell in cells) if cells else None
