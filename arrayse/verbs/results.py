"""Measuring networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from arrayse.config import write_config
from arrayse.evaluate import evaluate
from arrayse.files import write_text
from arrayse.parallel import available_cores
from arrayse.provenance import provenance
from arrayse.report.table import csv_table, markdown_table
from arrayse.summary import Request
from arrayse.verbs.common import CONFIG, Values


def run_evaluate(values: Values, runs: dict[str, Path], progress: Callable[[int, int], None]) -> Values:
    """Evaluates runs and returns the summary; tables lie beside it as Markdown and CSV."""
    out = Path(values["out"])
    request = Request(
        runs=runs,
        data=Path(values["data"]),
        split=values["split"],
        snr_db=values["snr_db"],
        n_scenes=values["n_scenes"],
        metrics=values["metrics"],
        baseline=values["baseline"],
        n_examples=values["n_examples"],
        seed=values["seed"],
        beamformers=values["beamformers"],
    )
    workers = values["workers"] or available_cores()
    summary = evaluate(request, out, workers, provenance(values["seed"]), progress)
    write_config(out / CONFIG, values)
    write_text(out / "table.md", markdown_table(summary))
    write_text(out / "table.csv", csv_table(summary))
    return summary
