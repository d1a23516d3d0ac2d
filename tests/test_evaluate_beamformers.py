"""Beamformers as rows of an evaluation: scored like networks, shown as what they are, and no winners of a headline."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from arrayse.checkpoint import fingerprint
from arrayse.config import read_config
from arrayse.evaluation.baselines import beamform
from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import read_json, read_json_lines, write_json, write_json_lines
from arrayse.metrics import score
from arrayse.mixture import open_dataset
from arrayse.report.build import build_report
from arrayse.report.figures import colour_index
from arrayse.report.headline import headline
from arrayse.report.results import parse_results
from arrayse.report.table import csv_table, markdown_table, print_table
from arrayse.report.table_text import best_cells
from tests.report_example import make_summary
from tests.test_evaluate import make_run

NAMES = ["delay_and_sum", "superdirective"]
ORACLE = "oracle: steered to the true direction of the target"


@pytest.fixture
def wanted(tiny_dataset: Path, tmp_path: Path) -> Request:
    """One network that hears and estimates microphone 3, two beamformers, the first of which is the baseline."""
    run = make_run(tmp_path / "net", open_dataset(tiny_dataset).geometry, [1, 3], 3)
    return Request({"net": run}, tiny_dataset, "test", [0.0, 10.0], None, ["si_sdr"], NAMES[0], 1, 0, NAMES)


def test_a_beamformer_is_scored_at_the_reference_of_the_array(wanted: Request, tmp_path: Path) -> None:
    summary = evaluate(wanted, tmp_path / "out", 1, {})
    rows = list(read_json_lines(tmp_path / "out" / "rows.jsonl"))
    dataset = open_dataset(wanted.data)
    entry, geometry = dataset.entries("test")[1], dataset.geometry
    mixture = dataset.read(entry, wanted_snr_db=10.0)
    for name in NAMES:
        wave = beamform(name, mixture.noisy, entry, geometry, 16000)
        expected = score(wave, mixture.target[geometry.ref_mic], 16000, ["si_sdr"])["si_sdr"].value
        (row,) = (r for r in rows if (r["system"], r["scene"], r["snr_db"]) == (name, entry.id, 10.0))
        assert row["si_sdr"] == pytest.approx(expected, abs=1e-6)
    assert [system["name"] for system in summary["systems"]] == ["noisy", "noisy mic 3", *NAMES, "net"]
    system = summary["systems"][2]
    assert (system["kind"], system["params"], system["macs_per_second"]) == ("beamformer", None, None)
    assert (system["mics"], system["causal"]) == ([0, 1, 2, 3, 4], True)
    assert system["description"] == f"fixed delay-and-sum, {ORACLE}"
    assert summary["systems"][3]["description"].startswith("fixed superdirective (spherically diffuse field, diagonal")
    pairs = {(cell["system"], cell["baseline"]) for cell in summary["differences"]}
    beside = {("net", "noisy mic 3"), ("net", "delay_and_sum"), ("superdirective", "delay_and_sum")}
    assert pairs == {("delay_and_sum", "noisy"), ("superdirective", "noisy"), *beside}
    (example,) = read_json(tmp_path / "out" / "examples.json", "examples")
    assert list(example["waves"]) == ["noisy", "target", *NAMES, "net"]
    assert ORACLE in build_report([tmp_path / "out"], tmp_path / "page.html").read_text()


def test_no_beamformers_unless_asked_for_and_none_unknown() -> None:
    assert read_config("evaluate", ["data=d", "out=o"])["beamformers"] == []
    assert read_config("evaluate", ["data=d", "out=o", f"beamformers=[{','.join(NAMES)}]"])["beamformers"] == NAMES
    for bad in ("[mvdr]", "[delay_and_sum,delay_and_sum]"):
        with pytest.raises(ValueError, match="beamformers"):
            read_config("evaluate", ["data=d", "out=o", f"beamformers={bad}"])


def test_an_evaluation_with_fewer_beamformers_is_another_one(wanted: Request, tmp_path: Path) -> None:
    evaluate(wanted, tmp_path / "out", 1, {})
    with pytest.raises(ValueError, match="other beamformers"):
        evaluate(replace(wanted, beamformers=[], baseline=None), tmp_path / "out", 1, {})


def test_a_run_must_not_have_the_name_of_a_beamformer(wanted: Request, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="those of beamformers, got superdirective"):
        evaluate(replace(wanted, runs={"superdirective": wanted.runs["net"]}), tmp_path / "out", 1, {})


def test_a_scene_without_a_direction_is_named_before_anything_is_written(wanted: Request, tmp_path: Path) -> None:
    shutil.copytree(wanted.data, tmp_path / "data")
    manifest = tmp_path / "data" / "test" / "shard-00000" / "manifest.jsonl"
    first, second = read_json_lines(manifest)
    write_json_lines(manifest, [first, second | {"place": None}])
    elsewhere = replace(wanted, data=tmp_path / "data")
    with pytest.raises(ValueError, match="known direction, got test-000001, which is in a measured room"):
        evaluate(elsewhere, tmp_path / "out", 1, {})
    assert not (tmp_path / "out").exists()
    evaluate(replace(elsewhere, n_scenes=1), tmp_path / "out", 1, {})
    told = replace(elsewhere, beamformers=["mvdr_oracle", "irm_oracle"], baseline=None, n_examples=0)
    summary = evaluate(told, tmp_path / "told", 1, {})  # which need no direction
    systems = {system["name"]: (system["mics"], system["causal"]) for system in summary["systems"]}
    assert systems["mvdr_oracle"] == ([0, 1, 2, 3, 4], False)
    assert systems["irm_oracle"] == ([0], True)


def test_a_teacher_is_who_taught_another_run(wanted: Request, tmp_path: Path) -> None:
    geometry = open_dataset(wanted.data).geometry
    runs = {name: make_run(tmp_path / name, geometry, mics) for name, mics in (("big", None), ("small", [0]))}
    summary = evaluate(replace(wanted, runs=runs, beamformers=[], baseline=None, n_scenes=1), tmp_path / "a", 1, {})
    assert [system["kind"] for system in summary["systems"]] == ["noisy", "model", "model"]
    about = read_json(tmp_path / "small" / "about.json", "run")
    write_json(tmp_path / "small" / "about.json", about | {"teachers": {"big": fingerprint(runs["big"]), "other": "0"}})
    summary = evaluate(replace(wanted, runs=runs, beamformers=[], baseline=None, n_scenes=1), tmp_path / "a", 1, {})
    assert [system["kind"] for system in summary["systems"]] == ["noisy", "teacher", "model"]


def beaten() -> dict[str, Any]:
    """A summary in which a beamformer called like a teacher has the highest means of all."""
    summary = make_summary(names=("noisy", "teacher", "student"))
    about = {"kind": "beamformer", "params": None, "macs_per_second": None, "mics": [0, 1], "causal": True}
    summary["systems"].insert(0, {"name": "teacher_beam", "description": f"<beam>, {ORACLE}", **about})
    summary["table"] += [
        cell | {"system": "teacher_beam", "mean": cell["mean"] + 9}
        for cell in summary["table"]
        if cell["system"] == "student"
    ]
    return summary


def test_a_beamformer_competes_with_no_network() -> None:
    results = parse_results(beaten())
    first = headline(results)
    assert first is not None
    assert first.best.name == "student"
    assert first.teacher is not None
    assert first.teacher.name == "teacher"
    assert results.noisy is not None
    assert results.noisy.name == "noisy"
    assert not best_cells(results)  # a single candidate is not the best of anything
    assert colour_index(results) == {"noisy": 0, "teacher_beam": 1, "teacher": 2, "student": 3}


def test_tables_say_what_a_beamformer_is_told() -> None:
    markdown, lines = markdown_table(beaten()), csv_table(beaten()).splitlines()
    assert f"teacher\\_beam: &lt;beam>, {ORACLE}." in markdown
    assert "| teacher\\_beam | – | – |" in markdown
    assert lines[1].startswith("teacher_beam,beamformer,,,pesq_wb,-5.0,")
    terminal = io.StringIO()
    print_table(beaten(), Console(file=terminal, width=200))
    assert ORACLE in terminal.getvalue()
