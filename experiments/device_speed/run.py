"""Times untrained FT-JNF networks of three sizes by torch and by ONNX Runtime, and writes ``table.md``.

``python experiments/device_speed/run.py``
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from arrayse.files import write_text
from arrayse.geometry import circular
from arrayse.models import build_enhancer
from arrayse.profile.device import INT8, TORCH, DeviceProfile, device_profile
from arrayse.report.device import HEADER, facts, notes, rows
from arrayse.report.text import factor, percent

SIZES = ((64, 32), (128, 64), (256, 128))
"""Units of the LSTMs over frequency and over time."""

RTF_GOALS = (0.03, 0.06, 0.15)
SPEED_UP_GOAL, OVERHEAD_GOAL = 2.5, 0.25
"""For the smallest size."""

N_BLOCKS = 500
TABLE = Path(__file__).parent / "table.md"


def measured(freq_hidden: int, time_hidden: int) -> DeviceProfile:
    """One size, with random weights: they do not change the time."""
    torch.manual_seed(0)
    net = {"name": "ft_jnf", "preset": "tesch", "freq_hidden": freq_hidden, "time_hidden": time_hidden, "causal": True}
    stft = {"n_fft": 512, "hop_length": 256, "window": "sqrt_hann"}
    enhancer = build_enhancer(net, stft, {"norm": "recursive"}, circular().to_dict(), None, None, 16000)
    return device_profile(f"{freq_hidden}/{time_hidden}", enhancer, N_BLOCKS)


def goal_lines(profiles: list[DeviceProfile]) -> list[str]:
    """What was wanted, what came out."""
    lines = ["| goal | wanted | measured | |", "| --- | ---: | ---: | --- |"]

    def add(what: str, wanted: str, got: str, met: bool) -> None:
        lines.append(f"| {what} | {wanted} | {got} | {'met' if met else 'missed'} |")

    small = profiles[0]
    speed_up = small.times[TORCH].median_ms / small.times[INT8].median_ms
    add(f"{small.name}: {INT8} against torch", f"≥ {SPEED_UP_GOAL:g}×", f"{speed_up:.2g}×", speed_up >= SPEED_UP_GOAL)
    for profile, goal in zip(profiles, RTF_GOALS, strict=True):
        got = profile.times[INT8].real_time_factor
        add(f"{profile.name}: real-time factor of {INT8}", f"≤ {goal:g}", factor(got), got <= goal)
    overhead = small.overhead or 0.0
    add(f"{small.name}: around the graph", f"≤ {percent(OVERHEAD_GOAL)}", percent(overhead), overhead <= OVERHEAD_GOAL)
    return lines


def page(profiles: list[DeviceProfile]) -> str:
    """The tables as Markdown."""
    head = ["| Network | " + " | ".join(HEADER) + " |", "| --- " * 2 + "| ---: " * (len(HEADER) - 1) + "|"]
    times = [f"| {' | '.join([profile.name, *row])} |" for profile in profiles for row in rows(profile)]
    about = [line for profile in profiles for line in (facts(profile), notes(profile)[-1])]
    return "\n".join([*goal_lines(profiles), "", *head, *times, "", *(f"- {line}" for line in about), ""])


def main() -> None:
    """Measures size by size."""
    profiles = []
    for size in SIZES:
        profiles.append(measured(*size))
        print(facts(profiles[-1]), *notes(profiles[-1])[:2], sep="\n", file=sys.stderr)
    write_text(TABLE, page(profiles))


if __name__ == "__main__":
    main()
