"""From a network to a checked ONNX file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from torch import Tensor

from arrayse.export.check import Deviation, check_deviations, check_finite, deviations
from arrayse.export.graph import OPSET
from arrayse.export.quantise import quantise
from arrayse.export.steps import Step, build_step
from arrayse.export.trace import translate
from arrayse.files import remove_unfinished, write_whole
from arrayse.models import Enhancer, SpectralEnhancer
from arrayse.provenance import git_revision
from arrayse.stream import TorchBackend
from arrayse.stream.onnx_backend import OnnxBackend
from arrayse.stream.onnx_metadata import Form, Metadata, TensorInfo, Transform

ESTIMATE = "estimate"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        metadata: what the file says about itself.
        n_bytes: of the file.
        n_weight_bytes: of the constants in it.
        float_deviations: of the graph in 32 bits from the network.
        int8_deviations: of the quantised one; [] if there is none.
    """

    metadata: Metadata
    n_bytes: int
    n_weight_bytes: int
    float_deviations: list[Deviation]
    int8_deviations: list[Deviation]


def default_form(enhancer: Enhancer) -> Form:
    """Frames where the network works on them."""
    return "frame" if isinstance(enhancer, SpectralEnhancer) else "wave"


def export(enhancer: Enhancer, path: Path, form: Form, int8: bool = False, run: str | None = None) -> Exported:
    """Writes an ONNX file, once it was compared with the network.

    The graph in 32 bits has to give what the network gives, also where the file is one in 8 bits. Of that file it is
    told how far it is from the network; it only has to give numbers. The same network gives the same bytes.

    Args:
        enhancer: causal; is put into eval mode.
        path: of the file.
        form: see :class:`arrayse.stream.onnx_metadata.Metadata`.
        int8: whether to quantise the weights.
        run: hash of the run, for the metadata.

    Raises:
        ValueError: a network that cannot be exported, a path of another kind, a package that is missing.
        RuntimeError: the file computes something else; there is none then.
    """
    if path.suffix.lower() != ".onnx":
        raise ValueError(f"export: expected a file name ending in .onnx, got {path}")
    enhancer = enhancer.cpu().eval()
    step = build_step(enhancer, form)
    metadata = _metadata(enhancer, step, form, run)
    models = [_model(step, metadata)]
    if int8:
        metadata = replace(metadata, int8=True)
        models.append(quantise(models[0], metadata.properties()))
    network, found = TorchBackend(enhancer), list[list[Deviation]]()

    def write(temporary: Path) -> None:
        for model in models:
            temporary.write_bytes(model.SerializeToString(deterministic=True))
            found.append(deviations(network, OnnxBackend(temporary)))
            check_deviations(found[0])
            check_finite(found[-1])

    remove_unfinished(path)
    write_whole(path, write)
    n_weight_bytes = sum(len(tensor.raw_data) for tensor in models[-1].graph.initializer)
    return Exported(metadata, path.stat().st_size, n_weight_bytes, found[0], found[1] if int8 else [])


def _model(step: Step, metadata: Metadata) -> onnx.ModelProto:
    names = [f"state_{number}" for number in range(len(step.states))]
    arguments = {step.input_name: step.example, **dict(zip(names, step.states, strict=True))}
    graph, outputs = translate(step.function, arguments)
    after = [output for output, state in zip(outputs[1:], step.states, strict=True) if state.numel()]
    told = [ESTIMATE, *(str(state.next) for state in metadata.states)]
    return graph.model(dict(zip(told, [outputs[0], *after], strict=True)), metadata.properties())


def _metadata(enhancer: Enhancer, step: Step, form: Form, run: str | None) -> Metadata:
    stft = enhancer.stft if isinstance(enhancer, SpectralEnhancer) else None
    states = [
        _info(f"state_{number}", state, f"next_state_{number}")
        for number, state in enumerate(step.states)
        if state.numel()
    ]
    transform = None
    if stft is not None:
        lengths = (stft.n_fft, stft.hop_length, stft.win_length, stft.latency_samples, stft.kind)
        transform = Transform(*lengths, stft.window.tolist(), stft.dual.tolist())
    return Metadata(
        form=form,
        int8=False,
        network=type(enhancer.net).__name__,
        sample_rate=enhancer.sample_rate,
        array=enhancer.geometry.to_dict(),
        mics=list(enhancer.mics),
        ref_mic=enhancer.ref_mic,
        block_samples=enhancer.block_samples,
        delay_samples=enhancer.delay_samples,
        signal=_info(step.input_name, step.example),
        estimate=_info(ESTIMATE, step.example[0]),
        states=states,
        stft=transform,
        opset=OPSET,
        run=run,
        git=git_revision(),
    )


def _info(name: str, tensor: Tensor, after: str | None = None) -> TensorInfo:
    return TensorInfo(name, list(tensor.shape), str(tensor.dtype).removeprefix("torch."), after)
