"""ONNX for operators that compute number by number, and for means and sums.

Translations take the graph, the output as torch computed it, and the arguments of torch's operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arrayse.export.graph import DTYPES, Graph, Value
from arrayse.export.movement import reshape

aten = torch.ops.aten

Operand = Value | Tensor | float


def cast(graph: Graph, x: Value, dtype: torch.dtype) -> Value:
    """The same numbers of another type."""
    return x if x.dtype == dtype else graph.add("Cast", [x], x.shape, dtype, to=DTYPES[dtype])


def operand(graph: Graph, x: Operand, dtype: torch.dtype) -> Value | Tensor:
    """A value, constant or plain number in the type that is computed in."""
    if isinstance(x, Value):
        return cast(graph, x, dtype)
    return x.to(dtype) if isinstance(x, Tensor) else torch.tensor(x, dtype=dtype)


def binary(op: str) -> Any:
    """Of two operands that are brought to the type of the result."""

    def translate(graph: Graph, out: Tensor, x: Operand, y: Operand, **options: Any) -> Value:
        if options.get("alpha", 1) != 1 or options.get("rounding_mode") is not None:
            raise ValueError(f"export: expected a plain {op}, got one with {options}")
        return graph.add(op, [operand(graph, x, out.dtype), operand(graph, y, out.dtype)], out.shape, out.dtype)

    return translate


def unary(op: str) -> Any:
    """Of one operand."""

    def translate(graph: Graph, out: Tensor, x: Value) -> Value:
        return graph.add(op, [cast(graph, x, out.dtype)], out.shape, out.dtype)

    return translate


def subtracted(graph: Graph, out: Tensor, x: Value, y: Operand, alpha: float = 1) -> Value:
    """``y - x``."""
    difference: Value = binary("Sub")(graph, out, y, x, alpha=alpha)
    return difference


def square(graph: Graph, out: Tensor, x: Value) -> Value:
    return graph.add("Mul", [x, x], out.shape, out.dtype)


def rsqrt(graph: Graph, out: Tensor, x: Value) -> Value:
    return graph.add("Reciprocal", [graph.add("Sqrt", [x], out.shape, out.dtype)], out.shape, out.dtype)


def clamp(graph: Graph, out: Tensor, x: Value, min: float | None = None, max: float | None = None) -> Value:
    bounds = [None if bound is None else torch.tensor(bound, dtype=out.dtype) for bound in (min, max)]
    return graph.add("Clip", [x, *bounds], out.shape, out.dtype)


def greater(graph: Graph, out: Tensor, x: Value, y: Operand) -> Value:
    return graph.add("Greater", [x, operand(graph, y, x.dtype)], out.shape, torch.bool)


def where(graph: Graph, out: Tensor, condition: Operand, x: Operand, y: Operand) -> Value:
    sides = [operand(graph, side, out.dtype) for side in (x, y)]
    return graph.add("Where", [operand(graph, condition, torch.bool), *sides], out.shape, out.dtype)


def prelu(graph: Graph, out: Tensor, x: Value, weight: Tensor) -> Value:
    slope = weight.reshape(-1, *[1] * (len(x.shape) - 2))
    return graph.add("PRelu", [x, slope], out.shape, out.dtype)


def to(graph: Graph, out: Tensor, x: Value, *_: Any, **__: Any) -> Value:
    return cast(graph, x, out.dtype)


def reduced(graph: Graph, op: str, x: Value, dims: Sequence[int], keepdim: bool) -> Value:
    """A reduction over some axes."""
    axes = sorted(dim % len(x.shape) for dim in dims)
    shape = [1 if axis in axes else length for axis, length in enumerate(x.shape)]
    if op == "ReduceSum":
        y = graph.add(op, [x, torch.tensor(axes)], shape, x.dtype, keepdims=1)
    else:
        y = graph.add(op, [x], shape, x.dtype, axes=axes, keepdims=1)
    return y if keepdim else reshape(graph, y, [length for axis, length in enumerate(shape) if axis not in axes])


def mean(graph: Graph, out: Tensor, x: Value, dim: list[int], keepdim: bool = False, **_: Any) -> Value:
    return reduced(graph, "ReduceMean", x, dim, keepdim)


def sum_(graph: Graph, out: Tensor, x: Value, dim: list[int], keepdim: bool = False, **_: Any) -> Value:
    return reduced(graph, "ReduceSum", x, dim, keepdim)


def norm(graph: Graph, out: Tensor, x: Value, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Value:
    if ord != 2 or dim is None:
        raise ValueError(f"export: expected Euclidean norms over some axes, got order {ord} over {dim}")
    return reduced(graph, "ReduceL2", x, dim, keepdim)


def var_mean(
    graph: Graph, out: Sequence[Tensor], x: Value, dim: list[int], correction: float = 1, keepdim: bool = False
) -> list[Value]:
    centre = reduced(graph, "ReduceMean", x, dim, True)
    apart = graph.add("Sub", [x, centre], x.shape, x.dtype)
    variance = reduced(graph, "ReduceMean", square(graph, torch.empty(x.shape, device="meta"), apart), dim, True)
    n_numbers = torch.Size(x.shape).numel() / out[0].numel()
    if correction:
        factor = torch.tensor(n_numbers / (n_numbers - correction))
        variance = graph.add("Mul", [variance, factor], variance.shape, x.dtype)
    return [reshape(graph, each, like.shape) for each, like in zip((variance, centre), out, strict=True)]


def cumsum(graph: Graph, out: Tensor, x: Value, dim: int) -> Value:
    if x.shape[dim] == 1:
        return x
    return graph.add("CumSum", [x, torch.tensor(dim % len(x.shape))], out.shape, out.dtype)


ARITHMETIC: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: binary("Add"),
    aten.sub.Tensor: binary("Sub"),
    aten.rsub.Scalar: subtracted,
    aten.mul.Tensor: binary("Mul"),
    aten.div.Tensor: binary("Div"),
    aten.__and__.Tensor: binary("And"),
    aten.neg.default: unary("Neg"),
    aten.reciprocal.default: unary("Reciprocal"),
    aten.sqrt.default: unary("Sqrt"),
    aten.tanh.default: unary("Tanh"),
    aten.sigmoid.default: unary("Sigmoid"),
    aten.relu.default: unary("Relu"),
    aten.square.default: square,
    aten.rsqrt.default: rsqrt,
    **dict.fromkeys((aten.clamp.default, aten.clamp_min.default), clamp),
    aten.gt.Scalar: greater,
    **dict.fromkeys((aten.where.self, aten.where.ScalarOther), where),
    aten.prelu.default: prelu,
    aten.to.dtype: to,
    aten.mean.dim: mean,
    aten.sum.dim_IntList: sum_,
    aten.linalg_vector_norm.default: norm,
    aten.var_mean.correction: var_mean,
    aten.cumsum.default: cumsum,
}
"""Function by operator of torch, see :data:`arrayse.export.movement.MOVEMENT`."""
