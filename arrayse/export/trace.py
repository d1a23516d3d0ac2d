"""From a function of torch to an ONNX graph.

torch records which of its operators the function calls; each of them is then translated by a table. What depends on no
input is computed at once and becomes a constant. Complex numbers, which ONNX has not, become pairs of real ones.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.amp.autocast_mode import _enter_autocast, _exit_autocast
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map

from arrayse.export.arithmetic import ARITHMETIC
from arrayse.export.graph import Graph, Pair, Value
from arrayse.export.layers import LAYERS
from arrayse.export.movement import MOVEMENT

aten = torch.ops.aten

TRANSLATIONS: dict[Any, Callable[..., Any]] = {**MOVEMENT, **ARITHMETIC, **LAYERS}

FILLED = {
    aten.zeros_like.default: 0,
    aten.ones_like.default: 1,
    aten.new_zeros.default: 0,
    aten.new_ones.default: 1,
}
"""Operators that ask a tensor for its shape or type alone, and what they fill theirs with."""

PART_BY_PART = {*MOVEMENT, aten.sum.dim_IntList}
"""Operators that do to a complex number what they do to its parts."""


def translate(function: Callable[..., Sequence[Tensor]], arguments: dict[str, Tensor]) -> tuple[Graph, list[Any]]:
    """The graph of a function, and its outputs in it: values, or constants where nothing is to be computed.

    Args:
        function: of tensors, in the order of ``arguments``; what it does may depend on their shapes, never on their
            numbers.
        arguments: an example of every input by name; those without numbers are constants.

    Raises:
        ValueError: an operator that has no translation.
    """
    with torch.no_grad():
        traced = make_fx(function, tracing_mode="real", pre_dispatch=True)(*arguments.values())
    traced.graph.eliminate_dead_code()
    graph = Graph()
    inputs = [graph.add_input(name, each) if each.numel() else each for name, each in arguments.items()]
    with torch.no_grad():
        outputs = _Translator(traced, graph).run(*inputs)
    return graph, list(outputs)


class _Translator(fx.Interpreter):
    """Walks through what was recorded, with values of the graph in place of tensors."""

    def __init__(self, traced: fx.GraphModule, graph: Graph) -> None:
        super().__init__(traced)
        self.onnx = graph
        self.out: Any = None

    def run_node(self, n: fx.Node) -> Any:
        self.out = n.meta.get("val")
        return super().run_node(n)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in (_enter_autocast, _exit_autocast):
            return None
        if target is operator.getitem:
            return args[0][args[1]]
        return self._call(target, self.out, args, kwargs)

    def _call(self, target: Any, out: Any, args: Any, kwargs: Any) -> Any:
        leaves = tree_leaves((args, kwargs))
        if not any(isinstance(leaf, (Value, Pair)) for leaf in leaves):
            return target(*args, **kwargs)
        if isinstance(out, Tensor) and not out.numel():
            return torch.zeros(out.shape, dtype=out.dtype)
        if target in FILLED:
            return torch.full(out.shape, FILLED[target], dtype=out.dtype)
        if target in MADE_COMPLEX or any(_is_complex(leaf) for leaf in leaves):
            return self._call_complex(target, out, args, kwargs)
        if target not in TRANSLATIONS:
            raise ValueError(f"export: expected operators that ONNX has, got {target}: this network cannot be exported")
        return TRANSLATIONS[target](self.onnx, out, *args, **kwargs)

    def _call_complex(self, target: Any, out: Any, args: Any, kwargs: Any) -> Any:
        if target in OF_COMPLEX:
            return OF_COMPLEX[target](self, out, *args)
        if target not in PART_BY_PART:
            raise ValueError(f"export: expected operators for real numbers, got {target} of complex ones")
        like = tree_map(_real_like, out)
        real, imag = (self._call(target, like, tree_map(part, args), tree_map(part, kwargs)) for part in (_real, _imag))
        return [*map(Pair, real, imag)] if isinstance(out, (list, tuple)) else Pair(real, imag)

    def of_real(self, target: Any, out: Tensor, *args: Any) -> Any:
        """An operator of real numbers within one of complex ones, whose result has the shape of ``out``."""
        return self._call(target, _real_like(out), args, {})


def _product(self: _Translator, out: Tensor, x: Any, y: Any) -> Pair:
    def of(target: Any, left: Any, right: Any) -> Any:
        return self.of_real(target, out, left, right)

    multiply = aten.mul.Tensor
    if not _is_complex(x) or not _is_complex(y):
        number, factor = (x, y) if _is_complex(x) else (y, x)
        return Pair(of(multiply, _real(number), factor), of(multiply, _imag(number), factor))
    straight = of(multiply, _real(x), _real(y)), of(multiply, _imag(x), _imag(y))
    across = of(multiply, _real(x), _imag(y)), of(multiply, _imag(x), _real(y))
    return Pair(of(aten.sub.Tensor, *straight), of(aten.add.Tensor, *across))


def _quotient(self: _Translator, out: Tensor, x: Any, y: Any) -> Pair:
    if _is_complex(y):
        raise ValueError("export: expected division by real numbers, got complex ones")
    return Pair(*(self.of_real(aten.div.Tensor, out, part(x), y) for part in (_real, _imag)))


def _from_real(self: _Translator, out: Tensor, x: Value) -> Pair:
    return Pair(*(self.of_real(aten.select.int, out, x, -1, place) for place in (0, 1)))


def _to_real(self: _Translator, out: Tensor, x: Any) -> Any:
    return self.of_real(aten.stack.default, out, [_real(x), _imag(x)], -1)


MADE_COMPLEX: dict[Any, Callable[..., Any]] = {
    aten.view_as_complex.default: _from_real,
    aten.complex.default: lambda self, out, real, imag: Pair(real, imag),
}
"""Operators that make complex numbers of real ones: function of (translator, output, arguments)."""

OF_COMPLEX: dict[Any, Callable[..., Any]] = {
    **MADE_COMPLEX,
    aten.view_as_real.default: _to_real,
    aten.real.default: lambda self, out, x: _real(x),
    aten.imag.default: lambda self, out, x: _imag(x),
    aten.mul.Tensor: _product,
    aten.div.Tensor: _quotient,
}
"""Likewise what complex numbers are put into, beside what is done part by part."""


def _is_complex(each: Any) -> bool:
    return isinstance(each, Pair) or (isinstance(each, Tensor) and each.is_complex())


def _real(each: Any) -> Any:
    if isinstance(each, Pair):
        return each.real
    return each.real if _is_complex(each) else each


def _imag(each: Any) -> Any:
    if isinstance(each, Pair):
        return each.imag
    return each.imag if _is_complex(each) else each


def _real_like(out: Any) -> Any:
    """A tensor of the same shape for one of both parts."""
    if not isinstance(out, Tensor):
        return out
    return torch.empty(out.shape, dtype=torch.float32 if out.is_complex() else out.dtype, device="meta")
