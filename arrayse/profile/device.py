"""What a causal network costs on a device: memory, and the time of one block by torch and by ONNX Runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arrayse.models import Enhancer, SpectralEnhancer
from arrayse.profile.cost import Cost, cost, one_thread
from arrayse.profile.frame_times import FrameTimes, measure, pushing
from arrayse.stream import Backend, TorchBackend
from arrayse.stream.onnx_backend import OnnxBackend, check_packages

if TYPE_CHECKING:
    from arrayse.stream.onnx_metadata import Form

TORCH = "torch"
ONNX, INT8 = "ONNX", "ONNX int8"
WAVE = "ONNX int8, form wave"
ALONE = "ONNX int8, graph alone"


@dataclass(frozen=True)
class DeviceProfile:
    """The costs of one network.

    Attributes:
        name: of the run or config.
        cost: see :class:`arrayse.profile.cost.Cost`.
        sample_rate: Hz.
        block_samples: of every step.
        weight_bytes: of parameters in 32 bits by torch, and of the weights of each exported file.
        state_bytes: of what a stream carries from block to block, by torch.
        times: by system; whole steps, but for :data:`ALONE`.
        missing: systems that are not there, and why.
        n_blocks: timed of each.
        load: processes that wanted to compute while it was measured, mean over a minute; None where no one knows.
    """

    name: str
    cost: Cost
    sample_rate: int
    block_samples: int
    weight_bytes: dict[str, int]
    state_bytes: int
    times: dict[str, FrameTimes]
    missing: dict[str, str]
    n_blocks: int
    load: float | None

    @property
    def budget_ms(self) -> float:
        """Length of a block."""
        return 1e3 * self.block_samples / self.sample_rate

    @property
    def overhead(self) -> float | None:
        """Share of transform, states and overlap-add in the time of :data:`INT8`; None where that is not there."""
        if ALONE not in self.times:
            return None
        return 1 - self.times[ALONE].median_ms / self.times[INT8].median_ms


def device_profile(
    name: str, enhancer: Enhancer, n_blocks: int, file: Path | None = None, run: str | None = None
) -> DeviceProfile:
    """Exports a network, and times it in turn with torch and with ONNX Runtime, each with one thread.

    Args:
        name: what it is called.
        enhancer: causal.
        n_blocks: to be timed of every system.
        file: an exported file that is timed too.
        run: hash of the run that the file has to be of.

    Raises:
        ValueError: a network that is not causal, or a file that is not of this run.
    """
    enhancer = enhancer.cpu().eval()
    network = TorchBackend(enhancer)
    backends: dict[str, Backend] = {TORCH: network}
    weight_bytes = {TORCH: sum(each.numel() * each.element_size() for each in enhancer.parameters())}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for system, form, int8 in _variants(enhancer):
            try:
                exported, n_bytes = _exported(enhancer, Path(folder) / "step.onnx", form, int8)
                backends[system], weight_bytes[system] = exported, n_bytes
            except ValueError as error:
                missing[system] = str(error)
        if file is not None:
            backends[file.name] = _of_run(file, run)
        systems: dict[str, Callable[[], object]] = {each: pushing(backend) for each, backend in backends.items()}
        if INT8 in backends and isinstance(enhancer, SpectralEnhancer):
            systems[ALONE] = _alone(backends[INT8])
        budget_ms = 1e3 * network.block_samples / network.sample_rate
        times = measure(systems, n_blocks, budget_ms)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    n_state = _n_bytes(enhancer.initial_state())
    about = (cost(enhancer), network.sample_rate, network.block_samples, weight_bytes, n_state)
    return DeviceProfile(name, *about, times, missing, n_blocks, load)


def _variants(enhancer: Enhancer) -> list[tuple[str, Form, bool]]:
    if not isinstance(enhancer, SpectralEnhancer):
        return [(ONNX, "wave", False), (INT8, "wave", True)]
    return [(ONNX, "frame", False), (INT8, "frame", True), (WAVE, "wave", True)]


def _exported(enhancer: Enhancer, path: Path, form: Form, int8: bool) -> tuple[OnnxBackend, int]:
    """A backend, and the bytes of its weights; the file is no longer needed then."""
    check_packages("onnx", "onnxruntime")
    from arrayse.export.build import export

    exported = export(enhancer, path, form, int8)
    return OnnxBackend(path), exported.n_weight_bytes


def _of_run(file: Path, run: str | None) -> OnnxBackend:
    backend = OnnxBackend(file)
    if run is None or backend.metadata.run != run:
        raise ValueError(f"onnx: expected a file of this run, got {file}, made from another")
    return backend


def _alone(backend: Any) -> Callable[[], object]:
    """The graph without what is around it, on a spectrum and states as they come up in a stream."""
    rng = np.random.default_rng(0)
    metadata = backend.metadata
    spec = rng.standard_normal(metadata.signal.shape, np.float32)
    states = [np.zeros(state.shape, state.dtype) for state in metadata.states]

    def run() -> None:
        nonlocal states
        _, *states = backend.run(spec, states)

    return run


def _n_bytes(state: Any) -> int:
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    return sum(_n_bytes(part) for part in state)
