"""Quality against cost for forms of a small FT-JNF, from scenes to the table: one command that can be stopped.

python experiments/compression/run.py PACK [--workers 1]

PACK is a folder with MANIFEST.csv: speech and noise in three splits. Started again, it goes on where it stopped.
Scenes and schedule are those of the smallest students of experiments/ftjnf_kd, on the ring of five microphones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from arrayse.config import read_config
from arrayse.files import read_json
from arrayse.ui import count_bar
from arrayse.verbs.data import run_simulate

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from compression.measure import N_BLOCKS, export_runs, measure_speed, score_int8  # noqa: E402 (no package)
from compression.networks import VARIANTS  # noqa: E402
from compression.tables import write_tables  # noqa: E402
from ftjnf_kd.run import CONTROLS, STUDENT, TRAIN  # noqa: E402
from shared.jobs import Job, evaluate_runs, run_jobs  # noqa: E402

FTJNF, RUNS = HERE.parent / "ftjnf_kd", HERE / "runs"
DATA = FTJNF / "data" / "circular"
SEED = 0


def simulate(pack: Path, workers: int) -> None:
    """Makes the scenes that are not there yet."""
    places = [f"speech={pack}", f"noise={pack}", "array=circular", f"out={DATA}", f"workers={workers}"]
    values = read_config("simulate", ["office", str(FTJNF / "simulate.yaml"), *places])
    with count_bar(Console(), "scenes") as progress:
        run_simulate(values, progress, print)


def trainings() -> list[Job]:
    """A training for each variant; all the same but for the network and its front-end."""
    common = [*STUDENT, CONTROLS["none"], f"seed={SEED}", f"data={DATA}"]
    return [
        Job("train", RUNS / name, [TRAIN, *variant.arguments, *common, f"out={RUNS / name}"])
        for name, variant in VARIANTS.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder with MANIFEST.csv")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    simulate(options.pack, options.workers)
    run_jobs("networks", trainings(), options.workers)
    places = [f"data={DATA}", f"out={RUNS / 'evaluation'}", f"workers={options.workers}"]
    runs = {name: RUNS / name for name in VARIANTS}
    evaluate_runs("test scenes", runs, places)
    export_runs(list(runs.values()))
    if not (RUNS / "speed.json").is_file():
        measure_speed(list(runs.values()), RUNS / "speed.json")
    summary = read_json(RUNS / "evaluation" / "summary.json", "summary")
    score_int8(list(runs.values()), DATA, summary, RUNS / "rows_int8.jsonl", options.workers)
    write_tables(RUNS, HERE, N_BLOCKS)


if __name__ == "__main__":
    main()
