"""A made-up evaluation for the tests of the report: its means follow from a few constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

SAMPLE_RATE = 16000
EVIL = '<script>alert("x")</script>'

GAIN = {"noisy": 0.0, "teacher": 1.0, "student": 0.5, EVIL: 0.75}
"""How much of the teacher's gain each system reaches, in every metric and at every SNR."""

MEANS = {"pesq_wb": (1.2, 0.8), "estoi": (0.4, 0.2), "si_sdr": (-1.5, 8.0)}
"""For each metric the mean of the noisy input at 0 dB and the teacher's gain."""

SIZES = {
    "noisy": (None, None),
    "teacher": (226_000, 3.6e9),
    "student": (56_500, 0.9e9),
    EVIL: (56_500, 0.9e9),
}

SNRS = (-5.0, 0.0, 5.0)


def make_summary(snr_db: tuple[float, ...] = SNRS, names: tuple[str, ...] = tuple(GAIN)) -> dict[str, Any]:
    """Means rise by 0.01 for each dB; intervals reach 0.1 to both sides."""
    return {
        "label": "synthetic speech",
        "data": "data/<i>office</i>",
        "split": "test",
        "n_scenes": 60,
        "snr_db": list(snr_db),
        "metrics": list(MEANS),
        "implementations": {"pesq_wb": "pesq 0.0.4 (no corrigendum 2)"},
        "array": {
            "positions": [[0.05, 0, 0], [0, 0.05, 0], [-0.05, 0, 0]],
            "ref_mic": 0,
            "name": "ring & <b>",
        },
        "systems": [_system(name) for name in names],
        "table": [_cell(name, snr, metric) for name in names for snr in snr_db for metric in MEANS],
        "differences": [_difference(snr, metric) for snr in snr_db for metric in MEANS],
        "provenance": {"created": "today", "versions": {"torch": "2.13.0"}, "seed": 0},
    }


def _system(name: str) -> dict[str, Any]:
    kind, (params, macs) = "noisy" if name == "noisy" else "model", SIZES[name]
    return {
        "name": name,
        "kind": kind,
        "params": params,
        "macs_per_second": macs,
        "mics": [0, 1],
        "causal": True,
    }


def _cell(name: str, snr_db: float, metric: str) -> dict[str, Any]:
    start, gain = MEANS[metric]
    mean = start + GAIN[name] * gain + 0.01 * snr_db
    where = {"system": name, "snr_db": snr_db, "metric": metric}
    return where | {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 60, "n_failed": 0}


def _difference(snr_db: float, metric: str) -> dict[str, Any]:
    """Its interval holds zero at 0 dB only."""
    where = {"system": EVIL, "baseline": "student", "snr_db": snr_db, "metric": metric}
    return where | {"mean": 0.3, "low": -0.1 if snr_db == 0 else 0.1, "high": 0.5, "n": 60}


def cell_of(summary: dict[str, Any], system: str, snr_db: float, metric: str) -> dict[str, Any]:
    """The entry of the table, to read or to change."""
    wanted = (system, snr_db, metric)
    return next(row for row in summary["table"] if (row["system"], row["snr_db"], row["metric"]) == wanted)


def write_evaluation(folder: Path) -> Path:
    """An evaluation folder with two listening examples of half a second in five versions."""
    (folder / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    examples = []
    for scene in ("test-1", "test-2"):
        waves = {}
        for place, name in enumerate(("student", "target", EVIL, "noisy", "teacher")):
            waves[name] = f"audio/{scene}-{place}.wav"
            soundfile.write(folder / waves[name], 0.1 * rng.uniform(-1, 1, 8000), SAMPLE_RATE, "PCM_16")
        examples.append({"scene": scene, "snr_db": 0, "title": f"{scene} <u>", "waves": waves})
    row = {
        "system": "student",
        "scene": "test-1",
        "snr_db": 0,
        "pesq_wb": None,
        "estoi": 0.4321,
        "si_sdr": -3.21,
    }
    row["reasons"] = {"pesq_wb": "no <utterance> found"}
    (folder / "summary.json").write_text(json.dumps(make_summary()))
    (folder / "examples.json").write_text(json.dumps(examples))
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "config.yaml").write_text("runs: [a, <b>]\n")
    return folder
