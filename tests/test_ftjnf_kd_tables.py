"""The tables of experiments/ftjnf_kd from rows with known numbers: cells, missing seeds, failed scores, errors."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from arrayse.files import write_json, write_json_lines

SCRIPT = Path(__file__).parents[1] / "experiments/ftjnf_kd/tables.py"
DIFFICULTY = (-0.2, -0.1, 0.0, 0.0, 0.1, 0.2)
"""What each scene adds to every system: it widens the intervals of means and cancels in differences."""

STUDENTS = {
    "tiny_zeta": {0: 1.0, 1: 1.0, 2: 1.0},  # a method that the script does not know
    "tiny_lin": {0: 1.5, 1: 1.7, 2: 1.9},
    "tiny_lstm1_paper": {0: 1.5, 2: 1.9},  # a seed is missing
    "tiny_none": {0: 1.4, 1: 1.5, 2: 1.6},
    "tiny_restart": {0: 1.45, 1: 1.55, 2: 1.65},
    "tiny_1mic_restart": {0: 1.2, 1: 1.3},
    "tiny_1mic_lin": {0: 1.3, 1: 1.5},
    "tiny_2mic_restart": {0: 1.4},
    "tiny_2mic_lin": {0: 1.3, 1: 1.5},  # its baseline lacks a seed
}
LEVELS = {
    "noisy": 1.0,
    "delay_and_sum": 1.25,
    "teacher": 2.0,
    "quarter_lin_s0": 1.9,
    **{f"{system}_s{seed}": level for system, levels in STUDENTS.items() for seed, level in levels.items()},
}


def write_evaluation(
    runs: Path, array: str, levels: dict[str, float], mics: list[int] | None = None, name_of: str = "evaluation"
) -> None:
    """Scores by SNR: pesq_wb is the level at 0 dB and 0.5 less at -5 dB; si_sdr ten times as much."""
    rows: list[dict[str, Any]] = []
    for number, difficulty in enumerate(DIFFICULTY):
        for snr_db, offset in ((-5.0, -0.5), (0.0, 0.0)):
            for name, level in levels.items():
                value = level + difficulty + offset
                row = {"system": name, "scene": f"test-{number}", "snr_db": snr_db, "reasons": {}}
                rows.append({**row, "pesq_wb": value, "si_sdr": 10 * value})
                if (name, number, snr_db) == ("tiny_lin_s1", 2, 0.0):
                    rows[-1] |= {"pesq_wb": None, "reasons": {"pesq_wb": "no utterance"}}
    systems = [
        {
            "name": name,
            "params": None if name in ("noisy", "delay_and_sum") else 12_345 if name.startswith("tiny") else 67_890,
            "macs_per_second": None,
            "mics": None
            if name == "noisy"
            else mics or (list(range(int(name[5]))) if "mic_" in name else [0, 1, 2, 3, 4]),
        }
        for name in levels
    ]
    folder = runs / array / name_of
    write_json_lines(folder / "rows.jsonl", rows)
    summary = {"label": "synthetic numbers", "split": "test", "metrics": ["pesq_wb", "si_sdr"], "systems": systems}
    write_json(folder / "summary.json", summary | {"array": {"ref_mic": 0}, "implementations": {"pesq_wb": "by hand"}})


def run(runs: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--runs", str(runs), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[2])


def test_evaluations_of_an_array_add_up(out: Path, tmp_path: Path) -> None:
    """Students scored in two folders, the systems beside them in both; scores that differ between them are refused."""
    students = {name for name in LEVELS if name[-3:-1] == "_s"}
    shared = {name: level for name, level in LEVELS.items() if name not in students}
    for number, ending in enumerate(("0", "12")):
        part = {name: level for name, level in LEVELS.items() if name in students and name[-1] in ending}
        write_evaluation(tmp_path / "runs", "ring", {**shared, **part}, name_of=f"evaluation_{number}")
    write_evaluation(tmp_path / "runs", "line", {"noisy": 1.0, "teacher": 1.0, "tiny_none_s0": 1.3})
    done = run(tmp_path / "runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "table.csv").read_text().splitlines()) == sorted(
        (out / "table.csv").read_text().splitlines()
    )
    table = (tmp_path / "table.csv").read_text()
    write_evaluation(tmp_path / "runs", "ring", {**shared, "noisy": 1.004}, name_of="evaluation_2")  # as by rounding
    assert run(tmp_path / "runs", tmp_path).returncode == 0
    assert (tmp_path / "table.csv").read_text() == table
    for level in (1.006, 0.994):
        write_evaluation(tmp_path / "runs", "ring", {**shared, "noisy": level}, name_of="evaluation_2")
        assert "expected the scores of other evaluations, got others" in run(tmp_path / "runs", tmp_path).stderr


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_evaluation(folder / "runs", "ring", LEVELS)
    write_evaluation(folder / "runs", "line", {"noisy": 1.0, "teacher": 1.0, "tiny_none_s0": 1.3})
    done = run(folder / "runs", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder / "out"


def cell(
    path: Path, size: str, system: str, metric: str = "pesq_wb", snr_db: str = "0", mics: str = "5", array: str = "ring"
) -> dict[str, str]:
    with path.open() as file:
        wanted = {"array": array, "size": size, "system": system, "mics": mics, "metric": metric, "snr_db": snr_db}
        (found,) = [row for row in csv.DictReader(file) if wanted.items() <= row.items()]
    return found


def numbers(row: dict[str, str], name: str) -> list[float]:
    return [float(row[key]) for key in (name, f"{name}_low", f"{name}_high")]


def line(path: Path, heading: str, start: str) -> list[str]:
    """The cells of the first line with this start below a heading."""
    text = path.read_text()
    return text[text.index(heading) :].partition(f"\n| {start} |")[2].partition("\n")[0].strip(" |").split(" | ")


def test_known_scores_give_known_cells(out: Path) -> None:
    row = cell(out / "table.csv", "tiny", "restart")
    assert float(row["mean"]) == pytest.approx(1.55)
    assert 1.3 < float(row["low"]) < 1.5 < 1.6 < float(row["high"]) < 1.8
    assert numbers(row, "diff_none") == pytest.approx([0.05, 0.05, 0.05])
    assert row["diff_restart"] == row["diff_restart_low"] == ""
    assert numbers(row, "gain_kept") == pytest.approx([0.55, 0.45, 0.65])  # scenes cancel; seeds from end to end
    assert (row["n_scenes"], row["n_seeds"], row["n_failed"], row["params"]) == ("6", "3", "0", "12345")
    other = cell(out / "table.csv", "tiny", "restart", "si_sdr", "-5")
    assert float(other["mean"]) == pytest.approx(10.5)
    assert numbers(other, "diff_none") == pytest.approx([0.5, 0.5, 0.5])
    assert numbers(other, "gain_kept") == pytest.approx([0.55, 0.45, 0.65])


def test_a_failed_score_takes_its_scene_out_and_is_counted(out: Path) -> None:
    row = cell(out / "table.csv", "tiny", "lin")
    assert (row["n_scenes"], row["n_seeds"], row["n_failed"], row["diff_none_n_scenes"]) == ("5", "3", "1", "5")
    assert float(row["mean"]) == pytest.approx(1.7)
    assert numbers(row, "diff_none") == pytest.approx([0.2, 0.1, 0.3])
    assert cell(out / "table.csv", "tiny", "lin", snr_db="-5")["n_failed"] == "0"


def test_a_missing_seed_is_shown_and_differences_use_the_common_ones(out: Path) -> None:
    row = cell(out / "table.csv", "tiny", "lstm1_paper")
    assert (row["n_seeds"], row["diff_none_n_seeds"], row["n_scenes"]) == ("2", "2", "6")
    assert numbers(row, "diff_none") == pytest.approx([0.2, 0.1, 0.3])
    assert line(out / "table.md", "WB-PESQ at 0 dB", "tiny | `lstm1_paper`")[1] == "0, 2"
    lone = cell(out / "table.csv", "quarter", "lin")
    assert (lone["n_seeds"], lone["diff_none"], lone["diff_restart_n_seeds"]) == ("1", "", "")


def test_what_is_no_student_has_no_seeds_and_no_differences(out: Path) -> None:
    beamformer = cell(out / "table.csv", "", "delay_and_sum")
    assert (beamformer["n_seeds"], beamformer["diff_none"], beamformer["params"]) == ("0", "", "")
    assert beamformer["gain_kept"] == ""
    assert cell(out / "table.csv", "", "teacher")["gain_kept"] == ""
    assert cell(out / "table.csv", "tiny", "none", array="line")["gain_kept"] == ""  # its teacher gains nothing


def test_rows_stand_in_the_order_of_the_comparison(out: Path) -> None:
    with (out / "table.csv").open() as file:
        rows = [(row["array"], row["size"], row["system"]) for row in csv.DictReader(file)]
    assert [(size, system) for array, size, system in dict.fromkeys(rows) if array == "ring"] == [
        *(("", "noisy"), ("", "delay_and_sum"), ("", "teacher"), ("quarter", "lin"), ("tiny", "none")),
        *(("tiny", "restart"), ("tiny", "lin"), ("tiny", "lstm1_paper"), ("tiny", "zeta")),
    ]


def test_markdown_shows_difference_interval_and_support(out: Path) -> None:
    ring = (out / "table.md").read_text().partition("## ring")[2]
    assert "synthetic numbers, split test: n = 6 scenes" in ring
    found = line(out / "table.md", "## ring", "tiny | `lin`")
    assert found[:4] == ["5", "0, 1, 2", "12.3 k", "–"]
    assert found[4].startswith("1.70 ±")
    assert found[4].endswith(" (5 scenes)")
    assert found[5:] == ["**+0.200 ±0.100** (5 scenes)", "**+0.150 ±0.100** (5 scenes)", "70 ±20 (5 scenes)"]
    assert line(out / "table.md", "## ring", "tiny | `none`")[5:] == ["–", "**−0.050 ±0.000**", "50 ±10"]
    sweep = line(out / "table.md", "WB-PESQ by input SNR**\n\n| Size | System | Mics | Seeds | −5 dB | 0 dB |", "–")
    assert sweep[0] == "`noisy`"
    assert [text[:4] for text in sweep[3:]] == ["0.50", "1.00"]
    assert "WB-PESQ: by hand." in ring


def test_students_with_fewer_microphones_have_tables_of_their_own(out: Path) -> None:
    with (out / "table.csv").open() as file:
        assert {row["mics"] for row in csv.DictReader(file)} == {"", "5"}
    row = cell(out / "channels.csv", "tiny", "lin", mics="1")
    assert numbers(row, "diff_restart") == pytest.approx([0.15, 0.1, 0.2])
    assert numbers(row, "gain_kept") == pytest.approx([0.4, 0.3, 0.5])
    assert float(cell(out / "channels.csv", "tiny", "lin", mics="2")["diff_restart"]) == pytest.approx(-0.1)
    found = line(out / "channels.md", "WB-PESQ at 0 dB", "tiny | `lin`")
    assert (found[0], found[1], found[5:]) == ("1", "0, 1", ["**+0.150 ±0.050**", "40 ±10"])
    two = cell(out / "channels.csv", "tiny", "lin", mics="2")
    assert (two["n_seeds"], two["diff_restart_n_seeds"]) == ("2", "1")
    assert "| **−0.100 ±0.000** (1 seed) | 40 ±10 |" in (out / "channels.md").read_text()
    assert "`none`" not in (out / "channels.md").read_text()
    assert "## line" not in (out / "channels.md").read_text()


def test_the_figure_is_a_picture_with_a_mark_for_each_student(out: Path) -> None:
    root = ElementTree.parse(out / "gain_kept.svg").getroot()
    assert root.tag.endswith("svg")
    marks = [use for use in root.iter("{http://www.w3.org/2000/svg}use") if "#c55a11" in use.get("style", "")]
    assert len(marks) == 5 + 1  # five methods of the tiny size in one array, none in the other, and the legend


def test_a_number_does_not_depend_on_what_else_is_there(out: Path, tmp_path: Path) -> None:
    fewer = {name: level for name, level in LEVELS.items() if "zeta" not in name and "mic" not in name}
    write_evaluation(tmp_path / "runs", "ring", fewer)
    assert run(tmp_path / "runs", tmp_path / "out").returncode == 0
    assert cell(tmp_path / "out/table.csv", "tiny", "lin") == cell(out / "table.csv", "tiny", "lin")
    assert not (tmp_path / "out/channels.md").exists()


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    assert "error" in (message := run(tmp_path, tmp_path).stderr)
    assert "expected one or more finished <array>/evaluation*/, got none" in message
    write_evaluation(tmp_path / "a", "ring", {"noisy": 1.0, "tiny_2mic_lin_s0": 1.3}, mics=[1, 2])
    assert "expected systems that hear microphone 0, got tiny_2mic_lin_s0" in run(tmp_path / "a", tmp_path).stderr
    write_evaluation(tmp_path / "b", "ring", {"noisy": 1.0})
    rows = tmp_path / "b/ring/evaluation/rows.jsonl"
    rows.write_text(rows.read_text() * 2)
    assert "expected one row for each system, SNR and scene, got two" in run(tmp_path / "b", tmp_path).stderr
    assert not list(tmp_path.glob("*.md"))
