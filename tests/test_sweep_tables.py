"""Tables and figures of a sweep show the numbers that are there, and say which are not."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from arrayse.report.sweep_figure import draw_sweep
from arrayse.report.sweep_table import print_sweep, sweep_csv, sweep_markdown
from arrayse.sweep import sweep_rows, systems_of

Summary = dict[str, Any]
VALUES = ["0", "2", "6"]
LEVELS = {"noisy": -3.0, "delay_and_sum": 0.0, "net_s0": 4.0, "net_s1": 5.0}


@pytest.fixture
def swept() -> Summary:
    """Scores of six scenes that fall by half of the value."""
    rng = np.random.default_rng(1)
    rows = {
        value: [
            {"system": name, "scene": f"s{k}", "snr_db": 5.0, "si_sdr": level - float(value) / 2 + rng.normal()}
            for name, level in LEVELS.items()
            for k in range(6)
        ]
        for value in VALUES
    }
    systems = systems_of(["delay_and_sum"], ["net_s0", "net_s1"])
    return {
        "condition": "gain_error",
        "title": "Gain error (dB)",
        "held": "the same scenes.",
        "usual": [0.0, 0.0],
        "values": VALUES,
        "numbers": [0.0, 2.0, 6.0],
        "reference": "2",
        "baseline": "delay_and_sum",
        "label": "test sounds",
        "split": "test",
        "n_scenes": 6,
        "n_paired": 6,
        "snr_db": 5.0,
        "metrics": ["si_sdr"],
        "systems": [system.to_dict() for system in systems],
        "rows": sweep_rows(rows, systems, ["si_sdr"], "2", "delay_and_sum", np.random.default_rng(0)),
    }


def row_of(summary: Summary, system: str, value: str) -> Summary:
    (row,) = (r for r in summary["rows"] if (r["system"], r["value"]) == (system, value))
    return dict(row)


def with_row(summary: Summary, system: str, value: str, **changes: Any) -> Summary:
    rows = [{**r, **changes} if (r["system"], r["value"]) == (system, value) else r for r in summary["rows"]]
    return {**summary, "rows": rows}


def shown(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def written(row: Summary) -> str:
    """Mean and interval as a cell has them, worked out here once more."""
    is_even = abs(row["low"] + row["high"] - 2 * row["mean"]) <= max(0.1, 0.125 * (row["high"] - row["low"]))
    half, ends = shown((row["high"] - row["low"]) / 2), f"({shown(row['low'])} to {shown(row['high'])})"
    return f"{shown(row['mean'])} {f'±{half}' if is_even else ends}"


def test_markdown_holds_means_and_differences(swept: Summary) -> None:
    text = sweep_markdown(swept)
    assert text.startswith("**Gain error (dB), SNR 5 dB: test sounds, mean and 95 % interval**")
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    titles = ["SI-SDR (dB)", "SI-SDR, paired difference to 2", "SI-SDR, paired difference to delay\\_and\\_sum"]
    assert [block[0].split(" | ")[0] for block in blocks] == [f"| {title}" for title in titles]
    net = row_of(swept, "net", "6")
    assert blocks[0][-1].endswith(f"| {written(net)} |")
    assert [line.split(" | ")[0] for line in blocks[1][2:]] == ["| noisy", "| delay\\_and\\_sum", "| net"]
    assert [line.split(" | ")[2] for line in blocks[1][2:]] == ["–"] * 3  # the value itself
    assert f"+{written(net['to_baseline'])} |" in blocks[2][-1]
    assert len(blocks[2]) == 4  # the baseline has no line of its own
    assert "6 scenes (test) at every value. Held: the same scenes." in text
    assert "paired by scene and seed. Failed scores, not in the means: none." in text


def test_csv_holds_every_number(swept: Summary) -> None:
    rows = list(csv.DictReader(sweep_csv(swept).splitlines()))
    assert len(rows) == len(swept["rows"]) == 3 * 3
    found = next(row for row in rows if (row["system"], row["value"]) == ("net", "6"))
    net = row_of(swept, "net", "6")
    assert {key: float(found[key]) for key in ("mean", "low", "high", "n", "n_seeds")} == {
        key: net[key] for key in ("mean", "low", "high", "n", "n_seeds")
    }
    assert float(found["to_reference_mean"]) == net["to_reference"]["mean"]
    assert float(found["to_baseline_high"]) == net["to_baseline"]["high"]
    assert {row["to_reference_mean"] for row in rows if row["value"] == "2"} == {""}


@pytest.mark.parametrize("width", [200, 40])
def test_the_terminal_shows_every_value(swept: Summary, width: int) -> None:
    console = Console(width=width, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    print_sweep(swept, console)
    text = console.export_text()
    assert all(name in text for name in ("noisy", "net", "delay", "Failed scores"))
    mean = shown(row_of(swept, "net", "6")["mean"])
    assert mean in text
    assert max(map(len, text.splitlines())) <= width
    heads = [line.split() for line in text.splitlines() if line.startswith(" SI-SDR")]
    assert [value for head in heads for value in head[2:]] == VALUES
    assert (len(heads) == 1) == (width == 200)


def test_few_scenes_are_told_and_not_in_the_dark(swept: Summary) -> None:
    told = "Only 6 scenes: intervals are not to be trusted."
    assert told in sweep_markdown(swept)
    assert told not in sweep_markdown({**swept, "n_scenes": 20})
    assert "Only 1 scene: intervals are not to be trusted.\n\n1 scene (test)" in sweep_markdown(
        {**swept, "n_scenes": 1}
    )
    buffer = io.StringIO()
    print_sweep(swept, Console(width=200, file=buffer, force_terminal=True))
    (line,) = [line for line in buffer.getvalue().splitlines() if told in line]
    assert line == f"\x1b[1m{told}\x1b[0m"  # bold, where the other notes are dim


def test_failed_scores_and_moved_scenes_are_told(swept: Summary) -> None:
    text = sweep_markdown({**with_row(swept, "net", "6", n_failed=1), "n_paired": 4})
    assert "† |" in text
    assert "Failed scores, not in the means: 1." in text
    assert "(in 2 scenes some place had to move)" in text


def test_one_scene_has_no_interval(swept: Summary) -> None:
    row = row_of(swept, "net", "6")
    text = sweep_markdown(with_row(swept, "net", "6", n=1, low=row["mean"], high=row["mean"]))
    line = next(line for line in text.splitlines() if line.startswith("| net |"))
    assert line.endswith(f"| {shown(row['mean'])} |")


def test_the_figure_has_a_panel_for_each_metric_and_every_system(swept: Summary, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg", "a.png"):
        draw_sweep(swept, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert (tmp_path / "b.svg").read_text() == text
    for word in ("noisy", "delay_and_sum", "net", "SI-SDR (dB)", "in the dataset", "Gain error (dB), SNR 5 dB"):
        assert f">{word}</text>" in text, word
    height, width, _ = imread(tmp_path / "a.png").shape
    assert 200 < height < width
    draw_sweep({**swept, "metrics": ["si_sdr", "si_sdr"]}, tmp_path / "two.svg")
    assert len(re.findall(r'id="axes_\d+"', (tmp_path / "two.svg").read_text())) == 2


def test_names_are_not_joined_by_lines(swept: Summary, tmp_path: Path) -> None:
    draw_sweep(swept, tmp_path / "numbers.svg")
    draw_sweep({**swept, "numbers": None, "usual": None}, tmp_path / "names.svg")
    dashes = [(tmp_path / f"{name}.svg").read_text().count("stroke-dasharray") for name in ("names", "numbers")]
    assert dashes[0] == 0 < dashes[1]


def test_labels_that_would_run_into_each_other_are_left_out(swept: Summary, tmp_path: Path) -> None:
    draw_sweep(swept, tmp_path / "apart.svg")
    draw_sweep({**swept, "numbers": [0.0, 0.1, 6.0]}, tmp_path / "close.svg")
    apart, close = ((tmp_path / f"{name}.svg").read_text() for name in ("apart", "close"))
    lost = [apart.count(f">{value}</text>") - close.count(f">{value}</text>") for value in VALUES]
    assert lost == [0, 1, 0]


def test_a_figure_bears_values_without_scores(swept: Summary, tmp_path: Path) -> None:
    draw_sweep(with_row(swept, "net", "2", mean=None, low=None, high=None), tmp_path / "gap.svg")
    assert (tmp_path / "gap.svg").stat().st_size > 1000
