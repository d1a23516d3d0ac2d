"""Networks as files for devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError
from arrayse.evaluation.lineup import check_fits
from arrayse.report.text import count, metric_style, number, with_interval
from arrayse.stream.onnx_backend import OnnxBackend, check_packages
from arrayse.verbs.common import Values, open_data

if TYPE_CHECKING:
    from arrayse.export.build import Exported
    from arrayse.export.quality import Loss


def run_export(
    run: Path, out: Path, values: Values, progress: Callable[[int, int], None], say: Callable[[str], None]
) -> None:
    """Writes the network of a run as an ONNX file, and scores it afterwards where ``data`` asks for that.

    Args:
        run: folder of a causal network.
        out: the file.
        values: checked keys of ``export``.
        progress: called with scenes scored and scenes in all.
        say: called with what was done, line by line, as soon as it is.

    Raises:
        ValueError: see :func:`arrayse.export.build.export`; a dataset that does not fit; a missing package.
    """
    check_packages("onnx", "onnxruntime")
    from arrayse.export.build import default_form, export
    from arrayse.export.quality import int8_losses

    if values["data"] is not None and not values["int8"]:
        raise ConfigError("data: expected it with int8=true, whose cost it tells, got it without")
    enhancer = load_enhancer(run)
    dataset = None if values["data"] is None else open_data(Path(values["data"]))
    if dataset is not None:  # before there is a file
        check_fits(str(run), enhancer, dataset)
        dataset.entries("test")
    exported = export(enhancer, out, values["form"] or default_form(enhancer), values["int8"], fingerprint(run))
    for line in (*told(exported), f"exported: {out}"):
        say(line)
    if dataset is not None:
        n_scenes = len(dataset.entries("test")[: values["n_scenes"]])
        say(f"scoring float and int8 on {n_scenes} test scenes; the file is there already")
        for loss in int8_losses(enhancer, OnnxBackend(out), dataset, values["n_scenes"], progress):
            say(loss_line(loss))


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
    """Means of network and file, and the mean difference with its interval."""
    style, gap = metric_style(loss.metric), loss.difference
    digits = style.digits + 1
    change = with_interval(gap, digits, signed=True)
    sides = f"float {number(loss.whole.mean, digits)}, int8 {number(loss.int8.mean, digits)}"
    failed = f", {gap.n_failed} without a value" if gap.n_failed else ""
    return f"{style.title}: {sides}, difference {change} (n = {gap.n}{failed})"


def _bytes(shape: list[int], dtype: str) -> int:
    size = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}[dtype]
    for length in shape:
        size *= length
    return size
