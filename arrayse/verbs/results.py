"""Measuring networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from arrayse.config import ConfigError, write_config
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.sources import DATASET, PAIRS, RECORDINGS
from arrayse.evaluation.speed import measure_speed
from arrayse.evaluation.summary import Request
from arrayse.files import write_text
from arrayse.metrics import DEFAULT_METRICS, METRICS
from arrayse.metrics.dnsmos import installed
from arrayse.parallel import available_cores
from arrayse.provenance import provenance
from arrayse.report.latex import latex_table
from arrayse.report.table import csv_table, markdown_table
from arrayse.verbs.common import CONFIG, Values, open_data

KEYS = {"data": DATASET, "pairs": PAIRS, "recordings": RECORDINGS}
"""The keys that say what is scored on."""

DEFAULT_SNR_DB = [-5.0, 0.0, 5.0, 10.0, 15.0]
DEFAULT_SPLIT = "test"


def run_evaluate(
    values: Values,
    runs: dict[str, Path],
    progress: Callable[[int, int], None],
    tell: Callable[[str], None] = lambda text: None,
) -> Values:
    """Evaluates runs and returns the summary; tables and how fast networks are lie beside it.

    Args:
        values: of an evaluate config.
        runs: run folders by name.
        progress: called with scenes done and in all.
        tell: gets a line about what is kept of an evaluation that goes on.

    Raises:
        ValueError: not one source, keys that could do nothing; see :func:`arrayse.evaluation.loop.evaluate`.
    """
    out, request = Path(values["out"]), build_request(values, runs)
    if request.source == DATASET:
        open_data(request.data)
    workers = values["workers"] or available_cores()
    summary = evaluate(request, out, workers, provenance(values["seed"]), progress, values["cluster"], tell)
    if values["speed"]:
        measure_speed(out, runs)
    split = request.split if request.source == DATASET else None
    write_config(out / CONFIG, {**values, "split": split, "snr_db": request.snr_db, "metrics": request.metrics})
    write_text(out / "table.md", markdown_table(summary))
    write_text(out / "table.csv", csv_table(summary))
    write_text(out / "table.tex", latex_table(summary))
    return summary


def build_request(values: Values, runs: dict[str, Path]) -> Request:
    """What is to be evaluated, by the values of an evaluate config; what they leave open goes with the source.

    A dataset is scored in its split ``test`` at -5 to 15 dB, files as they are. Metrics are WB-PESQ, ESTOI and SI-SDR;
    for recordings without reference DNSMOS, and where that is not installed none: there are only examples to hear.
    """
    told = [key for key in KEYS if values[key] is not None]
    if len(told) != 1:
        choices = "data=DATASET, pairs=FOLDER or recordings=FOLDER"
        raise ConfigError(f"evaluate: expected one of {choices}, got {' and '.join(told) or 'none'}")
    (key,) = told
    source, split, snr_db, metrics = KEYS[key], values["split"], values["snr_db"], values["metrics"]
    if source == DATASET:
        snr_db = DEFAULT_SNR_DB if snr_db is None else snr_db
    else:
        for name, value in (("split", split), ("snr_db", snr_db)):
            if value is not None:
                raise ConfigError(f"{name}: expected none with {key}=, whose files are as they are, got {value}")
    if metrics is None:
        metrics = list(DEFAULT_METRICS) if source != RECORDINGS else without_reference() if installed() else []
    return Request(
        runs=runs,
        data=Path(values[key]),
        split=split or DEFAULT_SPLIT,
        snr_db=snr_db or [],
        n_scenes=values["n_scenes"],
        metrics=metrics,
        baseline=values["baseline"],
        n_examples=values["n_examples"],
        seed=values["seed"],
        beamformers=values["beamformers"],
        source=source,
        other_array=values["other_array"],
        teacher=values["teacher"],
        binaural={name: (left, right) for name, (left, right) in values["binaural"].items()},
    )


def without_reference() -> list[str]:
    """The metrics that need nothing but the estimate."""
    return [name for name, metric in METRICS.items() if not metric.needs]
