"""Networks as files for devices."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError
from arrayse.evaluation.lineup import check_fits
from arrayse.report.text import count, metric_style, number, with_spread
from arrayse.verbs.common import Values, open_data

if TYPE_CHECKING:
    from arrayse.export.build import Exported
    from arrayse.export.quality import Loss

PACKAGES = ("onnx", "onnxruntime")


def check_packages() -> None:
    """Raises ValueError where a package of the extra is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"export: expected the packages {', '.join(PACKAGES)}, got no {missing[0]}: {INSTALL}")


INSTALL = "pip install 'arrayse[export]'"


def run_export(run: Path, out: Path, values: Values, progress: Callable[[int, int], None]) -> list[str]:
    """Writes the network of a run as an ONNX file.

    Args:
        run: folder of a causal network.
        out: the file.
        values: checked keys of ``export``.
        progress: called with scenes done and scenes in all, where ``data`` asks for scores.

    Returns:
        What was done, line by line.

    Raises:
        ValueError: see :func:`arrayse.export.build.export`; a dataset that does not fit; a missing package.
    """
    check_packages()
    from arrayse.export.build import default_form, export
    from arrayse.export.quality import int8_losses
    from arrayse.stream.onnx_backend import OnnxBackend

    if values["data"] is not None and not values["int8"]:
        raise ConfigError("data: expected it with int8=true, whose cost it tells, got it without")
    enhancer = load_enhancer(run)
    dataset = None if values["data"] is None else open_data(Path(values["data"]))
    if dataset is not None:  # before there is a file
        check_fits(str(run), enhancer, dataset)
        dataset.entries("test")
    exported = export(enhancer, out, values["form"] or default_form(enhancer), values["int8"], fingerprint(run))
    lines = told(exported)
    if dataset is not None:
        losses = int8_losses(enhancer, OnnxBackend(out), dataset, values["n_scenes"], progress)
        lines += [loss_line(loss) for loss in losses]
    return lines


def told(exported: Exported) -> list[str]:
    """Size, face and accuracy of what was written."""
    metadata = exported.metadata
    latency_ms = 1e3 * metadata.latency_samples / metadata.sample_rate
    n_bytes = sum(_bytes(state.shape, state.dtype) for state in metadata.states)
    signal, estimate = (f"{each.name} {tuple(each.shape)}" for each in (metadata.signal, metadata.estimate))
    lines = [
        f"form {metadata.form}, opset {metadata.opset}, {count(exported.n_bytes)}B, latency {latency_ms:g} ms",
        f"{signal} → {estimate}, {len(metadata.states)} states of {count(n_bytes)}B together",
        f"differs from torch by {max(each.largest for each in exported.float_deviations):.1g} at most",
    ]
    if exported.int8_deviations:
        level_db = exported.int8_deviations[-1].level_db
        lines.append(f"int8: differs from float by {number(level_db, 1)} dB of the estimate of noise")
    return lines


def loss_line(loss: Loss) -> str:
    """Means of network and file, and the mean difference with half its interval."""
    style, gap = metric_style(loss.metric), loss.difference
    digits = style.digits + 1
    half = None if gap.low is None or gap.high is None else (gap.high - gap.low) / 2
    change = with_spread(gap.mean, half, digits, signed=True)
    sides = f"float {number(loss.whole.mean, digits)}, int8 {number(loss.int8.mean, digits)}"
    failed = f", {gap.n_failed} without a value" if gap.n_failed else ""
    return f"{style.title}: {sides}, difference {change} (n = {gap.n}{failed})"


def _bytes(shape: list[int], dtype: str) -> int:
    size = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}[dtype]
    for length in shape:
        size *= length
    return size
