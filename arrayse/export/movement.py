"""ONNX for operators that move numbers and compute none.

Translations take the graph, the output as torch computed it, and the arguments of torch's operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arrayse.export.graph import Graph, Value

aten = torch.ops.aten

REST = 2**62
"""The end of a slice that goes to the end."""


def reshape(graph: Graph, x: Value, shape: Sequence[int]) -> Value:
    """The same numbers in another shape; one node for any number of reshapings in a row."""
    shape, source = tuple(shape), x.source or x
    if shape in (x.shape, source.shape):
        return x if shape == x.shape else source
    return graph.add("Reshape", [source, torch.tensor(shape)], shape, x.dtype, source=source)


def transpose(graph: Graph, x: Value, order: Sequence[int]) -> Value:
    """Axes in another order; a mere reshaping where only axes of length 1 move."""
    shape = [x.shape[axis] for axis in order]
    long = [axis for axis in order if x.shape[axis] > 1]
    if long == sorted(long):
        return reshape(graph, x, shape)
    return graph.add("Transpose", [x], shape, x.dtype, perm=list(order))


def cut(graph: Graph, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """A part of an axis."""
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    shape = list(x.shape)
    shape[axis] = len(range(start, stop, step))
    numbers = [torch.tensor([each]) for each in (start, stop, axis, step)]
    return graph.add("Slice", [x, *numbers], shape, x.dtype)


def join(graph: Graph, parts: Sequence[Value | Tensor], axis: int, out: Tensor) -> Value:
    """Parts one after the other; those without numbers are left out."""
    full = [part for part in parts if isinstance(part, Value) or part.numel()]
    if len(full) == 1 and isinstance(full[0], Value):
        return reshape(graph, full[0], out.shape)
    full = [part if isinstance(part, Value) else part.to(out.dtype) for part in full]
    return graph.add("Concat", full, out.shape, out.dtype, axis=axis % out.ndim)


def same_order(graph: Graph, out: Tensor, x: Value, *_: Any, **__: Any) -> Value:
    """Operators that keep the order of the numbers: the shape that they end in says all."""
    return reshape(graph, x, out.shape)


def permute(graph: Graph, out: Tensor, x: Value, order: list[int]) -> Value:
    return transpose(graph, x, [axis % len(x.shape) for axis in order])


def swap(graph: Graph, out: Tensor, x: Value, first: int, second: int) -> Value:
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return transpose(graph, x, order)


def select(graph: Graph, out: Tensor, x: Value, dim: int, index: int) -> Value:
    dim %= len(x.shape)
    index %= x.shape[dim]
    return reshape(graph, cut(graph, x, dim, index, index + 1), out.shape)


def slice_(
    graph: Graph, out: Tensor, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    dim %= len(x.shape)
    first, last, step = slice(start, None if end is None or end > REST else end, step).indices(x.shape[dim])
    return cut(graph, x, dim, first, last, step)


def split(graph: Graph, out: Sequence[Tensor], x: Value, _: Any, dim: int = 0) -> list[Value]:
    """Also into chunks: the shapes of the parts say all."""
    dim %= len(x.shape)
    if len(out) == 1:
        return [x]
    sizes = torch.tensor([part.shape[dim] for part in out])
    return graph.add_several("Split", [x, sizes], [part.shape for part in out], x.dtype, axis=dim)


def unbind(graph: Graph, out: Sequence[Tensor], x: Value, dim: int = 0) -> list[Value]:
    dim %= len(x.shape)
    shape = [1 if axis == dim else length for axis, length in enumerate(x.shape)]
    parts = split(graph, [torch.empty(shape, device="meta")] * len(out), x, 1, dim)
    return [reshape(graph, part, each.shape) for part, each in zip(parts, out, strict=True)]


def cat(graph: Graph, out: Tensor, parts: list[Value | Tensor], dim: int = 0) -> Value:
    return join(graph, parts, dim, out)


def stack(graph: Graph, out: Tensor, parts: list[Value | Tensor], dim: int = 0) -> Value:
    dim %= out.ndim
    shape = [1 if axis == dim else length for axis, length in enumerate(out.shape)]
    apart = [reshape(graph, part, shape) if isinstance(part, Value) else part.reshape(shape) for part in parts]
    return join(graph, apart, dim, out)


def pad(graph: Graph, out: Tensor, x: Value, amounts: list[int], mode: str = "constant", value: Any = None) -> Value:
    if mode != "constant":
        return rearrange(graph, out, x, lambda places: aten.pad(places, amounts, mode))
    if not any(amounts):
        return x
    n_axes = len(x.shape)
    amounts = amounts + [0] * (2 * n_axes - len(amounts))
    ends = [amounts[2 * (n_axes - 1 - axis) + side] for side in (0, 1) for axis in range(n_axes)]
    return graph.add("Pad", [x, torch.tensor(ends), torch.tensor(value or 0, dtype=x.dtype)], out.shape, x.dtype)


def unfold(graph: Graph, out: Tensor, x: Value, *arguments: int) -> Value:
    return rearrange(graph, out, x, lambda places: places.unfold(*arguments))


def index(graph: Graph, out: Tensor, x: Value, places: list[Tensor | None]) -> Value:
    return rearrange(graph, out, x, lambda numbers: aten.index(numbers, places))


def rearrange(graph: Graph, out: Tensor, x: Value, move: Any) -> Value:
    """Any other movement: ``move`` is done to the places of the numbers, which are then gathered."""
    n_numbers = torch.Size(x.shape).numel()
    places = move(torch.arange(n_numbers, dtype=torch.float64).reshape(x.shape)).flatten().long()
    gathered = graph.add("Gather", [reshape(graph, x, [n_numbers]), places], [len(places)], x.dtype, axis=0)
    return reshape(graph, gathered, out.shape)


def one_frame(graph: Graph, out: Tensor, x: Value, size: list[int], kernel: list[int], *_: Any) -> Value:
    """Overlap-add of a single frame as long as the result."""
    if x.shape[-1] != 1 or size != kernel:
        raise ValueError(f"export: expected overlap-add of one frame, got {x.shape[-1]} frames to {size}")
    return reshape(graph, x, out.shape)


MOVEMENT: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            *(aten.view.default, aten.reshape.default, aten.flatten.using_ints, aten.unflatten.int),
            *(aten.unsqueeze.default, aten.squeeze.dim, aten.alias.default, aten.detach.default),
            *(aten.clone.default, aten.contiguous.default),
        ),
        same_order,
    ),
    aten.permute.default: permute,
    aten.transpose.int: swap,
    aten.select.int: select,
    aten.slice.Tensor: slice_,
    **dict.fromkeys((aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default), split),
    aten.unbind.int: unbind,
    aten.cat.default: cat,
    aten.stack.default: stack,
    aten.pad.default: pad,
    aten.unfold.default: unfold,
    aten.index.Tensor: index,
    aten.col2im.default: one_frame,
}
"""Function by operator of torch: (graph, output as torch computed it, arguments of the operator) → values."""
