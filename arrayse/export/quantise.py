"""Weights in 8 bits: LSTMs and linear layers of a graph, their inputs quantised step by step as they come."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from arrayse.export.layers import LINEAR
from arrayse.stream.onnx_backend import check_packages

LAYERS = {"LSTM": 2, "GRU": 2, "Conv": 1, "ConvTranspose": 1}
"""Operators that have weights, and how many tensors of them, from the second input on; linear layers go by name."""

MIN_WEIGHTS = 4096
"""Smaller linear layers stay as they are: nothing is gained, and the last one makes the mask."""

MIN_SHARE = 0.1
"""Of the weights have to be in what can be quantised."""


def quantise(model: onnx.ModelProto, properties: dict[str, str]) -> onnx.ModelProto:
    """The same graph with weights in 8 bits.

    Dynamic quantisation: every matrix has one scale, and so has every input of a product, found when it is computed.
    Transforms and convolutions stay in 32 bits, GRUs too: ONNX Runtime has none in 8. Weights take 7 of the 8 bits:
    else sums of two products would leave 16 bits on x86 processors without VNNI, which saturate.

    Args:
        model: as :meth:`arrayse.export.graph.Graph.model` makes it.
        properties: metadata of the result, text by key.

    Raises:
        ValueError: there is too little to quantise, or onnxruntime is missing.
    """
    check_packages("onnxruntime")
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    weights = {node.name: _n_weights(node, sizes) for node in model.graph.node}
    nodes = [node.name for node in model.graph.node if _is_wanted(node, weights[node.name])]
    share = sum(weights[name] for name in nodes) / max(1, sum(weights.values()))
    if share < MIN_SHARE:
        raise ValueError(f"int8: expected {MIN_SHARE:.0%} of the weights in LSTMs or linear layers, got {share:.1%}")
    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    add_pre_process_metadata(marked)  # or a warning asks for shapes, which this graph has
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        kind = QuantType.QInt8
        quantize_dynamic(marked, path, nodes_to_quantize=nodes, weight_type=kind, reduce_range=True)
        quantised = onnx.load(path)
    helper.set_model_props(quantised, dict(sorted(properties.items())))
    return quantised


def _is_wanted(node: onnx.NodeProto, n_weights: int) -> bool:
    return node.op_type == "LSTM" or (_is_linear(node) and n_weights >= MIN_WEIGHTS)


def _n_weights(node: onnx.NodeProto, sizes: dict[str, int]) -> int:
    """Weights of a layer; none of other nodes, such as transforms."""
    n_tensors = LAYERS.get(node.op_type, 1 if _is_linear(node) else 0)
    return sum(sizes.get(name, 0) for name in node.input[1 : 1 + n_tensors])


def _is_linear(node: onnx.NodeProto) -> bool:
    return node.name.startswith(f"{LINEAR}_")
