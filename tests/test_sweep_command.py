"""The command and its named configs: what people type, and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrayse.config import config_root, read_array, read_config
from arrayse.files import read_json
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import open_dataset
from arrayse.sweep import CONDITIONS, SNR, check_values, draw_variants
from arrayse.verbs.sweep import OWN
from simulate.description import open_world
from tests.test_cli import arrayse, fails
from tests.test_evaluate import make_run

NAMES = sorted(path.stem for path in (config_root() / "sweep").glob("*.yaml"))


@pytest.fixture
def run(tiny_dataset: Path, tmp_path: Path) -> Path:
    return make_run(tmp_path / "net", open_dataset(tiny_dataset).geometry)


def test_every_condition_has_a_config_of_its_name() -> None:
    assert sorted(CONDITIONS) == NAMES
    for name in NAMES:
        assert len((config_root() / "sweep" / f"{name}.yaml").read_text().splitlines()) <= 15
        assert read_config("sweep", [name, "data=d", "out=o"])["condition"] == name


@pytest.mark.parametrize("name", NAMES)
def test_the_values_of_a_config_can_be_drawn(name: str, tiny_dataset: Path) -> None:
    world, _ = open_world(tiny_dataset)
    values = read_config("sweep", [name, "data=d", "out=o"])["values"]
    if name == "other_array":
        values = [world.geometry if value == OWN else read_array(value) for value in values]
        assert all(isinstance(value, ArrayGeometry) and value.n_mics == 5 for value in values)
    swept = check_values(name, values, world.geometry)
    assert len(swept) >= 5
    if name != SNR:
        assert len(draw_variants(name, swept, world, "test", 2)) == len(swept)


def test_a_sweep_is_one_command(
    run: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    places = [f"data={tiny_dataset}", f"out={out}", "metrics=[si_sdr]", "workers=1"]
    assert arrayse(monkeypatch, "sweep", "dead_mic", str(run), *places, "values=[none,2]") == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("Dead microphone", "SI-SDR", "none", "noisy", "net"))
    listed = told.splitlines()[-1].removeprefix(f"sweep: {out}  (").removesuffix(")").split(", ")
    assert listed == sorted(f"{path.name}/" if path.is_dir() else path.name for path in out.iterdir())
    assert {"evaluations/", "figure.png", "scenes/"} < {*listed}
    files = {path.name for path in out.iterdir() if path.is_file()}
    assert files == {
        *("config.yaml", "condition.json", "sweep.json", "table.md", "table.csv", "figure.svg", "figure.png")
    }
    before = (out / "sweep.json").stat().st_mtime_ns
    assert arrayse(monkeypatch, "sweep", "dead_mic", *places, "values=[none,2]", f"runs=[{run}]") == 0
    assert read_json(out / "sweep.json", "sweep")["systems"][1]["name"] == "net"
    assert (out / "sweep.json").stat().st_mtime_ns > before


def test_another_array_is_heard_channel_by_channel(
    run: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"data={tiny_dataset}", f"out={tmp_path / 'out'}", "metrics=[si_sdr]", "workers=1", "n_scenes=1"]
    assert arrayse(monkeypatch, "sweep", "other_array", str(run), *places, "values=[own,glasses]") == 0
    rows = read_json(tmp_path / "out" / "sweep.json", "sweep")["rows"]
    assert {(row["system"], row["value"]) for row in rows if row["n"]} == {
        (system, value) for system in ("noisy", "net") for value in ("circular", "glasses")
    }
    fails(
        *(monkeypatch, capsys, "net array: expected data of circular (5 mics), which it was trained for, got data of "),
        *("sweep", "other_array", str(run), *places[:1], f"out={tmp_path / 'few'}", "values=[own,linear]"),
    )


def test_bad_commands(
    run: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, out, net = f"data={tiny_dataset}", "out=o", str(run)
    same = make_run(tmp_path / "b" / "net", open_dataset(tiny_dataset).geometry)
    cases = [
        ("sweep: expected a run folder or a config, got runs/nobody: no such run", ["rt60", "runs/nobody", data, out]),
        ("did you mean sweep/rt60?", ["rt6", net, data, out]),
        ("condition: expected a value, got none: set condition=…", [net, data, out, "values=[1,2]"]),
        ("runs: expected run folders with different names", ["rt60", net, str(same), data, out]),
        ("runs: expected run folders or beamformers, got none", ["rt60", data, out]),
        (f"runs: expected run folders, got {tmp_path} without model.json", ["rt60", data, out, f"runs=[{tmp_path}]"]),
        ("condition: expected one of snr, rt60", ["rt60", net, data, out, "condition=temperature"]),
        ("values: expected", ["rt60", net, data, out, "values=[0.3]"]),
        ("n_scenes: expected a value greater than or equal to 1", ["rt60", net, data, out, "n_scenes=0"]),
    ]
    for expected, arguments in cases:
        fails(monkeypatch, capsys, expected, "sweep", *arguments)
    assert not (tmp_path / "o").exists()
