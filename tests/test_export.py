"""Exported networks against those that they were made from, in both forms, and what cannot be exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from arrayse.export import build, check  # noqa: E402
from arrayse.export.build import Exported, default_form, export  # noqa: E402
from arrayse.export.check import Deviation, check_deviations  # noqa: E402
from arrayse.export.quantise import quantise  # noqa: E402
from arrayse.export.steps import transform_matrices  # noqa: E402
from arrayse.export.trace import translate  # noqa: E402
from arrayse.frontend.stft import Stft  # noqa: E402
from arrayse.models import Enhancer, build_enhancer  # noqa: E402
from arrayse.stream import TorchBackend  # noqa: E402
from arrayse.stream.onnx_backend import OnnxBackend  # noqa: E402
from arrayse.stream.onnx_metadata import KEY, parse  # noqa: E402
from tests.tiny import NETWORKS, network, network_description, waves  # noqa: E402

STREAMS = [kind for kind in NETWORKS if network(kind).causal]
CASES = [
    *[(kind, "wave", [3, 1, 4]) for kind in STREAMS],
    *[(kind, "frame", [3, 1]) for kind in STREAMS if not kind.startswith("conv_tasnet")],
    *[(kind, "wave", [1]) for kind in ("ft_jnf", "conv_tasnet causal")],
]

ASYMMETRIC = {"n_fft": 64, "hop_length": 8, "window": "asymmetric", "synthesis_length": 16}
VARIANTS: dict[str, dict[str, Any]] = {
    "asymmetric window": {"stft": ASYMMETRIC},
    "several masks, folded, asymmetric window": {
        "net": {**NETWORKS["ft_jnf folded"], "preset": "metzger"},
        "stft": ASYMMETRIC,
    },
    "window as long as the transform": {"stft": {"n_fft": 32, "hop_length": 16, "window": "hann"}},
    "no norm": {"features": {"norm": "none"}},
    "mask of parts": {"net": {**NETWORKS["dccrn"], "mask": "R"}},
    "whitening norm": {"net": {**NETWORKS["dccrn"], "batch_norm": "complex", "mask": "C"}},
    "one frame of attention": {"net": {**NETWORKS["dpdcrn causal"], "attention_frames": 1}},
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares over a few blocks: enough for every state to count."""
    monkeypatch.setattr(check, "BLOCKS", (40,))


def varied(name: str) -> Enhancer:
    """A tiny network with other parts around it or in it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_enhancer(**{**network_description("ft_jnf", [3, 1], 1), **VARIANTS[name]}).eval()


def largest(exported: Exported) -> float:
    return max(each.largest for each in exported.float_deviations)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("kind", "form", "mics"), CASES)
def test_a_file_computes_what_its_network_computes(kind: str, form: Any, mics: list[int], tmp_path: Path) -> None:
    net = network(kind, mics, 1)
    assert largest(export(net, tmp_path / "a.onnx", form)) < 1e-5
    file, torch_one = OnnxBackend(tmp_path / "a.onnx"), TorchBackend(net)
    for name in ("sample_rate", "mics", "block_samples", "delay_samples"):
        assert getattr(file, name) == getattr(torch_one, name)
    assert file.geometry.to_dict() == net.geometry.to_dict()
    assert file.metadata.latency_samples == net.latency_samples


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("form", ["frame", "wave"])
@pytest.mark.parametrize("name", VARIANTS)
def test_so_do_files_of_networks_with_other_parts(name: str, form: Any, tmp_path: Path) -> None:
    assert largest(export(varied(name), tmp_path / "a.onnx", form)) < 1e-5


@pytest.mark.parametrize("kind", ["ft_jnf", "ft_jnf folded"])
def test_streams_of_four_lengths_are_compared(kind: str, tmp_path: Path) -> None:
    exported = export(network(kind), tmp_path / "a.onnx", "frame", int8=True)
    for found in (exported.float_deviations, exported.int8_deviations):
        assert [each.n_blocks for each in found] == [1, 7, 61, 500]
    assert largest(exported) < 1e-6
    assert all(-80 < (each.level_db or 0) < -20 for each in exported.int8_deviations)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("int8", [False, True])
def test_the_same_network_gives_the_same_bytes_and_no_place_of_this_machine(int8: bool, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        export(network("ft_jnf", [0, 2], 0), tmp_path / name, "wave", int8)
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert str(Path(__file__).parents[1]).encode() not in content
    assert not any(node.doc_string or node.metadata_props for node in onnx.load(tmp_path / "a.onnx").graph.node)


@pytest.mark.usefixtures("short")
def test_a_file_that_computes_something_else_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(RuntimeError, match=r"expected the estimate of the network to 0 over .*: no file was written"):
        export(network("ft_jnf"), tmp_path / "a.onnx", "frame")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_differences_and_what_is_no_number_are_refused(difference: float) -> None:
    check_deviations([Deviation(1, 1e-4, None)])
    with pytest.raises(RuntimeError, match="over 7 blocks"):
        check_deviations([Deviation(1, 0.0, None), Deviation(7, difference, None)])


@pytest.mark.usefixtures("short")
def test_a_file_in_8_bits_that_gives_no_numbers_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: Any, properties: dict[str, str]) -> Any:
        quantised = quantise(model, properties)
        for tensor in quantised.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                values = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(np.nan) * values, tensor.name))
        return quantised

    monkeypatch.setattr(build, "quantise", broken)
    with pytest.raises(RuntimeError, match=r"finite samples of the file in 8 bits over 40 blocks, .*: no file was"):
        export(network("ft_jnf"), tmp_path / "a.onnx", "frame", int8=True)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(ValueError, match="expected a causal network, got one that needs the whole utterance"):
        export(network("dptnet"), path, "wave")
    with pytest.raises(ValueError, match="form: expected wave for a network that hears waves, got frame"):
        export(network("conv_tasnet causal"), path, "frame")
    with pytest.raises(ValueError, match=r"expected a file name ending in \.onnx, got .*a\.bin"):
        export(network("ft_jnf"), tmp_path / "a.bin", "frame")
    for kind in ("conv_tasnet causal", "dpdcrn causal"):
        with pytest.raises(ValueError, match="int8: expected 10% of the weights in LSTMs or linear layers, got 0"):
            export(network(kind), path, "wave", int8=True)
    with pytest.raises(ValueError, match=r"operators that ONNX has, got aten\.erfinv"):
        translate(lambda x: [torch.erfinv(x)], {"x": torch.zeros(2)})
    assert not any(tmp_path.iterdir())


def test_networks_in_the_time_domain_have_one_form() -> None:
    assert [default_form(network(kind)) for kind in ("ft_jnf", "conv_tasnet causal")] == ["frame", "wave"]


@pytest.mark.usefixtures("short")
def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    net = network("dccrn", [3, 1], 1)
    exported = export(net, tmp_path / "a.onnx", "frame", run="abc")
    model = onnx.load(tmp_path / "a.onnx")
    told = {entry.key: entry.value for entry in model.metadata_props}
    metadata = parse(told[KEY])
    assert metadata == exported.metadata
    assert (metadata.run, metadata.network, metadata.form, metadata.int8) == ("abc", "DCCRN", "frame", False)
    assert metadata.array == net.geometry.to_dict()
    assert (metadata.signal.shape, metadata.estimate.shape) == ([2, 33, 2], [33, 2])
    assert metadata.stft is not None
    assert torch.tensor(metadata.stft.window).equal(net.stft.window)
    assert (told[f"{KEY}.mics"], told[f"{KEY}.block_samples"], told[f"{KEY}.delay_samples"]) == ("3 1", "16", "64")
    assert [value.name for value in model.graph.input] == ["spec", *(state.name for state in metadata.states)]
    assert [value.name for value in model.graph.output] == ["estimate", *(str(s.next) for s in metadata.states)]
    assert model.opset_import[0].version == metadata.opset == 17


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", ["ft_jnf", "ft_jnf folded"])
def test_quantised_are_the_lstms_and_nothing_of_the_transforms(kind: str, tmp_path: Path) -> None:
    sizes = {"freq_hidden": 24, "time_hidden": 16}
    net = build_enhancer(**{**network_description(kind), "net": {**NETWORKS[kind], **sizes}})
    whole = export(net, tmp_path / "a.onnx", "wave")
    small = export(net, tmp_path / "b.onnx", "wave", int8=True)
    assert small.metadata.int8
    assert not whole.metadata.int8
    before, after = ([node.op_type for node in onnx.load(tmp_path / name).graph.node] for name in ("a.onnx", "b.onnx"))
    assert (before.count("LSTM"), after.count("LSTM"), after.count("DynamicQuantizeLSTM")) == (2, 0, 2)
    assert before.count("MatMul") == after.count("MatMul")
    assert "MatMulInteger" not in after
    weights = sum(p.numel() for name, p in net.named_parameters() if "lstm" in name and "weight" in name)
    saved = whole.n_weight_bytes - small.n_weight_bytes
    assert 3 * weights - 100 <= saved <= 3 * weights


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_fft": 64, "hop_length": 16, "win_length": 48},
        {"n_fft": 15, "hop_length": 5, "window": "hann"},
        {"n_fft": 64, "hop_length": 8, "window": "asymmetric", "synthesis_length": 16},
    ],
)
def test_matrices_are_the_transform(arguments: dict[str, Any]) -> None:
    stft = Stft(**arguments)
    analysis, synthesis = transform_matrices(stft)
    frame = waves(3, stft.win_length)
    spec = stft.frames_to_spec(frame)[..., 0]
    torch.testing.assert_close(frame @ analysis, torch.cat([spec.real, spec.imag], dim=-1), rtol=0, atol=1e-5)
    whole = stft.overlap_add(spec[..., None])[:, stft.win_length - stft.latency_samples :]
    torch.testing.assert_close(torch.cat([spec.real, spec.imag], dim=-1) @ synthesis, whole, rtol=0, atol=1e-5)


def test_what_depends_on_no_input_is_computed_once() -> None:
    def function(x: Tensor) -> list[Tensor]:
        return [x * torch.arange(4.0).cumsum(0).flip(0), x.new_ones(3) + 1]

    graph, outputs = translate(function, {"x": torch.zeros(4)})
    assert [node.op_type for node in graph.nodes] == ["Mul"]
    assert torch.equal(outputs[1], torch.full((3,), 2.0))
