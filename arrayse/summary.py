"""From rows (system, scene, SNR) to the numbers of the table: means with intervals, paired differences, costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.beamform import BEAMFORMERS
from arrayse.breakdown import breakdown, count_unknown
from arrayse.checkpoint import fingerprint, is_finished
from arrayse.conditions import conditions
from arrayse.metrics import implementation
from arrayse.mixture import Dataset, SceneEntry
from arrayse.models import Enhancer
from arrayse.profile import macs_per_second, n_parameters
from arrayse.statistics import count_reasons, group_seeds, holm, paired_difference, signed_rank, summarise

Rows = list[dict[str, Any]]
Key = tuple[str, float, str]
"""System, SNR in dB, metric."""

NOISY = "noisy"
"""The system that does nothing: the array's reference microphone."""

BEAMFORMER = "beamformer"
"""The kind of systems that are told something of the truth: beamformers and oracle masks."""


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        runs: run folders by the name shown.
        data: the dataset folder.
        split: its split.
        snr_db: SNRs in dB, every scene at each of them.
        n_scenes: only the first so many scenes; None for all.
        metrics: names of :data:`arrayse.metrics.METRICS`.
        baseline: system that paired differences are taken to, beside those to the noisy input; None: no other.
        n_examples: scenes whose audio is kept, at the SNR closest to 0 dB.
        seed: of the bootstrap.
        beamformers: names of :data:`arrayse.beamform.BEAMFORMERS`, scored beside the runs.
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


def summarise_rows(
    request: Request,
    dataset: Dataset,
    entries: list[SceneEntry],
    enhancers: dict[str, Enhancer],
    beamformers: dict[str, str],
    noisy: dict[str, str],
    abouts: dict[str, dict[str, Any]],
    rows: Rows,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Everything that tables and reports show, as plain values.

    Args:
        request: what was asked for.
        dataset: the data.
        entries: the scenes that were scored.
        enhancers: by name.
        beamformers: descriptions by name.
        noisy: for each of both, the name of the noisy signal at its microphone.
        abouts: for each enhancer, what made it.
        rows: in the order of the scenes, so that values of different systems pair up.
        about: provenance of the evaluation.
    """
    rng = np.random.default_rng(request.seed)
    inputs = list(dict.fromkeys([NOISY, *noisy.values()]))
    values = {
        (name, snr_db, metric): [row[metric] for row in rows if row["system"] == name and row["snr_db"] == snr_db]
        for name in [*inputs, *beamformers, *enhancers]
        for snr_db in request.snr_db
        for metric in request.metrics
    }
    table = [{**_cell(key), **vars(summarise(cell, rng))} for key, cell in values.items()]
    known = {entry.id: conditions(entry) for entry in entries}
    systems = group_seeds([*inputs, *beamformers, *enhancers])
    return {
        "label": dataset.label,
        "data": str(request.data),
        "split": request.split,
        "n_scenes": len(entries),
        "snr_db": request.snr_db,
        "metrics": request.metrics,
        "implementations": {metric: implementation(metric) for metric in request.metrics},
        "array": dataset.geometry.to_dict(),
        "systems": [
            *map(_noisy_system, inputs),
            *(_beamformer_system(name, text, dataset) for name, text in beamformers.items()),
            *_systems(request.runs, enhancers, abouts),
        ],
        "table": table,
        "differences": _differences(values, noisy, request.baseline, rng),
        "breakdown": [cell for metric in request.metrics for cell in breakdown(rows, known, metric, systems, rng)],
        "unknown_conditions": count_unknown(known),
        "failures": count_reasons(rows, request.metrics),
        "provenance": about,
    }


def _differences(
    values: dict[Key, list[float | None]], noisy: dict[str, str], baseline: str | None, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Paired differences to the noisy signal and to the baseline, with p values.

    ``p_holm`` is corrected for all systems that are compared with the same, at one SNR in one metric.
    """
    differences: list[dict[str, Any]] = []
    families: dict[tuple[bool, float, str], list[dict[str, Any]]] = defaultdict(list)
    for (name, snr_db, metric), cell in values.items():
        for other in (noisy.get(name), baseline):
            if name in noisy and other not in (None, name):
                pair = values[other, snr_db, metric]
                test = signed_rank([_minus(*each) for each in zip(cell, pair, strict=True)])
                found = {**_cell((name, snr_db, metric)), "baseline": other, **vars(paired_difference(cell, pair, rng))}
                differences.append({**found, "p": test.p, "n_zero": test.n_zero})
                families[other == baseline, snr_db, metric].append(differences[-1])
    for family in families.values():
        for difference, p in zip(family, holm([each["p"] for each in family]), strict=True):
            difference["p_holm"] = p
    return differences


def _noisy_system(name: str) -> dict[str, Any]:
    return {"name": name, "kind": NOISY, "params": None, "macs_per_second": None, "mics": None, "causal": None}


def _beamformer_system(name: str, description: str, dataset: Dataset) -> dict[str, Any]:
    baseline, geometry = BEAMFORMERS[name], dataset.geometry
    mics = [geometry.ref_mic] if baseline.one_mic else list(range(geometry.n_mics))
    about = {"mics": mics, "causal": baseline.causal, "description": description}
    return {"name": name, "kind": BEAMFORMER, "params": None, "macs_per_second": None, **about}


def _systems(
    runs: dict[str, Path], enhancers: dict[str, Enhancer], abouts: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """What each system is; a teacher is one whose weights another one was taught with."""
    teachers = {weights for about in abouts.values() for weights in (about.get("teachers") or {}).values()}
    systems = []
    for name, enhancer in enhancers.items():
        finished = "" if is_finished(runs[name]) else "training not finished; "
        systems.append(
            {
                "name": name,
                "kind": "teacher" if fingerprint(runs[name]) in teachers else "model",
                "params": n_parameters(enhancer),
                "macs_per_second": macs_per_second(enhancer),
                "mics": enhancer.mics,
                "causal": enhancer.causal,
                "description": finished + "; then ".join(abouts[name]["objectives"]),
            }
        )
    return systems


def _minus(score: float | None, other: float | None) -> float | None:
    return None if score is None or other is None else score - other


def _cell(key: Key) -> dict[str, Any]:
    name, snr_db, metric = key
    return {"system": name, "snr_db": snr_db, "metric": metric}
