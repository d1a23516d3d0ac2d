"""Scores of networks and baselines, paired over the same scenes: one row per system, scene and SNR, and a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from arrayse.cluster import check_cluster
from arrayse.evaluation.claim import ROWS, claim, kept_and_missing
from arrayse.evaluation.examples import write_examples
from arrayse.evaluation.lineup import Lineup, line_up, load_runs
from arrayse.evaluation.scoring import CUE_TEXTS, Row, SceneTask, score_scene
from arrayse.evaluation.sources import Source, open_source
from arrayse.evaluation.summary import Request, Table, summarise_rows
from arrayse.evaluation.systems import describe_systems, find_teacher
from arrayse.files import alone_in, append_json_lines, read_json, write_json, write_json_lines
from arrayse.metrics import METRICS, implementation
from arrayse.parallel import run_tasks
from arrayse.provenance import ABOUT


def evaluate(
    request: Request,
    out: Path,
    workers: int,
    about: dict[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
    cluster: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Scores every scene, goes on from the rows that are there, and writes ``summary.json`` and example audio.

    Args:
        request: what is to be scored.
        out: folder; one in which the same was begun is finished, and systems that are new there are added.
        workers: processes; each computes with one thread.
        about: provenance, for the summary.
        progress: called with scenes done and in all, unless nothing is to be scored because there are no metrics.
        cluster: as for :func:`arrayse.parallel.run_tasks`.
        tell: gets a line about what is kept of what is there, if anything is.

    Returns:
        The summary.

    Raises:
        ValueError: runs that are none or do not go with the data, unknown names, metrics and baselines that need to
            know more than is known, too few scenes, a folder that holds something else or that another process
            writes into.
        RuntimeError: see :func:`arrayse.parallel.run_tasks`.
    """
    if cluster is not None:
        check_cluster(cluster)
    source = open_source(request.source, request.data, request.split, request.n_scenes)
    _check_request(request, source)
    enhancers = load_runs(request.runs)
    abouts = {name: read_json(run / ABOUT, "run") for name, run in request.runs.items()}
    lineup = line_up(request, source, enhancers)
    systems = describe_systems(lineup, source, enhancers, abouts, request.teacher)
    with alone_in(out):
        there = claim(out, request, source, lineup)
        if there:
            tell(kept_and_missing(there, request, source, lineup))
        rows = _score(out, there, request, source, lineup, workers, progress, cluster)
        write_examples(out, lineup, source, request.snr_db, request.n_examples)
        tables, teacher = _tables(request, lineup, rows), find_teacher(systems, request.teacher)
        summary = summarise_rows(request, source, systems, tables, teacher, about)
        write_json(out / "summary.json", summary)
    return summary


def _check_request(request: Request, source: Source) -> None:
    """Raises ValueError for what the source cannot give."""
    if source.has_snr and not request.snr_db:
        raise ValueError(f"snr_db: expected one or more SNRs for a {source.kind}, got none")
    if not source.has_snr and request.snr_db:
        raise ValueError(f"snr_db: expected none for {source.kind}, which are as they are, got {request.snr_db}")
    if source.n_targets == 0:
        if told := [name for name in request.metrics if set(METRICS[name].needs) - {"noisy"}]:
            free = ", ".join(name for name, metric in METRICS.items() if not metric.needs)
            raise ValueError(f"metrics: expected some of {free} for {source.kind}, got {', '.join(told)}")
    elif not request.metrics:
        raise ValueError("metrics: expected one or more, got none")


def _score(
    out: Path,
    there: list[Row],
    request: Request,
    source: Source,
    lineup: Lineup,
    workers: int,
    progress: Callable[[int, int], None],
    cluster: str | None,
) -> list[Row]:
    """The rows of all scenes, in their order; those that are not ``there`` yet are made."""
    snr_db: list[float | None] = [*request.snr_db] or [None]
    names, scenes = lineup.names, source.scenes if request.metrics else []
    rows, scored = list(there), {(row["scene"], row["system"]) for row in there}
    write_json_lines(out / ROWS, rows)
    missing = {scene.id: {name for name in names if (scene.id, name) not in scored} for scene in scenes}
    tasks = [
        SceneTask(missing[scene.id], lineup.only(missing[scene.id]), scene, source.sample_rate, snr_db, request.metrics)
        for scene in scenes
        if missing[scene.id]
    ]
    finished = len(scenes) - len(tasks)
    if scenes:
        progress(finished, len(scenes))
    for done, scene_rows in enumerate(run_tasks(score_scene, tasks, workers, cluster), start=finished + 1):
        append_json_lines(out / ROWS, scene_rows)
        rows += scene_rows
        progress(done, len(scenes))
    keys: dict[str, list[Any]] = {"scene": [scene.id for scene in source.scenes], "snr_db": snr_db, "system": names}
    order = {key: {value: number for number, value in enumerate(values)} for key, values in keys.items()}
    rows.sort(key=lambda row: [places[row[key]] for key, places in order.items()])
    write_json_lines(out / ROWS, rows)
    return rows


def _tables(request: Request, lineup: Lineup, rows: list[Row]) -> list[Table]:
    """The rows of systems of one channel, and those of binaural ones, which have metrics of their own."""
    ears = set(lineup.ears) | {lineup.input_of[name] for name in lineup.ears}
    of_ears = {system for system, names in lineup.systems.items() if ears & set(names.values())}
    texts = {metric: implementation(metric) for metric in request.metrics}
    tables = []
    for metrics, wanted in ((texts, lineup.systems.keys() - of_ears), (CUE_TEXTS, of_ears)):
        systems = {system: names for system, names in lineup.systems.items() if system in wanted}
        named = {name for names in systems.values() for name in names.values()}
        inputs = {system: lineup.input_of.get(next(iter(names.values()))) for system, names in systems.items()}
        input_of = {system: name for system, name in inputs.items() if name is not None}
        if systems and metrics:
            tables.append(Table([row for row in rows if row["system"] in named], metrics, systems, input_of))
    return tables
