"""An ONNX graph under construction: values with names, constants, nodes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 17
IR_VERSION = 8

DTYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.bool: TensorProto.BOOL,
}


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor that the graph computes; ``source`` is what it is a mere reshaping of."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    source: Value | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """A complex tensor: its real and its imaginary part, computed or constant."""

    real: Value | Tensor
    imag: Value | Tensor


@dataclass
class Graph:
    """Nodes in the order of computation."""

    inputs: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add_input(self, name: str, like: Tensor) -> Value:
        """An input with the shape and type of a tensor."""
        self.inputs.append(Value(name, tuple(like.shape), like.dtype))
        return self.inputs[-1]

    def add(
        self,
        op: str,
        inputs: Sequence[Value | Tensor | None],
        shape: Sequence[int],
        dtype: torch.dtype,
        source: Value | None = None,
        label: str = "",
        **attributes: Any,
    ) -> Value:
        """A node of one output.

        Args:
            op: type of the operator.
            inputs: computed values, constants, None for those that are left out.
            shape: of the output.
            dtype: of the output.
            source: see :class:`Value`.
            label: what the names of node and output begin with; by default the type.
            attributes: of the operator.
        """
        value = self.add_several(op, inputs, [shape], dtype, label, **attributes)[0]
        return Value(value.name, value.shape, dtype, source)

    def add_several(
        self,
        op: str,
        inputs: Sequence[Value | Tensor | None],
        shapes: Sequence[Sequence[int]],
        dtype: torch.dtype,
        label: str = "",
        **attributes: Any,
    ) -> list[Value]:
        """A node whose outputs have these shapes and all the same type; see :meth:`add`."""
        label = label or op
        name = f"{label}_{self.counts[label]}"
        self.counts[label] += 1
        values = [Value(f"{name}_{number}", tuple(shape), dtype) for number, shape in enumerate(shapes)]
        names = [self._name(each) for each in inputs]
        self.nodes.append(helper.make_node(op, names, [value.name for value in values], name, **attributes))
        return values

    def constant(self, tensor: Tensor) -> str:
        """The name of a constant; equal ones are stored once."""
        tensor = tensor.detach().contiguous()
        content = tensor.numpy().tobytes()
        digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode() + content).hexdigest()
        name = f"constant_{digest[:16]}"
        self.constants[name] = tensor
        return name

    def model(self, outputs: dict[str, Value | Tensor], metadata: dict[str, str]) -> onnx.ModelProto:
        """The whole model, without what no output needs.

        Args:
            outputs: what the graph gives by name.
            metadata: text by key.

        Raises:
            ValueError: a model that ONNX's own checker refuses.
        """
        for name, value in outputs.items():
            inputs = [self._name(value)]
            self.nodes.append(helper.make_node("Identity", inputs, [name], f"Identity_{name}"))
        nodes = _needed(self.nodes, set(outputs))
        used = {name for node in nodes for name in node.input}
        constants = [
            numpy_helper.from_array(tensor.numpy(), name)
            for name, tensor in sorted(self.constants.items())
            if name in used
        ]
        graph = helper.make_graph(
            nodes,
            "arrayse",
            [_info(value.name, value) for value in self.inputs],
            [_info(name, value) for name, value in outputs.items()],
            constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="arrayse", opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, dict(sorted(metadata.items())))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"export: expected a valid graph, got one that ONNX refuses: {error}") from error
        return model

    def _name(self, each: Value | Tensor | None) -> str:
        if each is None:
            return ""
        return each.name if isinstance(each, Value) else self.constant(each)


def _needed(nodes: list[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that the wanted names depend on, in their order."""
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _info(name: str, value: Value | Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, DTYPES[value.dtype], list(value.shape))
