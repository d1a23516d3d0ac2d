"""Scores of networks and baselines, paired over the same scenes: one row per system, scene and SNR, and a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from arrayse.checkpoint import MODEL, WEIGHTS
from arrayse.cluster import check_cluster
from arrayse.evaluation.examples import write_examples
from arrayse.evaluation.lineup import Lineup, line_up, load_runs
from arrayse.evaluation.scoring import CUE_TEXTS, Row, SceneTask, score_scene
from arrayse.evaluation.sources import Source, open_source
from arrayse.evaluation.summary import Request, Table, summarise_rows
from arrayse.evaluation.systems import describe_systems, find_teacher
from arrayse.files import (
    append_json_lines,
    check_new_folder,
    read_json,
    read_json_lines,
    sha256_of,
    write_json,
    write_json_lines,
)
from arrayse.metrics import METRICS, implementation
from arrayse.parallel import run_tasks
from arrayse.provenance import ABOUT

ROWS, REQUEST = "rows.jsonl", "request.json"

BEFORE = {"beamformers": [], "source": "dataset", "other_array": False, "binaural": {}}
"""What evaluations did that were begun before there was a choice."""


def evaluate(
    request: Request,
    out: Path,
    workers: int,
    about: dict[str, Any],
    progress: Callable[[int, int], None] = lambda done, total: None,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Scores every scene, goes on from the rows that are there, and writes ``summary.json`` and example audio.

    Args:
        request: what is to be scored.
        out: folder; one in which the same was begun is finished.
        workers: processes; each computes with one thread.
        about: provenance, for the summary.
        progress: called with scenes done and in all.
        cluster: as for :func:`arrayse.parallel.run_tasks`.

    Returns:
        The summary.

    Raises:
        ValueError: runs that are none or do not go with the data, unknown names, metrics and baselines that need to
            know more than is known, too few scenes, a folder that holds something else.
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
    _claim(out, request, source)
    rows = _score(out, request, source, lineup, workers, progress, cluster)
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
    request: Request,
    source: Source,
    lineup: Lineup,
    workers: int,
    progress: Callable[[int, int], None],
    cluster: str | None,
) -> list[Row]:
    """The rows of all scenes, in their order; those that are not on disk yet are made."""
    names = [name for each in lineup.systems.values() for name in each.values()]
    snr_db: list[float | None] = [*request.snr_db] or [None]
    rows = _complete_rows(out / ROWS, [scene.id for scene in source.scenes], len(names) * len(snr_db))
    write_json_lines(out / ROWS, rows)
    finished = {row["scene"] for row in rows}
    waiting = [scene for scene in source.scenes if scene.id not in finished] if request.metrics else []
    tasks = [SceneTask(lineup, scene, source.sample_rate, snr_db, request.metrics) for scene in waiting]
    total = len(finished) + len(tasks)
    progress(len(finished), total)
    for done, scene_rows in enumerate(run_tasks(score_scene, tasks, workers, cluster), start=len(finished) + 1):
        append_json_lines(out / ROWS, scene_rows)
        rows += scene_rows
        progress(done, total)
    order = {scene.id: number for number, scene in enumerate(source.scenes)}
    rows.sort(key=lambda row: order[row["scene"]])  # workers finish in any order; sort is stable within a scene
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


def _claim(out: Path, request: Request, source: Source) -> None:
    """Notes what is evaluated in ``out``, or checks that it is the same as what was begun there."""
    wanted = {
        "runs": {name: sha256_of(run / WEIGHTS) for name, run in request.runs.items()},
        "models": {name: sha256_of(run / MODEL) for name, run in request.runs.items()},
        "source": source.kind,
        **source.identity,
        "snr_db": request.snr_db,
        "metrics": request.metrics,
        "beamformers": request.beamformers,
        "other_array": request.other_array,
        "binaural": {name: list(ears) for name, ears in request.binaural.items()},
    }
    path = out / REQUEST
    if path.is_file():
        there = BEFORE | read_json(path, "evaluation")
        other = [name for name in wanted if there.get(name) != wanted[name]]
        if other:
            raise ValueError(
                f"{out}: expected an empty folder or the same evaluation, got one with other {', '.join(other)}"
            )
        return
    check_new_folder(out, "an evaluation")
    write_json(path, wanted)


def _complete_rows(path: Path, scenes: list[str], n_rows: int) -> list[Row]:
    """The rows of the scenes that are complete; a scene cut short by a kill is scored again."""
    by_scene: dict[str, list[Row]] = {scene: [] for scene in scenes}
    if path.is_file():
        for row in read_json_lines(path):
            if row["scene"] not in by_scene:
                raise ValueError(f"{path}: expected scenes of this evaluation, got {row['scene']}")
            by_scene[row["scene"]].append(row)
    return [row for rows in by_scene.values() if len(rows) == n_rows for row in rows]
