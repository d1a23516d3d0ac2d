"""Two processes train what one trains on the same batches, up to the order of sums."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from tests.stress.common import Row, World

TOLERANCE = 1e-5
"""Of weights, which are about 0.3."""


def check(world: World, n_seeds: int, folder: Path) -> Iterator[Row]:
    """Trains and distils with one and with two processes (gloo, loopback)."""
    kinds: dict[str, Callable[[Path], list[Any]]] = {"train": world.train, "distill": world.distill}
    for name, arguments in kinds.items():
        farthest, broken = 0.0, 0
        for seed in range(n_seeds):
            runs = [folder / f"{name}-{seed}-{count}" for count in (1, 2)]
            for count, run in zip((1, 2), runs, strict=True):
                _train([*arguments(run), f"seed={seed}"], count)
            one, two = (load_file(run / "model.safetensors") for run in runs)
            apart = max(float((one[key].double() - two[key].double()).abs().max()) for key in one)
            farthest, broken = max(farthest, apart), broken + (not apart <= TOLERANCE or one.keys() != two.keys())
        note = f"weights differ by {farthest:.1g} at most, of {TOLERANCE:g} allowed"
        yield Row("processes", f"{name}: two give what one gives", n_seeds, broken, note)


def _train(arguments: list[Any], count: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    common |= {"WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "arrayse", *map(str, arguments)]
    children = [
        subprocess.Popen(
            command,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    told = [child.communicate()[1] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError(f"arrayse {' '.join(map(str, arguments))} with {count} processes:\n{told[-1]}")
