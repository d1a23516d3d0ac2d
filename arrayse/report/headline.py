"""What a reader wants to know first: the best student, what it keeps of the teacher's gain, its size."""

from __future__ import annotations

from dataclasses import dataclass

from arrayse.report.results import Results, System
from arrayse.report.text import count, higher_is_better, listing, metric_style, number, percent


@dataclass(frozen=True)
class Gain:
    """One metric averaged over the SNRs, as text, and the share of the teacher's gain that is kept.

    Attributes:
        label: the metric.
        noisy: value of the untouched input.
        best: value of the best model.
        teacher: value of the teacher; empty without one.
        improvement: best over noisy, with sign and unit.
        kept: (best - noisy) / (teacher - noisy), None without a teacher that improves on noisy.
    """

    label: str
    noisy: str
    best: str
    teacher: str
    improvement: str
    kept: float | None


@dataclass(frozen=True)
class Headline:
    """The best model and sentences about it.

    Attributes:
        best: the student (or, without students, the model) with the highest mean of the first metric.
        teacher: what it is measured against, if another system.
        sentence: the summary.
        evidence: what the paired differences say; empty without them.
        gains: one entry for each metric that noisy and best have at every SNR.
    """

    best: System
    teacher: System | None
    sentence: str
    evidence: tuple[str, ...]
    gains: tuple[Gain, ...]


def headline(results: Results) -> Headline | None:
    """Chooses the best model and says what it reaches; None if no model was measured."""
    means = [(results.mean_over_snr(system.name, results.metrics[0]), system) for system in results.candidates]
    scored = [(mean, system) for mean, system in means if mean is not None]
    if not scored:
        return None
    best = (max if higher_is_better(results.metrics[0]) else min)(scored, key=lambda pair: pair[0])[1]
    teacher = results.teacher if results.teacher != best else None
    gains = tuple(gain for metric in results.metrics if (gain := _gain(results, best, teacher, metric)))
    role = "model" if results.teacher is None or best.is_teacher else "student"
    parts = _opening(results, best, role, len(scored)), _reached(results, best, gains) + _size(best, teacher)
    return Headline(best, teacher, f"{' '.join(parts)}.", _evidence(results, best), gains)


def _opening(results: Results, best: System, role: str, n_candidates: int) -> str:
    if n_candidates == 1:
        return f"The {role} {best.name}"
    return f"The best {role} by {metric_style(results.metrics[0]).label}, {best.name},"


def _reached(results: Results, best: System, gains: tuple[Gain, ...]) -> str:
    where = f"{'at' if len(results.snr_db) == 1 else 'averaged over'} {results.snr_text} SNR"
    kept = [f"{percent(gain.kept)} of its {gain.label} gain" for gain in gains if gain.kept and gain.kept > 0]
    if kept:
        first = kept[0].replace("of its", "of the teacher’s", 1)
        return f"keeps {listing([first, *kept[1:]])} over the noisy input ({where})"
    if gains:
        changes = [f"{gain.improvement} {gain.label}" for gain in gains]
        return f"changes the noisy input by {listing(changes)} ({where})"
    style = metric_style(results.metrics[0])
    mean = results.mean_over_snr(best.name, results.metrics[0])
    return f"reaches {style.label} {number(mean, style.digits)} ({where})"


def _size(best: System, teacher: System | None) -> str:
    parts = []
    for value, reference, unit in (
        (best.params, teacher and teacher.params, "parameters"),
        (best.macs_per_second, teacher and teacher.macs_per_second, "MACs/s"),
    ):
        if value is not None:
            share = f" ({percent(value / reference)} of the teacher’s)" if reference else ""
            parts.append(f"{count(value)} {unit}{share}")
    return f", with {listing(parts)}" if parts else ""


def _gain(results: Results, best: System, teacher: System | None, metric: str) -> Gain | None:
    noisy_value = results.mean_over_snr(results.noisy.name, metric) if results.noisy else None
    best_value = results.mean_over_snr(best.name, metric)
    if noisy_value is None or best_value is None:
        return None
    teacher_value = results.mean_over_snr(teacher.name, metric) if teacher else None
    kept = None
    if teacher is not None and teacher_value is not None and _clearly_above_noisy(results, teacher, metric):
        kept = (best_value - noisy_value) / (teacher_value - noisy_value)
    style = metric_style(metric)
    return Gain(
        label=style.label,
        noisy=number(noisy_value, style.digits),
        best=number(best_value, style.digits),
        teacher=number(teacher_value, style.digits) if teacher_value is not None else "",
        improvement=f"{number(best_value - noisy_value, style.digits, signed=True)} {style.unit}".rstrip(),
        kept=kept,
    )


def _clearly_above_noisy(results: Results, teacher: System, metric: str) -> bool:
    """Whether the teacher gains enough to take shares of it: its paired intervals, or else its mean, lie above."""
    noisy = results.noisy.name if results.noisy else ""
    lows = [
        cell.low
        for (_, name), cell in results.differences.get((teacher.name, noisy), {}).items()
        if name == metric and cell.low is not None
    ]
    if lows:
        return sum(lows) > 0
    teacher_value, noisy_value = (results.mean_over_snr(name, metric) for name in (teacher.name, noisy))
    return teacher_value is not None and noisy_value is not None and teacher_value > noisy_value


def _evidence(results: Results, best: System) -> tuple[str, ...]:
    """How many of the paired differences between the best model and another stand clear of zero."""
    sentences = []
    for (system, baseline), cells in results.differences.items():
        if system == best.name and baseline != (results.noisy.name if results.noisy else None):
            signs = [cell.sign for cell in cells.values()]
            above, below = signs.count(1), signs.count(-1)
            clear = f"{above} of {len(signs)} differences have a 95 % interval above zero, {below} below"
            sentences.append(f"Paired against {baseline}, {clear}.")
    return tuple(sentences)
