"""Operators of torch against what ONNX Runtime makes of their translations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from arrayse.export.trace import translate  # noqa: E402


def run(function: Callable[..., Sequence[Tensor]], *arguments: Tensor) -> tuple[list[np.ndarray], list[str]]:
    """What ONNX Runtime gives, and the operators of the graph."""
    named = {f"x{number}": argument for number, argument in enumerate(arguments)}
    graph, outputs = translate(function, named)
    model = graph.model({f"y{number}": output for number, output in enumerate(outputs)}, {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {name: each.numpy() for name, each in named.items()})
    return got, [node.op_type for node in model.graph.node]


def check(function: Callable[..., Any], *arguments: Tensor, n_outputs: int = 1) -> list[str]:
    """Compares all outputs and returns the operators of the graph."""

    def listed(*given: Tensor) -> list[Tensor]:
        outputs = function(*given)
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    got, operators = run(listed, *arguments)
    wanted = [each.detach() for each in listed(*arguments)]
    assert len(got) == len(wanted) == n_outputs
    for has, should in zip(got, wanted, strict=True):
        assert has.dtype == should.numpy().dtype
        torch.testing.assert_close(torch.from_numpy(has), should, rtol=1e-5, atol=1e-6)
    return operators


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X = numbers(2, 3, 4, 5)

MOVED: dict[str, Callable[[Tensor], Any]] = {
    "permute": lambda x: x.permute(3, 0, -2, 1),
    "transpose": lambda x: x.transpose(-1, 1),
    "select": lambda x: x.select(2, -1),
    "index": lambda x: x[:, [2, 0]],
    "slice": lambda x: x[:, 1:, ::2, -2:],
    "flatten": lambda x: x.flatten(1, 2).unflatten(0, (1, 2)),
    "reflect": lambda x: functional.pad(x, (0, 0, 2, 1), mode="reflect"),
    "zeros around": lambda x: functional.pad(x, (1, 0, 0, 2)),
    "ones in front": lambda x: functional.pad(x, (1, 0), value=1.0),
    "nothing around": lambda x: functional.pad(x, (0, 0)) + 1,
    "unfold": lambda x: x.unfold(2, 3, 1),
    "clone": lambda x: x.permute(1, 0, 2, 3).contiguous().clone().view(6, 20).squeeze(0),
    "stack": lambda x: torch.stack([x, 2 * x, torch.ones(2, 3, 4, 5)], dim=2),
    "cat with nothing": lambda x: torch.cat([torch.zeros(2, 0, 4, 5), x], dim=1) * 2,
    "norms": lambda x: torch.linalg.vector_norm(x, dim=(0, 2), keepdim=True),
    "sum": lambda x: x.sum(dim=(1, -1)),
    "mean": lambda x: x.mean(dim=0, keepdim=True),
    "cumsum": lambda x: x.cumsum(-1) + x[..., :1].cumsum(-1),
    "clamps": lambda x: x.clamp(-0.5, 0.25) + x.clamp_min(0.1) + x.clamp(max=-0.3),
    "where": lambda x: torch.where(x > 0.2, x, -1.0) + torch.where(x > 0, x.neg(), x.square()),
    "double": lambda x: (x.double() / 3).rsqrt().where(x > 0, 0.0),
    "scalars": lambda x: 2 / (3 - x.sigmoid() * 2) - x.tanh().relu(),
    "whole numbers": lambda x: x * torch.arange(5),
}


@pytest.mark.parametrize("name", MOVED)
def test_an_operator_is_what_it_was(name: str) -> None:
    check(MOVED[name], X)


@pytest.mark.parametrize(
    "part",
    [
        lambda x: x.split(2, dim=1),
        lambda x: x.split((1, 3), dim=2)[::-1],
        lambda x: x.chunk(2, dim=2),
        lambda x: x.unbind(0),
    ],
)
def test_parts_are_all_there(part: Callable[[Tensor], Any]) -> None:
    check(part, X, n_outputs=2)


@pytest.mark.parametrize("correction", [0, 1])
def test_mean_and_variance_come_together(correction: int) -> None:
    check(lambda x: torch.var_mean(x, dim=(1, 2), keepdim=True, correction=correction), X, n_outputs=2)


@given(order=st.permutations(range(4)), lengths=st.lists(st.sampled_from([1, 1, 3]), min_size=4, max_size=4))
@settings(max_examples=15)
def test_axes_of_length_1_move_for_nothing(order: list[int], lengths: list[int]) -> None:
    x = numbers(*lengths)
    operators = check(lambda x: x.permute(order) * 1.0, x)
    long = [axis for axis in order if lengths[axis] > 1]
    assert ("Transpose" in operators) == (long != sorted(long))


def test_reshapings_in_a_row_are_one() -> None:
    operators = check(lambda x: x.flatten().unsqueeze(0).reshape(6, 20).unflatten(1, (4, 5)), X)
    assert operators.count("Reshape") == 1


@pytest.mark.parametrize("form", ["real", "complex"])
def test_products_of_complex_numbers(form: str) -> None:
    a, b = numbers(2, 3, 2), numbers(2, 3, 2, seed=1)

    def function(a: Tensor, b: Tensor) -> Tensor:
        x, y = torch.view_as_complex(a), torch.view_as_complex(b)
        weight = torch.tensor([1.0, 2.0, -1.0])
        factor = weight if form == "real" else torch.complex(weight, weight.flip(0))
        joined = torch.cat([torch.complex(torch.zeros(2, 0), torch.zeros(2, 0)), x * y, factor * y], dim=1)
        return torch.view_as_real((joined / 3.0)[:, 1:].sum(dim=0, keepdim=True).transpose(0, 1))

    check(function, a, b)


def test_complex_numbers_that_have_no_translation_are_told_by_name() -> None:
    a = numbers(3, 2)
    with pytest.raises(ValueError, match=r"operators for real numbers, got aten\.exp\.default of complex ones"):
        run(lambda a: [torch.view_as_real(torch.view_as_complex(a).exp())], a)
    with pytest.raises(ValueError, match="expected division by real numbers, got complex ones"):
        run(lambda a: [torch.view_as_real(torch.view_as_complex(a) / torch.view_as_complex(a))], a)


LAYERS: dict[str, tuple[nn.Module, Tensor]] = {
    "linear": (nn.Linear(5, 7), X),
    "linear without bias": (nn.Linear(5, 7, bias=False), X[0, 0]),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2), numbers(1, 4, 11)),
    "conv2d": (nn.Conv2d(3, 4, (3, 2), padding=(1, 0), dilation=(1, 2), bias=False), X),
    "transposed": (nn.ConvTranspose2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0)), X),
    "layer norm": (nn.LayerNorm(5), X),
    "one PReLU": (nn.PReLU(), X),
    "PReLU by channel": (nn.PReLU(3), X),
    "batch norm": (nn.BatchNorm2d(3), X),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_what_it_was(name: str) -> None:
    layer, x = LAYERS[name]
    layer.eval()
    with torch.no_grad():
        for number, tensor in enumerate((*layer.parameters(), *layer.buffers())):
            if tensor.is_floating_point():
                tensor.copy_(numbers(*tensor.shape, seed=number).abs() + 0.1)
    check(layer, x)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("n_batch", [1, 3])
def test_recurrent_layers_begin_anywhere(kind: Any, both_ways: bool, batch_first: bool, n_batch: int) -> None:
    layer = kind(5, 4, bidirectional=both_ways, batch_first=batch_first)
    shape = (n_batch, 6, 5) if batch_first else (6, n_batch, 5)
    states = [numbers(2 if both_ways else 1, n_batch, 4, seed=seed) for seed in range(2 if kind is nn.LSTM else 1)]

    def function(x: Tensor, *states: Tensor) -> list[Tensor]:
        y, after = layer(x, states if kind is nn.LSTM else states[0])
        fresh, _ = layer(x)
        return [y, fresh, *(after if kind is nn.LSTM else [after])]

    check(function, numbers(*shape), *states, n_outputs=2 + len(states))


def test_recurrent_layers_on_top_of_each_other_are_told_by_name() -> None:
    for layer in (nn.LSTM(5, 4, num_layers=2), nn.LSTM(5, 4, bias=False), nn.LSTM(5, 4, proj_size=2)):
        with pytest.raises(ValueError, match="expected LSTM layers one by one, with biases and no projection"):
            run(lambda x: layer(x)[:1], numbers(6, 1, 5))  # noqa: B023


def test_attention_sees_what_its_mask_shows() -> None:
    q, k, v = numbers(3, 2, 4, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    check(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v), q, k, v)
    check(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, attn_mask=mask), q, k, v)
    check(
        lambda q, k, v, seen: functional.scaled_dot_product_attention(q, k, v, attn_mask=mask & (seen > 0)),
        *(q, k, v, torch.tensor([1.0, 1, 0, 1, 0])),
    )


def test_a_batch_norm_that_trains_is_told_by_name() -> None:
    with pytest.raises(ValueError, match="expected a network in eval mode, got a batch norm that trains"):
        run(lambda x: [functional.batch_norm(x, None, None, torch.ones(3), torch.ones(3), training=True)], X)


def test_overlap_add_of_several_frames_is_told_by_name() -> None:
    with pytest.raises(ValueError, match="expected overlap-add of one frame, got 2 frames"):
        run(lambda x: [functional.fold(x, (1, 6), (1, 4), stride=(1, 2))], numbers(1, 4, 2))
    check(lambda x: functional.fold(x, (1, 4), (1, 4), stride=(1, 2)), numbers(1, 4, 1))
