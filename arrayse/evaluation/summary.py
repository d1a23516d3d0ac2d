"""From rows (system, scene, SNR) to the numbers of the table: means with intervals, paired differences, gain kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.evaluation.breakdown import breakdown, count_unknown
from arrayse.evaluation.conditions import Conditions
from arrayse.evaluation.sources import DATASET, Source
from arrayse.metrics import METRICS
from arrayse.statistics import Assessment, Scores, assess_all, count_reasons, scores_by_name, scores_of

Rows = list[dict[str, Any]]
Cell = dict[str, Any]

NOISY = "noisy"
"""The system that does nothing: the array's reference microphone."""

TARGET = "target"
"""The clean speech, among the examples to hear."""

BEAMFORMER, TEACHER, MODEL = "beamformer", "teacher", "model"
"""Other kinds of systems: those that are told something of the truth, networks that taught others, and networks."""

OTHER_MIC = "estimates speech at another microphone than the teacher"


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        runs: run folders by the name shown; NAME_s0, NAME_s1 … are trainings of one system.
        data: the folder with what they are scored on.
        split: of a dataset.
        snr_db: SNRs in dB, every scene of a dataset at each of them; none for files.
        n_scenes: only the first so many scenes; None for all.
        metrics: names of :data:`arrayse.metrics.METRICS`.
        baseline: system that paired differences are taken to, beside those to the noisy input; None: no other.
        n_examples: scenes whose audio is kept, at the SNR closest to 0 dB.
        seed: of the bootstrap.
        beamformers: names of :data:`arrayse.evaluation.baselines.BEAMFORMERS`, scored beside the runs.
        source: what is in the folder, one of :data:`arrayse.evaluation.sources.SOURCES`.
        other_array: whether networks may hear another array than theirs, channel by channel.
        teacher: system whose gain the others are to keep; None: the largest one that taught another run.
        binaural: for each name the runs of the left and the right ear, whose interaural cues are scored.
    """

    runs: dict[str, Path]
    data: Path
    split: str
    snr_db: list[float]
    n_scenes: int | None
    metrics: list[str]
    baseline: str | None
    n_examples: int
    seed: int
    beamformers: list[str] = field(default_factory=list)
    source: str = DATASET
    other_array: bool = False
    teacher: str | None = None
    binaural: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The rows that have the same metrics.

    Attributes:
        rows: in any order.
        metrics: what they hold, and what computed it.
        systems: names in the rows by system and seed, the untouched inputs among them.
        input_of: for each system but the inputs, the input that its gain is over.
    """

    rows: Rows
    metrics: Mapping[str, str]
    systems: dict[str, dict[int, str]]
    input_of: dict[str, str]


def summarise_rows(
    request: Request,
    source: Source,
    systems: list[dict[str, Any]],
    tables: list[Table],
    teacher: str | None,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Everything that tables and reports show, as plain values.

    Args:
        request: what was asked for.
        source: what was scored on.
        systems: what each system is.
        tables: the rows; tables have no metric in common.
        teacher: the system whose gain the others are to keep.
        about: provenance of the evaluation.
    """
    known = {scene.id: scene.conditions for scene in source.scenes}
    return {
        "label": source.label,
        "source": source.kind,
        "data": str(request.data),
        "split": request.split if source.has_snr else None,
        "n_scenes": len(source.scenes),
        "snr_db": request.snr_db,
        "metrics": [metric for table in tables for metric in table.metrics],
        "implementations": {metric: text for table in tables for metric, text in table.metrics.items()},
        "array": None if source.geometry is None else source.geometry.to_dict(),
        "systems": systems,
        **_numbers(request, tables, known, teacher),
        "unknown_conditions": count_unknown(_told(known)),
        "failures": [cell for table in tables for cell in count_reasons(table.rows, list(table.metrics))],
        "provenance": about,
    }


def _numbers(
    request: Request, tables: list[Table], known: Mapping[str, Conditions | None], teacher: str | None
) -> dict[str, list[Cell]]:
    """All means, differences and shares; none depends on another: all are drawn from the same state."""
    rng = np.random.default_rng(request.seed)
    found: dict[str, list[Cell]] = {part: [] for part in ("table", "differences", "gain_kept", "breakdown")}
    for table in tables:
        for metric in table.metrics:
            for snr_db, scores in _scores(table, metric, list(known), request.snr_db):
                cell = {"snr_db": snr_db, "metric": metric}
                for part, cells in _cells(table, cell, scores, request.baseline, teacher, rng).items():
                    found[part] += cells
            if places := _told(known):
                found["breakdown"] += breakdown(table.rows, places, metric, table.systems, rng)
    return found


def _told(known: Mapping[str, Conditions | None]) -> dict[str, Conditions]:
    """Conditions by scene; none of files, of which nothing is known."""
    return {scene: found for scene, found in known.items() if found is not None}


def _scores(
    table: Table, metric: str, scenes: list[str], snr_db: list[float]
) -> Iterator[tuple[float | None, dict[str, Scores]]]:
    """Scores by system at every SNR, then, under None, their means over all SNRs; of files as they are."""
    by_name = scores_by_name(table.rows, metric, scenes)
    every: list[float | None] = [*snr_db]
    at = [(each, [each]) for each in every]
    for each, together in [*at, (None, every or [None])]:
        yield each, {system: scores_of(by_name, names, together) for system, names in table.systems.items()}


def _cells(
    table: Table,
    cell: Cell,
    scores: dict[str, Scores],
    baseline: str | None,
    teacher: str | None,
    rng: np.random.Generator,
) -> dict[str, list[Cell]]:
    """What the summary says of one metric at one SNR.

    ``p_holm`` is corrected for all systems that are compared with the same kind of thing: inputs, or the baseline.
    """
    better = cell["metric"] not in METRICS or METRICS[cell["metric"]].higher_is_better
    inputs = {system: scores[name] for system, name in table.input_of.items()}
    has_teacher = teacher is not None and teacher in table.input_of
    beside = {system: given for system, given in inputs.items() if has_teacher and system != teacher}
    comparable = {s: v for s, v in beside.items() if table.input_of[s] == table.input_of[str(teacher)]}
    taught = scores[str(teacher)] if has_teacher else None
    found = assess_all(scores, rng, inputs, comparable, taught, higher_is_better=better)
    kept = [{"system": name, "teacher": teacher, **cell, **_gain_kept(found[name])} for name in beside]
    differences = [_difference(name, found[name], table.input_of[name], cell) for name in inputs]
    if baseline is not None and baseline in inputs:
        others = {name: scores[name] for name in inputs if name != baseline}
        against = assess_all(others, rng, dict.fromkeys(others, scores[baseline]))
        differences += [_difference(name, each, baseline, cell) for name, each in against.items()]
    return {
        "table": [{"system": name, **cell, **each.score.to_dict()} for name, each in found.items()],
        "differences": [difference for difference in differences if difference is not None],
        "gain_kept": kept,
    }


def _difference(name: str, found: Assessment, baseline: str, cell: Cell) -> Cell | None:
    """None where the two have no seed in common."""
    if found.difference is None or found.test is None:
        return None
    test = {"p": found.test.p, "p_holm": found.p_holm, "n_zero": found.test.n_zero}
    return {"system": name, "baseline": baseline, **cell, **found.difference.to_dict(), **test}


def _gain_kept(found: Assessment) -> Cell:
    if found.gain_kept is None:
        empty = {"mean": None, "low": None, "high": None, "n": 0, "n_seeds": 0}
        return {**empty, "reason": found.reasons.get("gain_kept", OTHER_MIC)}
    numbers = found.gain_kept.to_dict()
    return {key: numbers[key] for key in ("mean", "low", "high", "n", "n_seeds")} | {
        "reason": found.reasons.get("gain_kept")
    }
