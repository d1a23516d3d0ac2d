"""Who else is ahead in the means over all SNRs of the first metric: a beamformer, a student of its teacher, a baseline.

A difference is said to be one only where its 95 % interval is clear of zero; where none was taken the means are told.
"""

from __future__ import annotations

from arrayse.report.cells import Cell, System
from arrayse.report.results import Results
from arrayse.report.table_text import MIN_SCENES
from arrayse.report.text import higher_is_better, metric_style, number, percent_interval, with_unit


def told_direction(system: System) -> str:
    """What has to be said of a beamformer wherever it is compared with networks; empty for all else."""
    return " (told the talker’s direction, which no network is)" if system.is_beamformer else ""


def by_mean(results: Results, systems: list[System]) -> list[System]:
    """Those that have a mean over all SNRs in the first metric, the best one first."""
    metric, means = results.metrics[0], {}
    for system in systems:
        if (mean := results.mean_over_snr(system.name, metric)) is not None:
            means[system] = mean
    return sorted(means, key=means.__getitem__, reverse=higher_is_better(metric))


def against_beamformers(results: Results) -> str:
    """That the best beamformer is ahead of all networks; empty where it is not, or nobody knows.

    What is told the stems is a bound and no rival.
    """
    rivals = by_mean(results, [system for system in results.systems if system.is_beamformer and not system.is_bound])
    networks = by_mean(results, [system for system in results.systems if system.is_model])
    if not rivals or not networks or not _is_above(results, rivals[0], networks[0]):
        return ""
    rival, network = rivals[0], networks[0]
    label, paired = metric_style(results.metrics[0]).label, _paired(results, rival.name, network.name)
    who = f"{rival.name}{told_direction(rival)}"
    if paired is None:
        return f"{who} has a better mean {label} than every network: {_means(results, rival, network)}."
    if not _is_better(paired, results.metrics[0]):
        return ""
    change = with_unit(paired, results.metrics[0])
    return f"{who} beats {network.name}, the network with the best mean, in {label}: {change}."


def against_teacher(results: Results, best: System) -> str:
    """That a student is ahead of the teacher; empty where it is not, or nobody knows."""
    teacher = results.teacher
    if teacher is None or best.is_teacher or not _is_above(results, best, teacher):
        return ""
    label, paired = metric_style(results.metrics[0]).label, _paired(results, best.name, teacher.name)
    share = results.overall_kept(best.name, results.metrics[0]) if teacher.name == results.gain_teacher else None
    who = f"{best.name} is better than the teacher, {teacher.name}, in {label}"
    if paired is not None:
        clear = _is_better(paired, results.metrics[0])
        return f"{who}: {with_unit(paired, results.metrics[0])}." if clear else ""
    if share is not None and share.mean is not None and share.low is not None:
        clear = share.low > 1 and share.n >= MIN_SCENES
        return f"{who}: it has {percent_interval(share)} of its gain over the noisy input." if clear else ""
    return f"{best.name} has a better mean {label} than the teacher: {_means(results, best, teacher)}."


def against_distillation(results: Results, best: System, role: str) -> str:
    """That the best of several is the baseline itself, or learned without a teacher while others had one."""
    others = [system for system in results.candidates if system != best]
    what = ["is the baseline itself"] if others and best.name == results.baseline else []
    if not best.is_distilled and any(system.is_distilled for system in others):
        what.append("was trained without distillation")
    if not what:
        return ""
    if any(_is_ahead(results, system, best) for system in others):
        return ""
    label = metric_style(results.metrics[0]).label
    return f"The best {role} by {label}, {best.name}, {' and '.join(what)}: no other has a better mean."


def _is_ahead(results: Results, one: System, other: System) -> bool:
    """Whether the paired difference is clear, whatever the means say."""
    paired = _paired(results, one.name, other.name)
    return paired is not None and _is_better(paired, results.metrics[0])


def _is_above(results: Results, one: System, other: System) -> bool:
    """Whether the mean of one is better."""
    left, right = (results.mean_over_snr(system.name, results.metrics[0]) for system in (one, other))
    if left is None or right is None:
        return False
    return left > right if higher_is_better(results.metrics[0]) else left < right


def _paired(results: Results, one: str, other: str) -> Cell | None:
    """One − other over all SNRs, whichever of the two was the baseline; None if it is not known."""
    metric = results.metrics[0]
    if (found := results.overall_difference(one, other, metric)) is not None:
        return found
    turned = results.overall_difference(other, one, metric)
    if turned is None or turned.mean is None or turned.low is None or turned.high is None:
        return None
    return Cell(-turned.mean, -turned.high, -turned.low, turned.n, turned.n_failed)


def _is_better(difference: Cell, metric: str) -> bool:
    """Whether all of its interval is on the better side of zero, of enough scenes."""
    return difference.sign == (1 if higher_is_better(metric) else -1) and difference.n >= MIN_SCENES


def _means(results: Results, one: System, other: System) -> str:
    digits = metric_style(results.metrics[0]).digits
    told = [
        f"{number(results.mean_over_snr(system.name, results.metrics[0]), digits)} ({system.name})"
        for system in (one, other)
    ]
    return f"{told[0]} against {told[1]}, not compared in pairs (baseline={other.name} does)"
