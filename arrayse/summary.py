"""From rows (system, scene, SNR) to the numbers of the table: means with intervals, paired differences, costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from arrayse.files import read_json
from arrayse.metrics import implementation
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.profile import macs_per_second, n_parameters
from arrayse.statistics import paired_difference, summarise

Rows = list[dict[str, Any]]


def summarise_rows(
    request: Any,
    dataset: Dataset,
    n_scenes: int,
    enhancers: dict[str, Enhancer],
    rows: Rows,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Everything that tables and reports show, as plain values.

    Args:
        request: :class:`arrayse.evaluate.Request`.
        dataset: the data.
        n_scenes: how many scenes were scored.
        enhancers: by name.
        rows: in the order of the scenes, so that values of different systems pair up.
        about: provenance.
    """
    rng = np.random.default_rng(request.seed)
    names = ["noisy", *enhancers]
    values = {
        (name, snr_db, metric): [row[metric] for row in rows if row["system"] == name and row["snr_db"] == snr_db]
        for name in names
        for snr_db in request.snr_db
        for metric in request.metrics
    }
    baseline = request.baseline or "noisy"
    table = [{**_cell(key), **vars(summarise(cell, rng))} for key, cell in values.items()]
    differences = []
    for (name, snr_db, metric), cell in values.items():
        if name not in (baseline, "noisy"):
            difference = paired_difference(cell, values[baseline, snr_db, metric], rng)
            differences.append({**_cell((name, snr_db, metric)), "baseline": baseline, **vars(difference)})
    return {
        "label": dataset.label,
        "data": str(request.data),
        "split": request.split,
        "n_scenes": n_scenes,
        "snr_db": request.snr_db,
        "metrics": request.metrics,
        "implementations": {metric: implementation(metric) for metric in request.metrics},
        "array": dataset.geometry.to_dict(),
        "systems": [_NOISY_SYSTEM, *_systems(request.runs, enhancers)],
        "table": table,
        "differences": differences,
        "provenance": about,
    }


_NOISY_SYSTEM = {
    "name": "noisy",
    "kind": "noisy",
    "params": None,
    "macs_per_second": None,
    "mics": None,
    "causal": None,
}


def _systems(runs: dict[str, Path], enhancers: dict[str, Enhancer]) -> list[dict[str, Any]]:
    abouts = {name: read_json(run / "about.json", "run") for name, run in runs.items()}
    teachers = {about["teacher"] for about in abouts.values() if about["teacher"]}
    return [
        {
            "name": name,
            "kind": "teacher" if str(runs[name].resolve()) in teachers else "model",
            "params": n_parameters(enhancer),
            "macs_per_second": macs_per_second(enhancer),
            "mics": enhancer.mics,
            "causal": enhancer.causal,
            "description": "; then ".join(abouts[name]["objectives"]),
        }
        for name, enhancer in enhancers.items()
    ]


def _cell(key: tuple[str, float, str]) -> dict[str, Any]:
    name, snr_db, metric = key
    return {"system": name, "snr_db": snr_db, "metric": metric}
