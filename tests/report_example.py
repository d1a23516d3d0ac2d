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
        "mics": None if name == "noisy" else [0, 1],
        "causal": True,
    }


def _cell(name: str, snr_db: float | None, metric: str) -> dict[str, Any]:
    start, gain = MEANS[metric]
    mean = start + GAIN[name] * gain + 0.01 * (snr_db or 0)
    where = {"system": name, "snr_db": snr_db, "metric": metric}
    return where | {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 60, "n_failed": 0}


def _difference(snr_db: float, metric: str) -> dict[str, Any]:
    """Its interval holds zero at 0 dB only."""
    where = {"system": EVIL, "baseline": "student", "snr_db": snr_db, "metric": metric}
    return where | {"mean": 0.3, "low": -0.1 if snr_db == 0 else 0.1, "high": 0.5, "n": 60}


GROUPS = {"noise": ("babble", "fan", "several"), "rt60": ("0.2–0.3 s", "0.3–0.4 s"), "snr": ("0 dB",)}
"""Of each condition; the mean of a system is 0.05 higher in every next one."""


def whole_summary(snr_db: tuple[float, ...] = SNRS, names: tuple[str, ...] = tuple(GAIN)) -> dict[str, Any]:
    """The same with all that evaluations write by now: means over SNR, p values, gain kept, groups, seeds, latency."""
    summary = make_summary(snr_db, names)
    columns: list[float | None] = [*snr_db, None]
    models = [name for name in names if name != "noisy"]
    for system in summary["systems"]:
        n_seeds = 2 if system["name"] == "student" else 0
        system["n_seeds"] = n_seeds
        system["runs"] = [f"{system['name']}_s{seed}" for seed in range(n_seeds)] or [system["name"]]
        system["latency_ms"] = None if system["kind"] == "noisy" else 32.0
        system["foreign_array"] = None
    summary["table"] = [_cell(name, snr, metric) for metric in MEANS for snr in columns for name in names]
    for row in summary["table"]:
        row["median"] = row["mean"] - 0.01
    summary["differences"] = [
        _tested(name, baseline, snr, metric)
        for metric in MEANS
        for snr in columns
        for baseline in ("noisy", "student")
        for name in models
        if name != baseline and baseline in names
    ]
    summary["gain_kept"] = [
        _kept(name, snr, m) for m in MEANS for snr in columns for name in models if name != "teacher"
    ]
    summary["breakdown"] = [_group(name, *place, m) for m in MEANS for name in names for place in _places()]
    summary["unknown_conditions"] = [{"condition": "doa", "reason": "measured <room>", "n": 60}]
    summary["failures"] = [{"system": "student_s0", "metric": "pesq_wb", "reason": "no <utterance> found", "n": 1}]
    return summary | {"source": "dataset"}


def _tested(name: str, baseline: str, snr_db: float | None, metric: str) -> dict[str, Any]:
    """The p value depends on the metric alone."""
    mean = (GAIN[name] - GAIN[baseline]) * MEANS[metric][1]
    p = {"pesq_wb": 0.0004, "estoi": 0.03, "si_sdr": 0.2}[metric]
    where = {"system": name, "baseline": baseline, "snr_db": snr_db, "metric": metric}
    return where | {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 60, "p": p / 2, "p_holm": p}


def _kept(name: str, snr_db: float | None, metric: str) -> dict[str, Any]:
    """None of the gain in SI-SDR, in which the teacher is said to have none."""
    where = {"system": name, "teacher": "teacher", "snr_db": snr_db, "metric": metric, "n": 60, "n_seeds": 0}
    if metric == "si_sdr":
        return where | {"mean": None, "low": None, "high": None, "reason": "no clear <gain>"}
    return where | {"mean": GAIN[name], "low": GAIN[name] - 0.12, "high": GAIN[name] + 0.12, "reason": None}


def _places() -> list[tuple[str, str, int]]:
    return [(condition, value, place) for condition, values in GROUPS.items() for place, value in enumerate(values)]


def _group(name: str, condition: str, value: str, place: int, metric: str) -> dict[str, Any]:
    cell = _cell(name, None, metric)
    mean, few = cell["mean"] + 0.05 * place, place == 2
    return cell | {"mean": mean, "condition": condition, "value": value, "n": 3 if few else 20, "few": few}


def cell_of(summary: dict[str, Any], system: str, snr_db: float | None, metric: str) -> dict[str, Any]:
    """The entry of the table, to read or to change."""
    wanted = (system, snr_db, metric)
    return next(row for row in summary["table"] if (row["system"], row["snr_db"], row["metric"]) == wanted)


def write_evaluation(folder: Path) -> Path:
    """An evaluation folder of the old form with two listening examples of half a second in five versions."""
    names = ("student", "target", EVIL, "noisy", "teacher")
    write_examples(folder, names, n_scenes=2, seconds=0.5)
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
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "config.yaml").write_text("runs: [a, <b>]\n")
    return folder


def write_whole(folder: Path, n_scenes: int = 2, seconds: float = 0.5) -> Path:
    """An evaluation folder of today: four systems, one of them of two seeds, with rows and speeds."""
    summary, rng = whole_summary(), np.random.default_rng(1)
    names = [run for system in summary["systems"] for run in system["runs"]]
    heard = [name for name in names if name != "student_s1"]
    write_examples(folder, ("target", *heard), n_scenes, seconds)
    rows = [
        {"system": name, "scene": f"test-{scene}", "snr_db": snr, "reasons": {}}
        | {m: start + gain * float(rng.uniform()) for m, (start, gain) in MEANS.items()}
        for name in names
        for scene in range(1, 21)
        for snr in SNRS
    ]
    speeds = {name: {"real_time_factor": 0.0834, "seconds": 4.0} for name in GAIN if name != "noisy"}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "speed.json").write_text(json.dumps(speeds))
    (folder / "config.yaml").write_text("runs: [a, <b>]\n")
    return folder


def write_recordings(folder: Path) -> Path:
    """Recordings without reference: nothing is scored, there is no SNR and no target."""
    summary = whole_summary(()) | {"metrics": [], "source": "recordings", "split": None}
    summary |= {part: [] for part in ("table", "differences", "gain_kept", "breakdown", "failures")}
    summary["implementations"] = {}
    write_examples(folder, ("noisy", "student_s0"), n_scenes=1, seconds=0.5, snr_db=None)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "rows.jsonl").write_text("")
    return folder


def write_examples(
    folder: Path, names: tuple[str, ...], n_scenes: int, seconds: float, snr_db: float | None = 0
) -> None:
    """White noise: what takes most space in a page."""
    (folder / "audio").mkdir(parents=True)
    rng, examples = np.random.default_rng(0), []
    for scene in [f"test-{number}" for number in range(1, n_scenes + 1)]:
        waves = {}
        for place, name in enumerate(names):
            waves[name] = f"audio/{scene}-{place}.wav"
            wave = 0.1 * rng.uniform(-1, 1, round(seconds * SAMPLE_RATE))
            soundfile.write(folder / waves[name], wave, SAMPLE_RATE, "PCM_16")
        examples.append({"scene": scene, "snr_db": snr_db, "title": f"{scene} <u>", "waves": waves})
    (folder / "examples.json").write_text(json.dumps(examples))
