"""The table of the comparison, from the rows of its evaluation and what was measured beside it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compression.measure import exported, int8_name
from compression.networks import VARIANTS
from shared.tables import figures, piped

from arrayse.checkpoint import load_enhancer
from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.files import read_json, read_json_lines, write_text
from arrayse.profile.cost import Cost, cost
from arrayse.report.table_text import INTERVALS
from arrayse.report.text import count, decibels, metric_style, with_interval
from arrayse.statistics import Summary, paired_difference, scores_by_name, summarise

Scores = dict[tuple[str, float | None], np.ndarray]
"""(n_scenes,) by metric and SNR; the SNR is None for the mean over all of them."""

MAIN_SNR_DB = 0.0

NOTES = (
    f"Bootstrap over scenes. {INTERVALS} One training each: no interval has the spread of trainings in it."
    " Mean: the score of a scene is its mean over {snrs} dB.",
    "Difference, paired by scene: of a network in 32 bits to the first, one in 8 bits to itself in 32. In 8 bits: "
    "weights of LSTMs and large linear layers, inputs quantised as they come (ONNX Runtime), scored as a stream.",
    "Fixed and estimated beamformers are told the true direction of the talker, oracles the stems.",
    "RTF: CPU time of one thread for a block of a stream over its length, transforms included; median of {n} blocks, "
    "all networks in turns on one machine. Ratios mean more than the numbers themselves.",
)


@dataclass(frozen=True)
class Line:
    """A network in 32 or 8 bits.

    Attributes:
        name: of its run.
        int8: whether weights are in 8 bits.
        cost: of the network.
        kilobytes: of its ONNX file.
        factors: real-time factors by way to run it.
        scores: of the test scenes.
    """

    name: str
    int8: bool
    cost: Cost
    kilobytes: float
    factors: dict[str, float]
    scores: Scores


def write_tables(runs: Path, out: Path, n_blocks: int) -> None:
    """Writes ``table.md`` and ``table.csv``."""
    summary = read_json(runs / "evaluation" / "summary.json", "summary")
    rows = [*read_json_lines(runs / "evaluation" / "rows.jsonl"), *read_json_lines(runs / "rows_int8.jsonl")]
    factors = read_json(runs / "speed.json", "speed")
    lines = []
    for name in VARIANTS:
        costs = cost(load_enhancer(runs / name))
        for int8 in (False, True):
            scores = scores_of(int8_name(name) if int8 else name, rows, summary)
            kilobytes = exported(runs / name, int8).stat().st_size / 1000
            lines.append(Line(name, int8, costs, kilobytes, factors[name], scores))
    others = {name: scores_of(name, rows, summary) for name in ("noisy", *BEAMFORMERS)}
    write_text(out / "table.md", page(lines, others, summary, n_blocks))
    write_text(out / "table.csv", csv_table(lines, others))


def scores_of(name: str, rows: list[Any], summary: Any) -> Scores:
    """Scores of a system by metric and SNR, and their means over all SNRs."""
    scenes, found = sorted({row["scene"] for row in rows}), dict[tuple[str, float | None], np.ndarray]()
    for metric in summary["metrics"]:
        by_name = scores_by_name([row for row in rows if row["system"] == name], metric, scenes)
        found |= {(metric, snr_db): by_name[name, snr_db] for snr_db in summary["snr_db"]}
        found[metric, None] = np.mean([by_name[name, snr_db] for snr_db in summary["snr_db"]], axis=0)
    return found


def page(lines: list[Line], others: dict[str, Scores], summary: Any, n_blocks: int) -> str:
    """Markdown: cost and speed, then scores at 0 dB and over all SNRs; below them noisy input and baselines."""
    metrics, n_scenes = summary["metrics"], len(next(iter(others["noisy"].values())))
    titles = [metric_style(metric).title for metric in metrics]
    blocks = ["# Forms of a small FT-JNF: quality and cost"]
    blocks.append(f"{summary['label']}, split {summary['split']}: n = {n_scenes} scenes. Ring of five microphones.")
    for heading, snr_db in ((f"At {decibels(MAIN_SNR_DB)} dB", MAIN_SNR_DB), ("Mean over all SNRs", None)):
        head = ["Network", "Weights", "Latency (ms)", "Params", "MACs/s", "KB", "RTF torch", "RTF ONNX"]
        table = [[*head, *titles, f"{titles[0]} difference"]]
        for line, float_line in zip(lines, [each for each in lines if not each.int8 for _ in (0, 1)], strict=True):
            table.append([*left(line), *right(line, float_line if line.int8 else lines[0], metrics, snr_db)])
        for name, found in others.items():
            scores = [cell(metric, summarise(found[metric, snr_db], rng())) for metric in metrics]
            table.append([name.replace("_", r"\_"), *["–"] * 7, *scores, "–"])
        blocks += [f"**{heading}**", piped(table, 2)]
    snrs = ", ".join(decibels(each) for each in summary["snr_db"])
    notes = [note.format(snrs=snrs, n=n_blocks) for note in NOTES]
    implementations = [
        f"{metric_style(metric).label}: {by}." for metric, by in summary.get("implementations", {}).items()
    ]
    return "\n\n".join([*blocks, *notes, *implementations]) + "\n"


def left(line: Line) -> list[str]:
    """What it is and costs."""
    latency = f"{line.cost.latency_ms:g}"
    costs = [latency, count(line.cost.parameters), count(line.cost.macs_per_second), f"{line.kilobytes:.0f}"]
    torch = "–" if line.int8 else f"{line.factors['torch']:.3f}"
    onnx = line.factors["int8" if line.int8 else "onnx"]
    return [VARIANTS[line.name].title, "8 bits" if line.int8 else "32 bits", *costs, torch, f"{onnx:.3f}"]


def right(line: Line, other: Line, metrics: list[str], snr_db: float | None) -> list[str]:
    """How it scores, and the difference to another in the first metric."""
    cells = [cell(metric, summarise(line.scores[metric, snr_db], rng())) for metric in metrics]
    key = metrics[0], snr_db
    found = paired_difference(line.scores[key], other.scores[key], rng())
    return [*cells, "–" if line is other else cell(metrics[0], found, 1)]


def cell(metric: str, found: Summary, more_digits: int = 0) -> str:
    """The mean with its interval; signed where it is a difference."""
    return with_interval(found, metric_style(metric).digits + more_digits, signed=more_digits > 0)


def csv_table(lines: list[Line], others: dict[str, Scores]) -> str:
    """A line for each network or baseline, metric and SNR."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    about = ["network", "weights", "latency_ms", "params", "macs_per_second", "kilobytes", "rtf_torch", "rtf_onnx"]
    writer.writerow([*about, "metric", "snr_db", "mean", "low", "high", "n_scenes", "n_failed"])
    found: list[tuple[list[Any], Scores]] = [([name, *[""] * 7], scores) for name, scores in others.items()]
    for line in lines:
        kind = "int8" if line.int8 else "onnx"
        own = [line.name, "int8" if line.int8 else "float32", line.cost.latency_ms, line.cost.parameters]
        own += [figures(line.cost.macs_per_second), figures(line.kilobytes)]
        own += ["" if line.int8 else figures(line.factors["torch"]), figures(line.factors[kind])]
        found.append((own, line.scores))
    for own, scores in found:
        for (metric, snr_db), values in scores.items():
            mean = summarise(values, rng())
            where = "all" if snr_db is None else f"{snr_db:g}"
            numbers = [figures(each) for each in (mean.mean, mean.low, mean.high)]
            writer.writerow([*own, metric, where, *numbers, mean.n, mean.n_failed])
    return file.getvalue()


def rng() -> np.random.Generator:
    """Of every interval anew, so that no number depends on what else is in the table."""
    return np.random.default_rng(0)
