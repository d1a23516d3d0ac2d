"""Reads an evaluation folder: results, rows, speeds, listening examples and the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayse.files import read_json
from arrayse.report.results import Results, parse_results
from arrayse.statistics import read_rows


@dataclass(frozen=True)
class Example:
    """One scene to listen to: the same seconds as recorded, as spoken, after each system; some have no known SNR."""

    scene: str
    snr_db: float | None
    title: str
    waves: dict[str, Path]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation folder.

    Attributes:
        folder: where it was read.
        summary: the content of ``summary.json``.
        results: the same, checked, and ``speed.json`` where there is one.
        rows: ``rows.jsonl``, one document for each (name, scene, SNR); empty without that file.
        examples: ``examples.json``; empty without that file.
        config: text of ``config.yaml``; empty without that file.
    """

    folder: Path
    summary: dict[str, Any]
    results: Results
    rows: tuple[dict[str, Any], ...]
    examples: tuple[Example, ...]
    config: str


def read_evaluation(folder: Path) -> Evaluation:
    """Reads an evaluation folder; only ``summary.json`` must be there.

    Raises:
        ValueError: no summary, a file that is not what its name says, an example outside the folder.
    """
    summary, rows = folder / "summary.json", folder / "rows.jsonl"
    examples, config, speed = folder / "examples.json", folder / "config.yaml", folder / "speed.json"
    if not summary.is_file():
        raise ValueError(f"evaluation: expected summary.json in {folder}, got none")
    content = read_json(summary, "evaluation")
    try:
        results = parse_results(content, read_json(speed, "speed") if speed.is_file() else {})
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{summary}: {error}") from None
    return Evaluation(
        folder=folder,
        summary=content,
        results=results,
        rows=tuple(read_rows(rows)) if rows.is_file() else (),
        examples=_examples(folder, read_json(examples, "examples")) if examples.is_file() else (),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    )


def _examples(folder: Path, entries: Any) -> tuple[Example, ...]:
    found = []
    for entry in entries:
        try:
            scene, snr_db, waves = str(entry["scene"]), entry["snr_db"], dict(entry["waves"])
            snr_db = None if snr_db is None else float(snr_db)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"examples: expected scene, snr_db and waves, got {entry!r}") from None
        paths = {str(name): _inside(folder, str(path)) for name, path in waves.items()}
        found.append(Example(scene, snr_db, str(entry.get("title") or scene), paths))
    return tuple(found)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"examples: expected audio inside {folder}, got {name}")
    if not path.is_file():
        raise ValueError(f"examples: expected audio file {path}, got none")
    return path
