"""What a reader wants to know first: the best student, what it keeps of the teacher's gain, what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from arrayse.report.cells import System
from arrayse.report.results import Results
from arrayse.report.rivals import by_mean
from arrayse.report.text import (
    count,
    factor,
    higher_is_better,
    listing,
    metric_style,
    milliseconds,
    number,
    p_value,
    percent,
    spread,
    with_interval,
    with_unit,
)
from arrayse.report.verdict import change, verdict


@dataclass(frozen=True)
class Gain:
    """One metric averaged over the SNRs, as text, and the share of the teacher's gain that is kept.

    Attributes:
        label: the metric.
        noisy: value of the untouched input.
        best: value of the best model.
        teacher: value of the teacher; empty without one.
        improvement: best over noisy, with sign, interval where there is one, and unit.
        kept: (best - noisy) / (teacher - noisy), None without a teacher that improves on noisy.
        kept_spread: its 95 % interval in percent, as tables write it; empty where it is not known.
    """

    label: str
    noisy: str
    best: str
    teacher: str
    improvement: str
    kept: float | None
    kept_spread: str = ""


@dataclass(frozen=True)
class Headline:
    """The best model and sentences about it.

    Attributes:
        best: the student (or, without students, the model) with the best mean of the first metric.
        teacher: what it is measured against, if another system.
        sentence: the summary.
        verdict: what a reader must not miss; empty where nothing speaks against the models.
        evidence: what the paired differences say; empty without them.
        gains: one entry for each metric that noisy and best have at every SNR.
    """

    best: System
    teacher: System | None
    sentence: str
    verdict: tuple[str, ...]
    evidence: tuple[str, ...]
    gains: tuple[Gain, ...]


def headline(results: Results) -> Headline | None:
    """Chooses the best model and says what it reaches; None if no model was measured."""
    if not results.metrics:
        return None
    scored = by_mean(results, results.candidates)
    if not scored:
        return None
    best = scored[0]
    teacher = results.teacher if results.teacher != best else None
    gains = tuple(gain for metric in results.metrics if (gain := _gain(results, best, teacher, metric)))
    role = "model" if results.teacher is None or best.is_teacher else "student"
    parts = _opening(results, best, role, len(scored)), _reached(results, best, gains) + _size(best, teacher)
    sentence = f"{' '.join(parts)}.{_speed(best)}"
    return Headline(best, teacher, sentence, verdict(results, best, role), _evidence(results, best), gains)


def _opening(results: Results, best: System, role: str, n_candidates: int) -> str:
    if n_candidates == 1:
        return f"The {role}" if best.name == role else f"The {role} {best.name}"
    return f"The best {role} by {metric_style(results.metrics[0]).label}, {best.name},"


def _reached(results: Results, best: System, gains: tuple[Gain, ...]) -> str:
    where = f"{'at' if len(results.snr_db) == 1 else 'averaged over'} {results.snr_text} SNR"
    if not results.snr_db:
        where = f"averaged over all {'pairs' if results.source == 'pairs' else 'recordings'}"
    kept = [f"{percent(gain.kept)} of its {gain.label} gain" for gain in gains if gain.kept and gain.kept > 0]
    if kept:
        first = kept[0].replace("of its", "of the teacher’s", 1)
        return f"keeps {listing([first, *kept[1:]])} ({where})"
    changes = [f"{gain.improvement} {gain.label}" for gain in gains]
    if changes:
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


def _speed(best: System) -> str:
    parts = []
    if best.latency_ms is not None:
        parts.append(f"its algorithmic latency is {milliseconds(best.latency_ms)} ms")
    if best.real_time_factor is not None:
        parts.append(f"one thread of a CPU computes a second of audio in {factor(best.real_time_factor)} s")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _gain(results: Results, best: System, teacher: System | None, metric: str) -> Gain | None:
    given = results.input_of(best.name)
    noisy_value = results.mean_over_snr(given.name, metric) if given else None
    best_value, changed = results.mean_over_snr(best.name, metric), change(results, best.name, metric)
    if noisy_value is None or best_value is None or changed is None:
        return None
    teacher_value = results.mean_over_snr(teacher.name, metric) if teacher else None
    share = results.overall_kept(best.name, metric)
    kept = share.mean if share else None
    if not results.gain_kept and teacher is not None and teacher_value is not None:
        clear = _clearly_above_noisy(results, teacher, metric)
        kept = (best_value - noisy_value) / (teacher_value - noisy_value) if clear else None
    style = metric_style(metric)
    return Gain(
        label=style.label,
        noisy=number(noisy_value, style.digits),
        best=number(best_value, style.digits),
        teacher=number(teacher_value, style.digits) if teacher_value is not None else "",
        improvement=with_unit(changed, metric),
        kept=kept,
        kept_spread=spread(share, 0, scale=100) if share else "",
    )


def _clearly_above_noisy(results: Results, teacher: System, metric: str) -> bool:
    """Whether the teacher gains enough to take shares of it: its paired intervals, or else its mean, lie above."""
    sign = 1 if higher_is_better(metric) else -1
    noisy = results.noisy.name if results.noisy else ""
    ends = [
        end
        for (_, name), cell in results.differences.get((teacher.name, noisy), {}).items()
        if name == metric and (end := cell.low if sign > 0 else cell.high) is not None
    ]
    if ends:
        return sign * sum(ends) > 0
    teacher_value, noisy_value = (results.mean_over_snr(name, metric) for name in (teacher.name, noisy))
    return teacher_value is not None and noisy_value is not None and sign * (teacher_value - noisy_value) > 0


def _evidence(results: Results, best: System) -> tuple[str, ...]:
    """What the paired differences between the best model and others say, those to untouched inputs apart."""
    inputs = {system.name for system in results.systems if system.is_input}
    pairs = [pair for pair in results.differences if pair[0] == best.name and pair[1] not in inputs]
    return tuple(_in_words(results, *pair) for pair in pairs)


def _in_words(results: Results, system: str, baseline: str) -> str:
    """The differences of the means over all SNRs, or how many of those at each SNR stand clear of zero."""
    words = []
    for metric in results.metrics:
        style, cell = metric_style(metric), results.overall_difference(system, baseline, metric)
        if cell is not None and cell.mean is not None:
            change = with_interval(cell, style.digits + 1, signed=True)
            p = "" if cell.p_holm is None else f" (p {p_value(cell.p_holm)})"
            words.append(f"{change} {style.unit} {style.label}{p}".replace("  ", " "))
    if words:
        return f"Paired against {baseline}: {', '.join(words)}."
    signs = [cell.sign for cell in results.differences[system, baseline].values()]
    above, below = signs.count(1), signs.count(-1)
    clear = f"{above} of {len(signs)} differences have a 95 % interval above zero, {below} below"
    return f"Paired against {baseline}, {clear}."
