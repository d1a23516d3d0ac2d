"""The table of experiments/compression from rows with known numbers; its networks."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arrayse.config import read_array, read_config
from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.files import write_json, write_json_lines
from arrayse.models import build_enhancer
from arrayse.profile.cost import Cost
from arrayse.verbs.nets import describe

pytest.importorskip("onnx")
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
SNRS, SCENES = (0.0, 5.0), ("test-0", "test-1", "test-2")


@pytest.fixture
def compression(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package of the tables."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    return importlib.import_module("compression.tables")


@pytest.fixture
def runs(compression: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two networks: the second 0.1 better than the first, both 0.02 worse in 8 bits."""
    names, rows = ("base", "folded"), {"float": list[dict[str, Any]](), "int8": list[dict[str, Any]]()}
    monkeypatch.setattr(compression, "VARIANTS", {name: compression.VARIANTS[name] for name in names})
    monkeypatch.setattr(compression, "load_enhancer", lambda run: None)
    monkeypatch.setattr(compression, "cost", lambda enhancer: Cost(32_330, 5.1e8, 32.0, (0, 1)))
    for place, scene in enumerate(SCENES):
        for snr_db in SNRS:
            score = 1.5 + 0.3 * place + 0.04 * snr_db
            for name, gain in {"noisy": -0.4, "base": 0.0, "folded": 0.1, **dict.fromkeys(BEAMFORMERS, 0.2)}.items():
                rows["float"].append({"system": name, "scene": scene, "snr_db": snr_db, "pesq_wb": score + gain})
                row = {"system": f"{name} int8", "scene": scene, "snr_db": snr_db, "pesq_wb": score + gain - 0.02}
                rows["int8"].append(row)
    summary = {"metrics": ["pesq_wb"], "snr_db": SNRS, "label": "synthetic speech", "split": "test"}
    write_json(tmp_path / "evaluation" / "summary.json", summary)
    write_json_lines(tmp_path / "evaluation" / "rows.jsonl", rows["float"])
    write_json_lines(tmp_path / "rows_int8.jsonl", [row for row in rows["int8"] if row["system"].split()[0] in names])
    write_json(tmp_path / "speed.json", {name: {"torch": 0.1, "onnx": 0.05, "int8": 0.025} for name in names})
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "float.onnx").write_bytes(b"x" * 2000)
        (tmp_path / name / "int8.onnx").write_bytes(b"x" * 1000)
    return tmp_path


def test_the_table_has_cost_speed_and_scores_in_both_forms(compression: Any, runs: Path) -> None:
    compression.write_tables(runs, runs, 400)
    page = (runs / "table.md").read_text()
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| 64/32")
    ]
    assert [row[1] for row in cells] == ["32 bits", "8 bits"] * 4
    assert cells[0][2:8] == ["32", "32.3 k", "510 M", "2", "0.100", "0.050"]
    assert cells[1][5:8] == ["1", "–", "0.025"]
    assert [row[-1] for row in cells[:4]] == ["–", "−0.020 ±0.000", "+0.100 ±0.000", "−0.020 ±0.000"]
    assert [row[8].split()[0] for row in cells[:4]] == ["1.80", "1.78", "1.90", "1.88"]  # at 0 dB
    assert [row[8].split()[0] for row in cells[4:]] == ["1.90", "1.88", "2.00", "1.98"]  # mean
    assert "synthetic speech, split test: n = 3 scenes" in page
    assert "median of 400 blocks" in page
    assert "{" not in page
    assert page.count(r"| mwf\_estimated | – |") == 2


def test_the_csv_has_a_line_for_each_network_metric_and_snr(compression: Any, runs: Path) -> None:
    compression.write_tables(runs, runs, 400)
    with (runs / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == (2 * 2 + 1 + len(BEAMFORMERS)) * 3
    assert {line["weights"] for line in lines} == {"", "float32", "int8"}
    (found,) = (
        line for line in lines if (line["network"], line["weights"], line["snr_db"]) == ("folded", "int8", "all")
    )
    assert float(found["mean"]) == pytest.approx(1.98)
    assert (found["rtf_torch"], found["rtf_onnx"], found["kilobytes"]) == ("", "0.025", "1")


def test_the_networks_stream_with_the_latencies_of_the_page(compression: Any) -> None:
    networks, common = importlib.import_module("compression.networks"), str(EXPERIMENTS / "ftjnf_kd" / "train.yaml")
    latency_ms = {}
    for name, variant in networks.VARIANTS.items():
        values = read_config("train", [common, *variant.arguments, "data=d", "out=o"])
        enhancer = build_enhancer(**describe(values, read_array("circular"), 16000))
        assert enhancer.causal
        latency_ms[name] = enhancer.latency_samples / 16
    assert latency_ms == {**dict.fromkeys(networks.VARIANTS, 32.0), "low_latency": 16.0, "asymmetric": 8.0}
