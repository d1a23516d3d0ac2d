"""What a network costs on a device: what is timed, in which order, and how it is told."""

from __future__ import annotations

import csv
import importlib.util
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from arrayse.profile import frame_times
from arrayse.profile.cost import Cost
from arrayse.profile.device import ALONE, INT8, ONNX, TORCH, WAVE, DeviceProfile, device_profile
from arrayse.profile.frame_times import CHUNK, FrameTimes, measure
from arrayse.report.device import csv_device, markdown_device, print_device
from tests.tiny import network


class Clock:
    """Counts thousandths of a second that systems say they take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, resolution: float = 1e-9) -> None:
        self.now, self.calls = 0.0, list[str]()
        info = type("Info", (), {"resolution": resolution})
        monkeypatch.setattr(time, "get_clock_info", lambda name: info)
        self.asked: list[str] = []
        for name in ("thread_time_ns", "perf_counter_ns"):
            monkeypatch.setattr(time, name, self.reading(name))

    def reading(self, name: str) -> Callable[[], int]:
        def read() -> int:
            self.asked.append(name)
            return round(1e6 * self.now)

        return read

    def system(self, name: str, takes_ms: Callable[[int], float]) -> Callable[[], None]:
        def compute() -> None:
            self.now += takes_ms(self.calls.count(name))
            self.calls.append(name)

        return compute


def test_systems_take_turns_and_the_first_block_of_a_turn_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    systems = {
        "even": clock.system("even", lambda number: 100.0 if number % (CHUNK + 1) == 0 else 2.0),
        "rising": clock.system("rising", lambda number: 1.0 + number),
    }
    got = measure(systems, CHUNK + 1, 8.0)
    turn = ["even"] * (CHUNK + 1) + ["rising"] * (CHUNK + 1)
    assert clock.calls == turn * 2
    assert got["even"] == FrameTimes(2.0, 2.0, 2.0, 8.0)
    assert got["even"].real_time_factor == 0.25
    assert got["rising"].median_ms == pytest.approx(0.5 * (1 + CHUNK + 1 + CHUNK + 2))
    assert got["rising"].median_ms < got["rising"].p95_ms < got["rising"].p99_ms
    assert set(clock.asked) == {"thread_time_ns"}


def test_a_coarse_clock_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, resolution=0.015)
    measure({"a": clock.system("a", lambda number: 1.0)}, 1, 1.0)
    assert set(clock.asked) == {"perf_counter_ns"}
    assert "Times: wall time of whole steps" in markdown_device(profile())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from arrayse.export import check

    monkeypatch.setattr(check, "BLOCKS", (2,))
    monkeypatch.setattr(frame_times, "CHUNK", 2)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("kind", "n_rows", "n_units"), [("ft_jnf", 33, 4), ("ft_jnf folded", 9, 8)])
def test_a_network_is_timed_by_torch_and_by_onnx(kind: str, n_rows: int, n_units: int, tmp_path: Path) -> None:
    from arrayse.export.build import export

    net = network(kind, [2, 0], 0)
    export(net, tmp_path / "mine.onnx", "wave", run="abc")
    got = device_profile("tiny", net, 3, tmp_path / "mine.onnx", "abc")
    assert list(got.times) == [TORCH, ONNX, INT8, WAVE, "mine.onnx", ALONE]
    assert all(0 < each.median_ms <= each.p95_ms <= each.p99_ms for each in got.times.values())
    assert (got.missing, got.budget_ms, got.block_samples, got.n_blocks) == ({}, 1.0, 16, 3)
    assert got.weight_bytes[TORCH] == 4 * got.cost.parameters == 4 * sum(p.numel() for p in net.parameters())
    assert got.weight_bytes[INT8] < got.weight_bytes[ONNX]
    kept, begun, level, lstm = 2 * 32, 32, 2, 2 * n_rows * n_units
    assert got.state_bytes == 4 * (kept + begun + level + lstm)
    assert got.overhead is not None
    assert got.overhead < 1
    for run in (None, "xyz"):
        with pytest.raises(ValueError, match=r"onnx: expected a file of this run, got .*mine\.onnx, made from another"):
            device_profile("tiny", net, 3, tmp_path / "mine.onnx", run)


def test_threads_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before, during = torch.get_num_threads(), list[int]()
    torch.set_num_threads(3)
    try:
        monkeypatch.setattr("arrayse.profile.device.measure", lambda *_: during.append(torch.get_num_threads()) or {})
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        device_profile("tiny", network("ft_jnf"), 1)
        assert (during, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("short")
def test_what_cannot_be_quantised_is_told_and_the_rest_is_timed() -> None:
    got = device_profile("tasnet", network("conv_tasnet causal"), 1)
    assert list(got.times) == [TORCH, ONNX]
    assert "int8: expected 10% of the weights" in got.missing[INT8]
    assert got.overhead is None
    assert f"{INT8}: not measured: int8: expected 10% of" in markdown_device(got)


def test_without_the_extra_torch_is_timed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    got = device_profile("tiny", network("ft_jnf"), 1)
    assert list(got.times) == [TORCH]
    assert "ONNX: not measured: onnx: expected the package, got none: pip install 'arrayse[export]'" in (
        markdown_device(got)
    )
    with pytest.raises(ValueError, match="onnxruntime: expected the package, got none: pip install"):
        device_profile("tiny", network("ft_jnf"), 1, Path("a.onnx"), "abc")


def test_networks_that_are_not_causal_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a causal network, got one that needs the whole utterance"):
        device_profile("tiny", network("dptnet"), 1)


# --- tables ----------------------------------------------------------------------------------------------------------


def profile(**times: float) -> DeviceProfile:
    """Three systems; times in milliseconds."""
    named = {TORCH: 2.0, INT8: 0.5, ALONE: 0.4, **times}
    return DeviceProfile(
        name="run[red]",
        cost=Cost(58_400, 9.26e8, 32.0, (0, 1)),
        sample_rate=16000,
        block_samples=256,
        weight_bytes={TORCH: 233_600, INT8: 62_800},
        state_bytes=71_900,
        times={name: FrameTimes(each, 1.5 * each, 2 * each, 16.0) for name, each in named.items()},
        missing={ONNX: "export: no room"},
        n_blocks=500,
        load=9.04,
    )


def test_the_markdown_says_what_was_measured_and_what_it_means() -> None:
    told = markdown_device(profile())
    assert told.startswith("run[red]: 58.4 k parameters, 234 kB of weights in 32 bits, 62.8 kB in 8, 71.9 kB of sta")
    assert "926 M MACs/s, 2 microphones, a block every 16 ms, latency 32 ms." in told
    assert "| torch | 234 kB | 2 | 3 | 4 | 0.12 | 25 % | 1× |" in told
    assert "| ONNX int8 | 62.8 kB | 0.5 | 0.75 | 1 | 0.031 | 6.2 % | 4× |" in told
    assert "| ONNX int8, graph alone | – | 0.4 |" in told
    assert "ONNX int8 takes 0.5 ms of the 16 ms that there are for a block, 3.1 % of one core: " in told
    assert "a core 32 times slower would just keep up." in told
    assert "Transform, states and overlap-add take 20 % of the time of ONNX int8." in told
    assert "Times: processor time (arrayse stream tells wall time) of whole steps" in told
    assert "500 blocks of noise each, in turn, load 9.0 on " in told
    assert "ONNX: not measured: export: no room" in told


def test_what_does_not_keep_up_is_said_to() -> None:
    late = markdown_device(profile(**{INT8: 20.0}))
    assert "ONNX int8 takes 20 ms of the 16 ms that there are for a block: it does not keep up." in late
    assert "one block in a hundred came too late here." in markdown_device(profile(**{INT8: 9.0}))


def test_the_csv_has_unrounded_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_device(profile(**{INT8: 0.123456})))))
    assert [row["system"] for row in rows] == [TORCH, INT8, ALONE]
    assert float(rows[1]["p50_ms"]) == 0.123456
    assert float(rows[1]["speed_up"]) == 2.0 / 0.123456
    assert (rows[2]["weight_bytes"], rows[0]["real_time_factor"]) == ("", "0.125")


def test_the_terminal_shows_the_same_and_no_name_becomes_markup() -> None:
    text = io.StringIO()
    print_device(profile(), Console(width=100, file=text, color_system=None))
    told = " ".join(text.getvalue().split())
    assert all(each in told for each in ("run[red]: 58.4 k", "ONNX int8", "0.031", "4×", "32 times slower"))
    assert max(map(len, text.getvalue().splitlines())) <= 100
