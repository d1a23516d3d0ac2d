"""Tables of the comparison, from the rows of its evaluations.

Usage: python experiments/seed_systems/tables.py [--runs DIR] [--ftjnf DIR] [--out DIR]

Reads ``<runs>/<network>/evaluation/`` of every network of one microphone and writes ``table.csv`` and ``table.md``. For
five microphones it reads ``<runs>/ft_jnf/evaluation/`` together with ``<ftjnf>/circular/evaluation_tiny/``, students of
the same teacher on the same scenes, and writes ``ft_jnf.csv`` and ``ft_jnf.md``. What is not there yet is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from arrayse.files import write_text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from ftjnf_kd.tables import COMPARISON as FTJNF_KD  # noqa: E402 (a script without a package)
from shared.cells import cells_of, only  # noqa: E402
from shared.comparison import Comparison  # noqa: E402
from shared.overview import overview  # noqa: E402
from shared.scores import Evaluation, read_evaluation  # noqa: E402
from shared.tables import csv_table, markdown  # noqa: E402

NETWORKS = ("subband", "dccrn", "conv_tasnet", "dptnet", "dpdcrn")
"""Order of the tables."""

SINGLE = Comparison(
    title="Distillation of networks of one microphone",
    methods=(
        *("none", "fullband", "output", "dfkd", "dfkd_fixed", "dfkd_absolute", "dispatch_l2", "dispatch_dfkd"),
        *("i2s", "i2s_fixed", "subband", "subband_uniform", "subband_general"),
    ),
    baselines=("none", "output"),
    networks=("elite_uniform", "general"),
    group="network",
)
FT_JNF = Comparison(
    title="Distillation of FT-JNF with five microphones",
    methods=(
        *FTJNF_KD.methods,
        *("similarity_preserving", "clskd", "feature_regression", "output_l2"),
        *("dfkd", "dispatch_l2", "dispatch_dfkd", "i2s"),
    ),
    baselines=("none", "restart"),
    group="network",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables of the comparison.")
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="folder of <network>/evaluation")
    parser.add_argument("--ftjnf", type=Path, default=HERE.parent / "ftjnf_kd/runs", help="runs of ftjnf_kd")
    parser.add_argument("--out", type=Path, default=HERE, help="where the tables go")
    options = parser.parse_args()
    try:
        write_tables(options.runs, options.ftjnf, options.out)
    except ValueError as error:
        sys.exit(f"error {error}")


def write_tables(runs: Path, ftjnf: Path, out: Path) -> None:
    """Writes the tables that there are numbers for.

    Raises:
        ValueError: there is no finished evaluation, one that cannot be read, or networks scored on different scenes.
    """
    found = [read_finished(name, [runs / name / "evaluation"]) for name in NETWORKS]
    five = read_finished("ft_jnf", [ftjnf / "circular/evaluation_tiny", runs / "ft_jnf/evaluation"])
    single = [(each, cells_of(each, SINGLE, with_mean=True)) for each in found if each]
    if not single and not five:
        raise ValueError(f"{runs}: expected one or more finished <network>/evaluation, got none")
    if single:
        page = markdown(single, SINGLE, sweep=True, first=overview(single, SINGLE))
        write_text(out / "table.csv", csv_table(single, SINGLE))
        write_text(out / "table.md", page)
    if five:
        results = only([(five, cells_of(five, FT_JNF))], lambda system: system.n_mics is None)
        write_text(out / "ft_jnf.csv", csv_table(results, FT_JNF))
        write_text(out / "ft_jnf.md", markdown(results, FT_JNF, sweep=True))


def read_finished(name: str, folders: list[Path]) -> Evaluation | None:
    """The scores in all folders together; None, and a line that says so, where one evaluation is not finished."""
    for path in (folder / "summary.json" for folder in folders):  # written last
        if not path.is_file():
            print(f"{name}: left out, there is no {path}")
            return None
    return read_evaluation(folders, name)


if __name__ == "__main__":
    main()
