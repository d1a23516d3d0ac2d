"""Costs against the published figures (hop 256 at 16 kHz) and against torch's own counter; what is timed, and how."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from arrayse.config import config_root, read_config
from arrayse.geometry import circular
from arrayse.models import Enhancer, build_enhancer
from arrayse.profile.cost import (
    TIMED_MACS,
    Cost,
    Profile,
    Timing,
    cost,
    macs_per_second,
    n_parameters,
    real_time_factor,
    timed_samples,
)
from arrayse.report.costs import csv_costs, markdown_costs, print_costs
from arrayse.verbs.nets import describe
from tests.tiny import enhancer as tiny

NAMED = sorted(path.stem for path in (config_root() / "model").glob("*.yaml"))
VALUES: dict[str, Any] = {"seconds": 4.0, "repeats": 3}


def named(config: str, *overrides: str) -> Enhancer:
    """The network of a named config, for the circular array at 16 kHz."""
    values = read_config("train", [config, "data=unused", "out=unused", *overrides])
    return build_enhancer(**describe(values, circular(), 16000))


def enhancer_of(preset: str, freq_hidden: int, time_hidden: int, causal: bool = True) -> Enhancer:
    net = {
        "name": "ft_jnf",
        "preset": preset,
        "freq_hidden": freq_hidden,
        "time_hidden": time_hidden,
        "causal": causal,
    }
    return build_enhancer(net, {}, {}, circular().to_dict(), None, None, 16000)


@pytest.mark.parametrize(
    ("preset", "freq_hidden", "time_hidden", "causal", "giga_macs"),
    [
        ("tesch", 256, 128, False, 19.3),
        ("tesch", 256, 128, True, 14.0),
        ("metzger", 512, 128, True, 22.46),
        ("metzger", 256, 64, True, 5.70),
        ("metzger", 88, 40, True, 0.889),
    ],
)
def test_published_costs(preset: str, freq_hidden: int, time_hidden: int, causal: bool, giga_macs: float) -> None:
    frames = 251 / 250  # 4 s have one frame more than 4 s of a stream
    got = macs_per_second(enhancer_of(preset, freq_hidden, time_hidden, causal))
    assert got == pytest.approx(giga_macs * 1e9 * frames, rel=5e-3)


def test_parameters_do_not_count_buffers() -> None:
    assert n_parameters(enhancer_of("metzger", 88, 40)) == 56_410


@pytest.mark.parametrize("name", NAMED)
def test_torch_counts_the_same_for_every_named_model(name: str) -> None:
    enhancer = named(f"model/{name}").eval()
    n_samples = 60 if name.startswith("dptnet") else 1500  # a frame per sample makes the former costly
    with (
        torch.no_grad(),
        torch.backends.mkldnn.flags(enabled=False),  # its LSTM is not counted
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        enhancer(torch.randn(1, 5, n_samples))
    counted = counter.get_flop_counts()[f"{type(enhancer).__name__}.net"]  # features and transforms do not count
    assert sum(counted.values()) == 2 * enhancer.macs(n_samples)


@pytest.mark.parametrize(
    ("config", "latency_ms"),
    [
        ("train/student", 32.0),  # a window
        ("model/tesch", None),
        ("model/metzger", None),  # its level is that of the whole segment
        ("model/low_latency", 16.0),  # a shorter one
        ("model/low_latency_asymmetric", 8.0),  # what the synthesis window leaves of it
        ("model/conv_tasnet_causal", 1.0),  # a frame of 16 samples
        ("model/conv_tasnet", None),
        ("model/dccrn", 62.5),  # a window of 25 ms and 6 frames of look-ahead
    ],
)
def test_latency_is_algorithmic_or_there_is_none(config: str, latency_ms: float | None) -> None:
    got = cost(named(config))
    assert got.latency_ms == latency_ms
    assert got.causal == (latency_ms is not None)


def test_a_cost_is_that_of_the_microphones_heard() -> None:
    enhancer = named("train/student", "mics=[4,1]", "ref_mic=1")
    assert cost(enhancer) == Cost(n_parameters(enhancer), macs_per_second(enhancer), 32.0, (4, 1))


# --- timing ----------------------------------------------------------------------------------------------------------


class Watched:
    """Stands for an enhancer whose passes take given times by a clock of the test."""

    geometry, sample_rate, training = circular(), 16000, True

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes: list[float], macs_per_sample: float = 1.0) -> None:
        self.takes, self.clock, self.heard = takes, 0.0, list[tuple[Any, ...]]()
        self.macs_per_sample = macs_per_sample
        monkeypatch.setattr(time, "perf_counter", lambda: self.clock)

    def __call__(self, wave: Tensor) -> None:
        self.heard.append(
            (tuple(wave.shape), torch.get_num_threads(), self.training, torch.is_inference_mode_enabled())
        )
        self.clock += self.takes[len(self.heard) - 1]

    def macs(self, n_samples: int) -> int:
        return round(self.macs_per_sample * n_samples)

    def eval(self) -> None:
        self.training = False

    def train(self, mode: bool) -> None:
        self.training = mode


def test_the_factor_is_the_median_after_a_pass_that_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: Any = Watched(monkeypatch, [9.0, 3.0, 1.0, 1.5])
    assert real_time_factor(watched, 0.5, repeats=3) == Timing(3.0, 0.5)
    assert watched.heard == [((1, 5, 8000), 1, False, True)] * 4
    assert watched.training


def test_costly_networks_are_timed_on_less_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: Any = Watched(monkeypatch, [1.0, 1.0], TIMED_MACS / 16000)  # all that is allowed, in a second
    assert real_time_factor(watched, 4.0, repeats=1) == Timing(1.0, 1.0)
    assert timed_samples(watched, 1e-9) == 1


@pytest.mark.parametrize("name", NAMED)
def test_every_named_model_can_be_timed_in_some_seconds(name: str) -> None:
    enhancer = named(f"model/{name}")
    n_samples = timed_samples(enhancer, 4.0)
    assert n_samples >= 1600
    assert enhancer.macs(n_samples) <= 1.1 * TIMED_MACS  # a frame more


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_threads_and_mode_are_as_before_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny().train()
    assert real_time_factor(net, 0.1, 1).real_time_factor > 0
    assert (torch.get_num_threads(), net.training) == (3, True)
    broken: Any = Watched(monkeypatch, [])
    with pytest.raises(IndexError):
        real_time_factor(broken)
    assert broken.heard[0][1] == 1
    assert (torch.get_num_threads(), broken.training) == (3, True)


# --- tables ----------------------------------------------------------------------------------------------------------

PROFILES = [
    Profile("a|b", Cost(1_206_786, 19.3e9, None, (0, 1)), Timing(1.234, 1.03)),
    Profile("c[red]", Cost(56_410, 9.4e8, 62.5, (3,)), Timing(0.1234, 4.0)),
    Profile("a_name_of_so_many_letters", Cost(100, 2e6, 1.0, (0, 1, 2, 5, 4)), None),
]


def test_the_markdown_says_what_was_timed_on_less() -> None:
    rows = markdown_costs(PROFILES, VALUES).splitlines()
    assert rows[2] == r"| a\|b | 1.21 M | 19.3 G | no | utterance | 1.2 (1 s) | 0 1 |"
    assert rows[3] == "| c[red] | 56.4 k | 940 M | yes | 62.5 | 0.12 | 3 |"
    assert rows[4] == "| a_name_of_so_many_letters | 100 | 2 M | yes | 1 | – | 0–2 5 4 |"
    assert "over an utterance of 4 s" in rows[6]
    assert "median of 3 passes over 4 s, or over the length in brackets, which takes 20 G MACs; torch " in rows[8]
    assert "brackets" not in markdown_costs(PROFILES[1:], VALUES)
    assert "Real-time" not in "".join(markdown_costs(PROFILES[2:], VALUES).splitlines()[2:])


def test_the_csv_has_unrounded_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_costs(PROFILES))))
    assert [row["network"] for row in rows] == ["a|b", "c[red]", "a_name_of_so_many_letters"]
    assert rows[0]["params"] == "1206786"
    assert (float(rows[0]["real_time_factor"]), float(rows[0]["seconds_timed"])) == (1.234, 1.03)
    assert (rows[0]["causal"], rows[0]["latency_ms"], rows[0]["mics"]) == ("false", "", "0 1")
    assert (rows[2]["real_time_factor"], rows[2]["seconds_timed"], rows[2]["latency_ms"]) == ("", "", "1.0")


def test_the_terminal_shows_the_same_and_no_name_becomes_markup() -> None:
    text = io.StringIO()
    print_costs(PROFILES, VALUES, Console(width=80, file=text, color_system=None))
    told = text.getvalue()
    shown = ("a|b", "c[red]", "a_name_of_so_many_letter", "1.2 (1 s)", "utterance", "62.5", "0–2 5 4")
    assert all(each in told for each in shown)
    assert max(map(len, told.splitlines())) <= 80
