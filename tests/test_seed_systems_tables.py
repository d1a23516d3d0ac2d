"""The tables of experiments/seed_systems from rows with known numbers: overview, groups, two folders as one, errors."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arrayse.files import write_json, write_json_lines

SCRIPT = Path(__file__).parents[1] / "experiments/seed_systems/tables.py"
DIFFICULTY = (-0.2, -0.1, 0.0, 0.0, 0.1, 0.2)
"""What each scene adds to every system: it widens the intervals of means and cancels in differences."""

FACTORS = {-5.0: 0.5, 0.0: 1.0, 10.0: 2.1}
"""Of the level, by SNR: their mean is 1.2."""

SCALES = {"pesq_wb": 1.0, "estoi": 0.1, "si_sdr": -10.0}
"""Of the score: what is better in one metric is worse in another."""

DCCRN = {
    "noisy": 1.0,
    "teacher": 2.0,
    "student_i2s_s0": 1.5,
    "student_dfkd_s1": 1.8,  # its other seed is missing
    "student_output_s0": 1.4,
    "student_output_s1": 1.6,
    "student_none_s0": 1.3,
    "student_none_s1": 1.3,
}
SUBBAND = {
    "noisy": 1.0,
    "general": 1.9,
    "elite_uniform": 1.8,
    "teacher": 2.0,
    "student_fullband_s0": 1.7,
    **{f"student_{method}_s0": 1.5 for method in ("subband_general", "subband", "none", "subband_uniform", "output")},
}
FIRST = {
    "noisy": 1.0,
    "superdirective": 1.2,
    "teacher": 2.0,
    "tiny_1mic_restart_s0": 1.1,
    **{f"tiny_restart_s{seed}": 1.4 + 0.1 * seed for seed in range(3)},
    **{f"tiny_none_s{seed}": 1.4 for seed in range(3)},
    "tiny_mask_s0": 1.5,
}
SECOND = {"noisy": 1.0, "teacher": 2.0, "tiny_i2s_s0": 1.8, "tiny_clskd_s0": 1.6, "tiny_clskd_s1": 1.8}


def write_evaluation(folder: Path, levels: dict[str, float], n_scenes: int = 6, failed: str = "") -> None:
    """Scores are ``(level * factor + difficulty) * scale``; of ``failed``, one at 10 dB is missing."""
    rows: list[dict[str, Any]] = []
    for number, difficulty in enumerate(DIFFICULTY[:n_scenes]):
        for snr_db, factor in FACTORS.items():
            for name, level in levels.items():
                found = {metric: (level * factor + difficulty) * scale for metric, scale in SCALES.items()}
                missing = {"pesq_wb": None} if (name, number, snr_db) == (failed, 2, 10.0) else {}
                rows.append({"system": name, "scene": f"test-{number}", "snr_db": snr_db, **found, **missing})
    small, none = ("student", "tiny"), ("noisy", "superdirective")
    systems = [
        {
            "name": name,
            "params": None if name in none else 4_000 if name.startswith(small) else 60_000,
            "macs_per_second": None if name in none else 2e6 if name.startswith(small) else 3e9,
            "mics": None if name == "noisy" else [0],
        }
        for name in levels
    ]
    write_json_lines(folder / "rows.jsonl", rows)
    summary = {"label": "synthetic numbers", "split": "test", "metrics": list(SCALES), "systems": systems}
    write_json(folder / "summary.json", summary | {"array": {"ref_mic": 0}, "implementations": {"pesq_wb": "by hand"}})


def run(root: Path) -> subprocess.CompletedProcess[str]:
    places = ["--runs", str(root / "runs"), "--ftjnf", str(root / "ftjnf"), "--out", str(root / "out")]
    return subprocess.run([sys.executable, str(SCRIPT), *places], capture_output=True, text=True, cwd=root)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_evaluation(folder / "runs/dccrn/evaluation", DCCRN, failed="student_i2s_s0")
    write_evaluation(folder / "runs/subband/evaluation", SUBBAND)
    write_evaluation(folder / "runs/ft_jnf/evaluation", SECOND)
    write_evaluation(folder / "ftjnf/circular/evaluation_tiny", FIRST)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    (folder / "printed").write_text(done.stdout)
    return folder


def section(root: Path, start: str, end: str, name: str = "table.md") -> list[list[str]]:
    """The rows of the table between two headings, without its head and rule."""
    text = (root / "out" / name).read_text()
    part = text[text.index(start) :].partition(end)[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")][2:]


def overview(root: Path, start: str, end: str) -> dict[tuple[str, str], list[str]]:
    """What stands right of network and system."""
    return {(row[0], row[1]): row[2:] for row in section(root, start, end)}


def row_of(path: Path, **wanted: str) -> dict[str, str]:
    with path.open() as file:
        (found,) = [row for row in csv.DictReader(file) if wanted.items() <= row.items()]
    return found


def test_the_overview_has_every_network_and_system_in_order(root: Path) -> None:
    text = (root / "out/table.md").read_text()
    assert text.index("## Overview") < text.index("## subband") < text.index("## dccrn")
    assert "synthetic numbers, split test: n = 6 scenes, the same for every network, system and SNR." in text
    head = (
        "| Network | System | Params | MACs/s | Seeds | WB-PESQ | − none | − output | ESTOI − none | SI-SDR (dB) − none"
    )
    assert text.count(f"{head} | Gain kept (%) |\n| --- | --- | ---: |") == 2
    subband = ["noisy", "teacher", "elite_uniform", "general", "none", "fullband", "output", "subband"]
    expected = [("subband", f"`{name}`") for name in [*subband, "subband_uniform", "subband_general"]]
    expected += [("dccrn", f"`{name}`") for name in ("noisy", "teacher", "none", "output", "dfkd", "i2s")]
    assert list(overview(root, "**At 0 dB**", "**Mean over")) == expected
    assert list(overview(root, "**Mean over", "## subband")) == expected


def test_the_tables_know_just_the_systems_that_are_trained() -> None:
    """A method that nobody trains, or one without a place, would be a slip."""
    code = """import json, networks, tables
kinds = networks.NETWORKS.values()
small = {"none"}.union(*([*kind.controls, *kind.systems] for kind in kinds))
more = set(tables.FT_JNF.methods) - set(tables.FTJNF_KD.methods)
large = {name for kind in kinds for name in kind.others}
told = [tables.SINGLE.methods, tables.SINGLE.networks, more, tables.NETWORKS]
trained = [small, large, networks.FIVE_MICROPHONES, networks.NETWORKS]
print(json.dumps([[sorted(each) for each in side] for side in (told, trained)]))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr
    told, trained = json.loads(done.stdout)
    assert told == trained
    assert "fullband" in told[0]


def test_known_scores_give_known_cells_of_the_overview(root: Path) -> None:
    found = overview(root, "**At 0 dB**", "**Mean over")
    row = found["dccrn", "`output`"]
    assert row[:3] == ["4 k", "2 M", "0, 1"]
    assert row[3].startswith("1.50 ±")
    assert row[4:] == ["**+0.200 ±0.100**", "–", "**+0.0200 ±0.0100**", "**−2.00 ±1.00**", "50 ±10"]
    dfkd = found["dccrn", "`dfkd`"]
    assert (dfkd[2], dfkd[4:6], dfkd[8]) == ("1", ["**+0.500 ±0.000**", "**+0.200 ±0.000**"], "80 ±0")
    assert found["dccrn", "`teacher`"][:3] == ["60 k", "3 G", "–"]
    assert found["dccrn", "`teacher`"][4:] == ["–"] * 5
    fullband = found["subband", "`fullband`"]  # a student without a teacher
    assert fullband[:3] == ["4 k", "2 M", "0"]
    assert fullband[4:6] == ["**+0.200 ±0.000**", "**+0.200 ±0.000**"]
    assert fullband[8] == "70 ±0"
    assert found["subband", "`general`"][4:] == ["–", "–", "–", "–", "90 ±0"]


def test_the_mean_over_snrs_is_that_of_each_scene(root: Path) -> None:
    row = overview(root, "**Mean over −5, 0, 10 dB**", "## subband")["dccrn", "`output`"]
    assert row[3].startswith("1.80 ±")
    assert row[4:] == ["**+0.240 ±0.120**", "–", "**+0.0240 ±0.0120**", "**−2.40 ±1.20**", "50 ±10"]
    path, noisy = root / "out/table.csv", {"network": "dccrn", "system": "noisy", "metric": "pesq_wb"}
    at_zero, over_all = (row_of(path, **noisy, snr_db=snr_db) for snr_db in ("0", "all"))
    widths = [float(found["high"]) - float(found["low"]) for found in (at_zero, over_all)]
    assert (at_zero["mean"], over_all["mean"], over_all["n_scenes"]) == ("1", "1.2", "6")
    assert widths[0] == pytest.approx(widths[1], rel=1e-4)  # more SNRs are no more scenes
    assert widths[0] > 0.1


def test_a_score_that_failed_at_one_snr_takes_its_scene_out_of_the_mean_over_snrs(root: Path) -> None:
    at_zero = overview(root, "**At 0 dB**", "**Mean over")["dccrn", "`i2s`"]
    over_all = overview(root, "**Mean over", "## subband")["dccrn", "`i2s`"]
    assert (at_zero[4], over_all[4]) == ("**+0.200 ±0.000**", "**+0.240 ±0.000** (5 scenes)")
    assert over_all[6] == "**+0.0240 ±0.0000**"  # the other metrics have all


def test_each_network_has_its_tables(root: Path) -> None:
    text = (root / "out/table.md").read_text()
    assert text.count("**WB-PESQ by input SNR**") == text.count("**SI-SDR (dB) at 0 dB**") == 2
    rows = section(root, "## dccrn", "**ESTOI at 0 dB**")
    assert rows[3][:6] == ["student", "`output`", "1", "0, 1", "4 k", "2 M"]
    assert rows[3][7:] == ["**+0.200 ±0.100**", "–", "50 ±10"]
    sweep = section(root, text[text.rindex("**WB-PESQ by") :], "Mean ± half")
    assert [cell[:4] for cell in sweep[1][4:]] == ["1.00", "2.00", "4.20"]
    assert "Differences are paired" in text
    assert text.endswith("WB-PESQ: by hand.\n")


def test_the_long_form_has_every_network_metric_and_snr(root: Path) -> None:
    with (root / "out/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (10 + 6) * 3 * 4
    assert list(dict.fromkeys(row["network"] for row in rows)) == ["subband", "dccrn"]
    assert list(dict.fromkeys(row["snr_db"] for row in rows)) == ["-5", "0", "10", "all"]
    row = row_of(root / "out/table.csv", network="dccrn", system="i2s", metric="estoi", snr_db="10")
    assert (row["diff_none"], row["diff_output"], row["diff_output_n_seeds"]) == ("0.042", "0.021", "1")


def test_five_microphones_are_one_table_from_both_experiments(root: Path) -> None:
    with (root / "out/ft_jnf.csv").open() as file:
        rows = list(csv.DictReader(file))
    systems = ["noisy", "superdirective", "teacher", "none", "restart", "mask", "clskd", "i2s"]  # one microphone: none
    assert list(dict.fromkeys(row["system"] for row in rows)) == systems
    assert len(rows) == len(systems) * 3 * 3
    text = (root / "out/ft_jnf.md").read_text()
    assert text.startswith("# Distillation of FT-JNF with five microphones\n\n## ft_jnf\n\n")
    assert "| Params | MACs/s | WB-PESQ | − none | − restart | Gain kept (%) |" in text
    rows_at_zero = {row[1]: row for row in section(root, "**WB-PESQ at 0 dB**", "**ESTOI", "ft_jnf.md")}
    assert rows_at_zero["`clskd`"][3] == "0, 1"
    assert rows_at_zero["`clskd`"][7:] == ["**+0.300 ±0.100**", "**+0.250 ±0.050**", "70 ±10"]  # the seeds of both
    assert rows_at_zero["`restart`"][7:] == ["+0.100 ±0.100", "–", "50 ±10"]


def test_what_is_not_there_yet_is_left_out_and_told(root: Path, tmp_path: Path) -> None:
    printed = (root / "printed").read_text().splitlines()
    assert [line.partition(":")[0] for line in printed] == ["conv_tasnet", "dptnet", "dpdcrn"]
    assert printed[0].endswith(f"left out, there is no {root / 'runs/conv_tasnet/evaluation/summary.json'}")
    write_evaluation(tmp_path / "runs/ft_jnf/evaluation", SECOND)  # without its baselines
    write_evaluation(tmp_path / "runs/subband/evaluation", SUBBAND)
    (tmp_path / "runs/subband/evaluation/summary.json").unlink()  # not finished
    done = run(tmp_path)
    assert f"ft_jnf: left out, there is no {tmp_path / 'ftjnf/circular/evaluation_tiny/summary.json'}" in done.stdout
    assert "expected one or more finished <network>/evaluation, got none" in done.stderr
    assert done.returncode == 1
    assert not (tmp_path / "out").exists()
    write_evaluation(tmp_path / "ftjnf/circular/evaluation_tiny", FIRST)
    assert run(tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ft_jnf.csv", "ft_jnf.md"]
    for name in ("ft_jnf.csv", "ft_jnf.md"):
        assert (tmp_path / "out" / name).read_text() == (root / "out" / name).read_text()


def test_networks_scored_on_different_scenes_are_refused(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "runs/subband/evaluation", SUBBAND)
    write_evaluation(tmp_path / "runs/dptnet/evaluation", DCCRN, n_scenes=5)
    assert "error dptnet: expected the scenes of subband, got others: ['test-0'," in run(tmp_path).stderr
    assert not (tmp_path / "out").exists()
