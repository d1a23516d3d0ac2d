"""ONNX for the layers of networks: linear, convolutional and recurrent ones, norms, attention.

Translations take the graph, the output as torch computed it, and the arguments of torch's operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arrayse.export.arithmetic import operand
from arrayse.export.graph import Graph, Value
from arrayse.export.movement import reshape, transpose

aten = torch.ops.aten

LINEAR = "Linear"
"""What the names of matrices of linear layers begin with; other products of matrices are those of transforms."""

LSTM_GATES, GRU_GATES = [0, 3, 1, 2], [1, 0, 2]
"""Places of ONNX's gates (iofc, zrh) among those of torch (ifgo, rzn)."""


def linear(graph: Graph, out: Tensor, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
    """On rows, so that a matrix and a bias become one operation."""
    n_outputs, n_inputs = weight.shape
    rows = reshape(graph, x, [torch.Size(x.shape).numel() // n_inputs, n_inputs])
    shape = [rows.shape[0], n_outputs]
    y = graph.add("MatMul", [rows, weight.T], shape, out.dtype, label=LINEAR)
    if bias is not None:
        y = graph.add("Add", [y, bias], shape, out.dtype)
    return reshape(graph, y, out.shape)


def matmul(graph: Graph, out: Tensor, x: Value | Tensor, y: Value | Tensor) -> Value:
    return graph.add("MatMul", [operand(graph, x, out.dtype), operand(graph, y, out.dtype)], out.shape, out.dtype)


def convolution(
    graph: Graph,
    out: Tensor,
    x: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    return _convolution(graph, "Conv", out, x, weight, bias, stride, padding, dilation, groups)


def transposed_convolution(
    graph: Graph,
    out: Tensor,
    x: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    kept = _each(output_padding, weight.ndim - 2)
    return _convolution(
        graph, "ConvTranspose", out, x, weight, bias, stride, padding, dilation, groups, output_padding=kept
    )


def _convolution(
    graph: Graph,
    op: str,
    out: Tensor,
    x: Value,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    **attributes: Any,
) -> Value:
    n_axes = weight.ndim - 2
    ends = _each(padding, n_axes)
    return graph.add(
        op,
        [x, weight, *([] if bias is None else [bias])],
        out.shape,
        out.dtype,
        strides=_each(stride, n_axes),
        pads=[*ends, *ends],
        dilations=_each(dilation, n_axes),
        group=groups,
        **attributes,
    )


def batch_norm(
    graph: Graph,
    out: Tensor,
    x: Value,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    if training:
        raise ValueError("export: expected a network in eval mode, got a batch norm that trains")
    return graph.add("BatchNormalization", [x, weight, bias, mean, variance], out.shape, out.dtype, epsilon=eps)


def layer_norm(
    graph: Graph, out: Tensor, x: Value, shape: list[int], weight: Tensor, bias: Tensor, eps: float = 1e-5, *_: Any
) -> Value:
    return graph.add("LayerNormalization", [x, weight, bias], out.shape, out.dtype, axis=-len(shape), epsilon=eps)


def lstm(
    graph: Graph, out: Sequence[Tensor], x: Value, state: list[Value | Tensor], weights: list[Tensor], *how: Any
) -> list[Value]:
    return _recurrent(graph, "LSTM", LSTM_GATES, out, x, state, weights, *how)


def gru(
    graph: Graph, out: Sequence[Tensor], x: Value, state: Value | Tensor, weights: list[Tensor], *how: Any
) -> list[Value]:
    return _recurrent(graph, "GRU", GRU_GATES, out, x, [state], weights, *how, linear_before_reset=1)


def _recurrent(
    graph: Graph,
    op: str,
    gates: list[int],
    out: Sequence[Tensor],
    x: Value,
    state: list[Value | Tensor],
    weights: list[Tensor],
    has_biases: bool,
    n_layers: int,
    dropout: float,
    train: bool,
    both_ways: bool,
    batch_first: bool,
    **attributes: Any,
) -> list[Value]:
    """One recurrent layer: outputs, and the states after the last step."""
    if n_layers != 1 or not has_biases or len(weights) != (8 if both_ways else 4):
        raise ValueError(f"export: expected {op} layers one by one, with biases and no projection, got others")
    n_ways, hidden = 2 if both_ways else 1, weights[1].shape[1]
    ways = [[_in_order(each, gates) for each in weights[4 * way : 4 * way + 4]] for way in range(n_ways)]
    stacked = [torch.stack(each) for each in zip(*ways, strict=True)]
    constants = [stacked[0], stacked[1], torch.cat([stacked[2], stacked[3]], dim=1)]
    steps = transpose(graph, x, [1, 0, 2]) if batch_first else x
    n_steps, n_batch, _ = steps.shape
    zero = all(isinstance(each, Tensor) and not each.any() for each in state)
    shapes = [[n_steps, n_ways, n_batch, hidden], *[[n_ways, n_batch, hidden]] * len(state)]
    y, *after = graph.add_several(
        op,
        [steps, *constants, *([] if zero else [None, *state])],
        shapes,
        out[0].dtype,
        hidden_size=hidden,
        direction="bidirectional" if both_ways else "forward",
        **attributes,
    )
    outputs = transpose(graph, y, [2, 0, 1, 3] if batch_first else [0, 2, 1, 3])
    return [reshape(graph, outputs, out[0].shape), *after]


def attention(
    graph: Graph, out: Tensor, query: Value, key: Value, value: Value, mask: Value | Tensor | None = None, *_: Any
) -> Value:
    """Softmax of scaled products, and what it weighs."""
    shape = [*query.shape[:-1], key.shape[-2]]
    order = [*range(len(key.shape) - 2), len(key.shape) - 1, len(key.shape) - 2]
    scale = torch.tensor(1 / math.sqrt(query.shape[-1]))
    scaled = graph.add("Mul", [query, scale], query.shape, query.dtype)
    products = graph.add("MatMul", [scaled, transpose(graph, key, order)], shape, out.dtype)
    if mask is not None:
        products = graph.add("Where", [mask, products, torch.tensor(-math.inf)], shape, out.dtype)
    return graph.add(
        "MatMul", [graph.add("Softmax", [products], shape, out.dtype, axis=-1), value], out.shape, out.dtype
    )


def _each(number: Any, n_axes: int) -> list[int]:
    """One number for every axis."""
    numbers = list(number) if isinstance(number, (list, tuple)) else [number]
    return numbers * n_axes if len(numbers) == 1 else numbers


def _in_order(weight: Tensor, gates: list[int]) -> Tensor:
    """The rows of a weight or bias, gate by gate, in the order of ONNX."""
    return weight.unflatten(0, (len(gates), -1))[gates].flatten(0, 1)


LAYERS: dict[Any, Callable[..., Any]] = {
    aten.linear.default: linear,
    aten.matmul.default: matmul,
    **dict.fromkeys((aten.conv1d.default, aten.conv2d.default), convolution),
    aten.conv_transpose2d.input: transposed_convolution,
    aten.batch_norm.default: batch_norm,
    aten.layer_norm.default: layer_norm,
    aten.lstm.input: lstm,
    aten.gru.input: gru,
    aten.scaled_dot_product_attention.default: attention,
}
"""Function by operator of torch, see :data:`arrayse.export.movement.MOVEMENT`."""
