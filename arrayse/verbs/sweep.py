"""Sweeping a condition: scenes at every value, scores on them, one table and one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.checkpoint import MODEL
from arrayse.config import ConfigError, read_array, write_config
from arrayse.evaluation.claim import ROWS
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import alone_in, check_new_folder, read_json, read_json_lines, sha256_of, write_json, write_text
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import Dataset
from arrayse.parallel import available_cores
from arrayse.provenance import provenance
from arrayse.report.sweep_figure import draw_sweep
from arrayse.report.sweep_table import sweep_csv, sweep_markdown
from arrayse.sweep import (
    CONDITIONS,
    SNR,
    Variant,
    check_values,
    count_paired,
    draw_variants,
    label_of,
    render_variant,
    sweep_rows,
    systems_of,
)
from arrayse.sweep.conditions import Value
from arrayse.verbs.common import CONFIG, Values, open_data
from simulate.description import open_world

OWN = "own"
"""The array of the dataset, as a value of ``other_array``."""

DEFAULT_SNR_DB = 5.0
SWEEP = "sweep.json"
Progress = Callable[[int, int], None]


def run_sweep(values: Values, runs: dict[str, Path], progress: Progress = lambda done, total: None) -> Values:
    """Sweeps a condition and returns what ``sweep.json`` holds; tables and figures lie beside it.

    Args:
        values: of a sweep config.
        runs: run folders by name.
        progress: called with scenes done and in all, where each is rendered and scored at every value.

    Raises:
        ValueError: unknown runs, reference or baseline, values or a dataset that do not go with the condition, a
            folder that holds something else or that another process writes into; see
            :func:`arrayse.evaluation.loop.evaluate`.
    """
    out, dataset = Path(values["out"]), open_data(Path(values["data"]))
    swept = _checked(values, runs, dataset)
    labels = [label_of(value) for value in swept]
    n_scenes = min(values["n_scenes"], len(dataset.entries(values["split"])))
    about: Values = {"usual": None, "n_paired": n_scenes}
    variants: list[Variant] = []
    if values["condition"] != SNR:
        world, _ = open_world(dataset.folder)
        variants = draw_variants(values["condition"], swept, world, values["split"], n_scenes)
        about = {"usual": CONDITIONS[values["condition"]].usual(world.recipe), "n_paired": count_paired(variants)}
    with alone_in(out):
        _claim(out, values["condition"])
        if values["condition"] == SNR:
            rows = _score_stems(values, runs, swept, n_scenes, progress)
        else:
            rows = _score_variants(values, runs, variants, dataset, progress)
        summary = _summary(values, runs, labels, rows, dataset.label, n_scenes) | about
        summary["provenance"] = provenance(values["seed"])
        write_config(out / CONFIG, values)  # not before: a sweep that is refused leaves the config of the last one
        write_json(out / SWEEP, summary)
        write_text(out / "table.md", sweep_markdown(summary))
        write_text(out / "table.csv", sweep_csv(summary))
        draw_sweep(summary, out / "figure.svg")
        draw_sweep(summary, out / "figure.png")
    return summary


def _checked(values: Values, runs: dict[str, Path], dataset: Dataset) -> list[Value]:
    """The values to sweep, after a look at everything that can be seen before any work."""
    name = values["condition"]
    if name == SNR and values["snr_db"] is not None:
        raise ConfigError(f"snr_db: expected none with condition {SNR}, whose values it is, got {values['snr_db']:g}")
    for run in runs.values():
        if not (run / MODEL).is_file():
            raise ConfigError(f"runs: expected run folders, got {run} without {MODEL}")
    if not runs and not values["beamformers"]:
        raise ConfigError("runs: expected run folders or beamformers, got none")
    told = values["values"]
    if name == "other_array":
        told = [dataset.geometry if value == OWN else _array(value) for value in told]
    try:
        swept = check_values(name, told, dataset.geometry)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    labels = [label_of(value) for value in swept]
    if values["reference"] is not None and _reference(values, labels) not in labels:
        raise ConfigError(f"reference: expected one of {', '.join(labels)}, got {values['reference']}")
    known = [system.name for system in systems_of(values["beamformers"], list(runs))]
    if values["baseline"] not in (None, *known):
        raise ConfigError(f"baseline: expected one of {', '.join(known)}, got {values['baseline']}")
    return swept


def _array(value: Any) -> ArrayGeometry:
    if isinstance(value, float):
        raise ConfigError(f"values: expected arrays: {OWN}, a name, a YAML file or its content, got {value:g}")
    return read_array(value)


def _reference(values: Values, labels: Sequence[str]) -> str:
    told = values["reference"]
    return labels[0] if told is None else label_of(told)


def _claim(out: Path, condition: str) -> None:
    """Notes the condition, or checks that the folder is of a sweep of the same; its parts check all else."""
    path = out / "condition.json"
    if path.is_file():
        there = read_json(path, "sweep")
        if there != condition:
            raise ValueError(f"{out}: expected an empty folder or a sweep of {condition}, got one of {there}")
    else:
        check_new_folder(out, "a sweep")
        write_json(path, condition)


def _score_stems(
    values: Values, runs: dict[str, Path], swept: Sequence[Value], n_scenes: int, progress: Progress
) -> dict[str, list[Values]]:
    """Rows by value of the stems of the dataset itself, at every SNR."""
    out = Path(values["out"]) / "evaluation"
    snr_db = [float(value) for value in swept if isinstance(value, (int, float))]
    request = _request(values, runs, Path(values["data"]), snr_db, n_scenes)
    evaluate(request, out, values["workers"] or available_cores(), provenance(values["seed"]), progress)
    rows = list(read_json_lines(out / ROWS))
    return {label_of(value): [row for row in rows if row["snr_db"] == value] for value in snr_db}


def _score_variants(
    values: Values, runs: dict[str, Path], variants: Sequence[Variant], dataset: Dataset, progress: Progress
) -> dict[str, list[Values]]:
    """Rows by value; each is rendered and scored before the next, so that what cannot be is told soon."""
    out, workers = Path(values["out"]), values["workers"] or available_cores()
    snr_db = DEFAULT_SNR_DB if values["snr_db"] is None else values["snr_db"]
    about = {"label": dataset.label, "sample_rate": dataset.sample_rate}
    sweep = {
        "condition": values["condition"],
        "values": [variant.label for variant in variants],
        "data": sha256_of(dataset.folder / "dataset.json"),
    }
    rows, before, total = {}, 0, 2 * sum(len(variant.scenes) for variant in variants)
    for variant in variants:
        n, folder = len(variant.scenes), out / "scenes" / variant.folder
        rendered, scored = (_within(progress, before + passed, total) for passed in (0, n))
        render_variant(variant, folder, {**about, "sweep": sweep}, values["split"], workers, rendered)
        request = _request(values, runs, folder, [snr_db], n)
        place = out / "evaluations" / variant.folder
        evaluate(request, place, workers, provenance(values["seed"]), scored)
        rows[variant.label] = list(read_json_lines(place / ROWS))
        before += 2 * n
    return rows


def _within(progress: Progress, before: int, total: int) -> Progress:
    """What a part tells of itself, as a part of the whole."""
    return lambda done, _: progress(before + done, total)


def _request(values: Values, runs: dict[str, Path], data: Path, snr_db: list[float], n_scenes: int) -> Request:
    return Request(
        runs=runs,
        data=data,
        split=values["split"],
        snr_db=snr_db,
        n_scenes=n_scenes,
        metrics=values["metrics"],
        baseline=None,
        n_examples=0,
        seed=values["seed"],
        beamformers=values["beamformers"],
        other_array=values["condition"] == "other_array",
    )


def _summary(
    values: Values,
    runs: dict[str, Path],
    labels: Sequence[str],
    rows: dict[str, list[Values]],
    label: str,
    n_scenes: int,
) -> Values:
    """What ``sweep.json`` holds, but for what is known of the scenes and of its making."""
    condition = CONDITIONS[values["condition"]]
    named = dict.fromkeys(row["system"] for each in rows.values() for row in each)
    inputs = [name for name in named if name not in runs and name not in values["beamformers"]]
    systems = systems_of(values["beamformers"], list(runs), inputs)
    reference, rng = _reference(values, labels), np.random.default_rng(values["seed"])
    return {
        "condition": values["condition"],
        "title": condition.title,
        "held": condition.held,
        "values": list(labels),
        "numbers": None if condition.limits is None else [float(each) for each in labels],
        "reference": reference,
        "baseline": values["baseline"],
        "label": label,
        "data": values["data"],
        "split": values["split"],
        "n_scenes": n_scenes,
        "snr_db": None if values["condition"] == SNR else sorted({row["snr_db"] for row in rows[labels[0]]})[0],
        "metrics": values["metrics"],
        "systems": [system.to_dict() for system in systems],
        "rows": sweep_rows(rows, systems, values["metrics"], reference, values["baseline"], rng),
    }
