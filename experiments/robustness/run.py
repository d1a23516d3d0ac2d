"""How robust trained networks are: one sweep a condition, from scenes to figures; one command that can be stopped.

python experiments/robustness/run.py [RUN ...] [--n-scenes 24] [--sweeps NAME ...] [--workers 1]

Trains nothing: runs and scenes are those of experiments/ftjnf_kd. Started again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from arrayse.config import read_config
from arrayse.files import read_json, write_text
from arrayse.report.sweep_figure import draw_sweep
from arrayse.report.sweep_table import sweep_markdown
from arrayse.ui import count_bar
from arrayse.verbs.sweep import SWEEP, run_sweep

HERE = Path(__file__).parent
FROM = HERE.parent / "ftjnf_kd"
RUNS = [FROM / "runs" / "circular" / name for name in ("teacher", "tiny_restart_s0", "tiny_lin_joint_s0")]
SWEEPS = ("snr", "rt60", "doa", "n_interferers", "position_error", "gain_error", "dead_mic", "other_array")
COMMON = ["metrics=[pesq_wb,estoi,si_sdr]", "beamformers=[delay_and_sum,mvdr_estimated]", "seed=0"]


def sweep(name: str, runs: Iterable[Path], data: Path, n_scenes: int, workers: int) -> None:
    """Runs one sweep to its end."""
    places = [f"data={data}", f"out={HERE / 'runs' / str(n_scenes) / name}"]
    values = read_config("sweep", [name, *COMMON, *places, f"n_scenes={n_scenes}", f"workers={workers}"])
    with count_bar(Console(), f"{name}, {n_scenes} scenes") as progress:
        run_sweep(values, {run.resolve().name: run for run in runs}, progress)


def show() -> None:
    """Leaves tables and figures beside this file: of every sweep the one with the most scenes."""
    tables = ["# Robustness sweeps\n"]
    for name in SWEEPS:
        found = sorted((HERE / "runs").glob(f"*/{name}/{SWEEP}"), key=lambda path: int(path.parts[-3]))
        if found:
            summary = read_json(found[-1], "sweep")
            draw_sweep(summary, HERE / "figures" / f"{name}.svg")
            tables.append(f"## {name}\n\n{sweep_markdown(summary)}")
    write_text(HERE / "table.md", "\n".join(tables))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", default=RUNS, metavar="RUN", help="run folders")
    parser.add_argument("--data", type=Path, default=FROM / "data" / "circular", help="dataset of their array")
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument("--n-scenes", type=int, default=24)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.sweeps:
        sweep(name, arguments.runs, arguments.data, arguments.n_scenes, arguments.workers)
        show()


if __name__ == "__main__":
    main()
