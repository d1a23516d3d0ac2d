"""Costs against the published figures (hop 256 at 16 kHz) and against torch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from arrayse.geometry import circular
from arrayse.models import Enhancer, build_enhancer
from arrayse.profile import macs_per_second, n_parameters
from arrayse.taps import Taps


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


def test_torch_counts_the_same() -> None:
    enhancer = enhancer_of("metzger", 5, 3)
    features = torch.randn(1, 10, 257, 4)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        enhancer.net(features, Taps())
    assert counter.get_total_flops() / 2 == enhancer.net.macs(257, 4)


def test_parameters_do_not_count_buffers() -> None:
    assert n_parameters(enhancer_of("metzger", 88, 40)) == 56_410
