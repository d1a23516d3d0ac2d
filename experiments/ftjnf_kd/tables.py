"""Tables and a figure of the comparison, from the rows of its evaluations.

Usage: python experiments/ftjnf_kd/tables.py [--runs DIR] [--out DIR]

Reads ``DIR/<array>/evaluation*/`` of every array and writes ``table.csv``, ``table.md`` and ``gain_kept.svg``, and
where students hear fewer microphones ``channels.csv`` and ``channels.md``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from arrayse.files import write_text, write_whole

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from ftjnf_kd.gain_figure import draw_gain_kept  # noqa: E402 (a script without a package)
from shared.cells import cells_of, only  # noqa: E402
from shared.comparison import Comparison  # noqa: E402
from shared.scores import read_evaluation  # noqa: E402
from shared.tables import csv_table, markdown  # noqa: E402

COMPARISON = Comparison(
    title="Distillation of small students",
    methods=(
        *("none", "restart", "mask", "lin", "lstm1_paper", "lstm1", "lstm2_paper", "lstm2", "fused_paper", "fused"),
        *("gram", "lin_joint", "output_joint"),
    ),
    baselines=("none", "restart"),
)
CHANNELS = replace(COMPARISON, title="Students that hear fewer microphones than their teacher", baselines=("restart",))


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables and a figure of the comparison.")
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="folder of <array>/evaluation*")
    parser.add_argument("--out", type=Path, default=HERE, help="where the tables go")
    options = parser.parse_args()
    try:
        write_tables(options.runs, options.out)
    except ValueError as error:
        sys.exit(f"error {error}")


def write_tables(runs: Path, out: Path) -> None:
    """Writes everything that the evaluations below ``runs`` have numbers for.

    Raises:
        ValueError: there is none, or one that cannot be read.
    """
    folders = sorted(path.parent for path in runs.glob("*/evaluation*/summary.json"))
    if not folders:
        raise ValueError(f"{runs}: expected one or more finished <array>/evaluation*/, got none")
    evaluations = [
        read_evaluation([folder for folder in folders if folder.parent == place], place.name)
        for place in dict.fromkeys(folder.parent for folder in folders)
    ]
    everything = [(each, cells_of(each, COMPARISON)) for each in evaluations]
    full = only(everything, lambda system: system.n_mics is None)
    write_text(out / "table.csv", csv_table(full, COMPARISON))
    write_text(out / "table.md", markdown(full, COMPARISON, sweep=True))
    write_whole(out / "gain_kept.svg", lambda path: draw_gain_kept(full, COMPARISON.methods, path))
    channels = only(everything, lambda system: system.n_mics is not None or not system.size)
    channels = [(each, cells) for each, cells in channels if any(cell.system.size for cell in cells)]
    if channels:
        write_text(out / "channels.csv", csv_table(channels, COMPARISON))
        write_text(out / "channels.md", markdown(channels, CHANNELS, sweep=False))


if __name__ == "__main__":
    main()
