"""What an output folder is of: an evaluation goes on as it began, and grows without changing what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from arrayse.checkpoint import MODEL, WEIGHTS
from arrayse.evaluation.lineup import Lineup, binaural_input
from arrayse.evaluation.scoring import Row
from arrayse.evaluation.sources import Source
from arrayse.evaluation.summary import Request
from arrayse.files import check_new_folder, read_json, sha256_of, write_json
from arrayse.metrics import implementation
from arrayse.statistics import read_rows

ROWS, REQUEST = "rows.jsonl", "request.json"

SYSTEMS = ("runs", "models", "beamformers", "binaural")
"""Of a request: there may be more of them when an evaluation goes on."""

INPUTS, IMPLEMENTATIONS = "inputs", "implementations"
"""Of a request: the microphones that untouched inputs are, and what computes every metric."""

Identity = dict[str, Any]


def claim(out: Path, request: Request, source: Source, lineup: Lineup) -> list[Row]:
    """Notes what is evaluated in ``out``, or checks that it is all that was begun there, and perhaps more systems.

    A system without scores binds nobody: it may be left out or be another one, so that what failed can be put right.

    Args:
        out: folder of the evaluation.
        request: what is to be scored.
        source: what it is scored on.
        lineup: everything that is to have rows.

    Returns:
        The rows that are there, of scenes on which a system was scored at every SNR; what a kill cut short is left out.

    Raises:
        ValueError: a folder of something else, scores of other systems, microphones or versions of metrics, damaged
            rows.
    """
    wanted, path = _identity(request, source, lineup), out / REQUEST
    rows = []
    if path.is_file():
        there = _read_identity(path, wanted)
        _check_kind(out, there, wanted)
        known = {*lineup.names, *(name for key in (*SYSTEMS, INPUTS) for name in there.get(key, []))}
        snr_db: set[float | None] = {*request.snr_db} or {None}
        rows = _complete_rows(out / ROWS, {"scene": {scene.id for scene in source.scenes}, "system": known}, snr_db)
        _check_systems(out, there, wanted, {row["system"] for row in rows})
    else:
        check_new_folder(out, "an evaluation")
    write_json(path, wanted)
    names = set(lineup.names)
    return [row for row in rows if row["system"] in names]


def kept_and_missing(there: list[Row], request: Request, source: Source, lineup: Lineup) -> str:
    """Which scores are kept and which are to be made, in one line.

    Args:
        there: from :func:`claim`.
        request: what is to be scored.
        source: what it is scored on.
        lineup: everything that is to have rows.
    """
    n_each = len(source.scenes) * max(1, len(request.snr_db))
    kept = Counter(row["system"] for row in there)
    missing = [f"{name} ({n})" for name in lineup.names if (n := n_each - kept[name])]
    told = f"{len(there)} rows of {', '.join(name for name in lineup.names if kept[name])}"
    return f"kept: {told}; to score: {', '.join(missing)}" if missing else f"all {told} were there: nothing to score"


def _identity(request: Request, source: Source, lineup: Lineup) -> Identity:
    inputs: dict[str, Any] = {name: mic for mic, name in lineup.inputs.items()}
    inputs |= {binaural_input(ears): [ear.fit.mic for ear in ears] for ears in lineup.ears.values()}
    return {
        "runs": {name: sha256_of(run / WEIGHTS) for name, run in request.runs.items()},
        "models": {name: sha256_of(run / MODEL) for name, run in request.runs.items()},
        "source": source.kind,
        **source.identity,
        "snr_db": request.snr_db,
        "metrics": request.metrics,
        IMPLEMENTATIONS: {name: implementation(name) for name in request.metrics},
        "beamformers": request.beamformers,
        "other_array": request.other_array,
        "binaural": {name: list(ears) for name, ears in request.binaural.items()},
        INPUTS: inputs,
    }


def _read_identity(path: Path, wanted: Identity) -> Identity:
    """What was begun; raises ValueError unless all that may grow has the form that is wanted."""
    there = read_json(path, "evaluation")
    for key in (*SYSTEMS, INPUTS, IMPLEMENTATIONS):
        begun: Any = there.get(key, wanted[key]) if isinstance(there, dict) else None
        if type(begun) is not type(wanted[key]) or not all(isinstance(name, str) for name in begun):
            raise ValueError(f"{path}: {key}: expected names of what is evaluated here, got {str(begun)[:60]}")
    return dict(there)


def _check_kind(out: Path, there: Identity, wanted: Identity) -> None:
    """Raises ValueError for all that must stay as it was begun."""
    may_grow = (*SYSTEMS, INPUTS, IMPLEMENTATIONS)
    if other := [key for key in wanted if key not in may_grow and there.get(key) != wanted[key]]:
        raise _other(out, other)
    for name, text in wanted[IMPLEMENTATIONS].items():
        noted = there.get(IMPLEMENTATIONS, {}).get(name, f"{name}: an earlier version of arrayse that did not note it")
        if noted != text:
            raise ValueError(f"{out}: expected an empty folder or scores of {text}, got scores of {noted}")


def _check_systems(out: Path, there: Identity, wanted: Identity, scored: Collection[str]) -> None:
    """Raises ValueError where those that were scored are left out now, or are others."""
    other = []
    for key in SYSTEMS:
        begun, asked = (_named(each) for each in (there.get(key, {}), wanted[key]))
        if any(name in scored and (name, what) not in asked.items() for name, what in begun.items()):
            other.append(key)
    if other:
        raise _other(out, other)
    for name, mic in wanted[INPUTS].items():
        begun_at = there.get(INPUTS, {}).get(name, mic)
        if name in scored and begun_at != mic:
            raise ValueError(
                f"{out}: expected {name} to be microphone {begun_at}, as in the scores that are there, got {mic}: "
                f"name a run first that estimates speech at microphone {begun_at}"
            )


def _named(systems: dict[str, Any] | list[str]) -> dict[str, Any]:
    return systems if isinstance(systems, dict) else dict.fromkeys(systems)


def _other(out: Path, keys: list[str]) -> ValueError:
    return ValueError(
        f"{out}: expected an empty folder or the same evaluation, perhaps with more systems, "
        f"got one with other {', '.join(keys)}"
    )


def _complete_rows(path: Path, known: dict[str, set[str]], snr_db: set[float | None]) -> list[Row]:
    """The rows of systems that were scored on a scene at every SNR.

    Args:
        path: JSON lines; none is no rows.
        known: the scenes and systems that there may be.
        snr_db: the SNRs in dB; None alone for scenes as they were recorded.

    Raises:
        ValueError: a row of something else, or a second one of the same.
    """
    wanted: dict[str, set[Any]] = {**known, "snr_db": snr_db}
    found: dict[tuple[str, str], dict[Any, Row]] = {}
    for number, row in enumerate(read_rows(path) if path.is_file() else [], start=1):
        if other := {key: row.get(key) for key, values in wanted.items() if row.get(key) not in values}:
            raise ValueError(f"{path}: line {number}: expected scores of this evaluation, got {other}")
        rows = found.setdefault((row["scene"], row["system"]), {})
        if row["snr_db"] in rows:
            told = {key: row[key] for key in wanted}
            raise ValueError(f"{path}: line {number}: expected one row for each scene, system and SNR, got two: {told}")
        rows[row["snr_db"]] = row
    return [row for rows in found.values() if rows.keys() == snr_db for row in rows.values()]
