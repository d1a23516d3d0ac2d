"""Views of features: rows and cosines against plain loops, and each utterance seen by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrayse.kd.views import FLOWS, KINDS, POOLS, WHOLE, View, cosines_kind, look, rows, rows_kind
from tests.kd_cases import feature, slow_cosines, slow_rows

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))


def seen(kind: str, x: torch.Tensor) -> torch.Tensor:
    return look([View(0, kind)], [x])[0]


@given(
    kind=st.sampled_from(sorted(KINDS)), shape=SHAPES, seed=st.integers(0, 1000), scale=st.sampled_from([0, 1e-3, 1])
)
def test_views_of_a_batch_are_those_of_its_items_by_themselves(
    kind: str, shape: tuple[int, ...], seed: int, scale: float
) -> None:
    x = scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    by_itself = torch.cat([seen(kind, item[None]) for item in x])
    torch.testing.assert_close(seen(kind, x), by_itself, rtol=1e-12, atol=1e-15)


@given(flow=st.sampled_from(FLOWS), pool=st.sampled_from(POOLS), shape=SHAPES, seed=st.integers(0, 1000))
def test_cosines_are_symmetric_with_ones_on_the_diagonal_and_never_beyond(
    flow: str, pool: str, shape: tuple[int, ...], seed: int
) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    got = seen(f"{flow}_cosines_{pool}", x)
    n_rows = shape[3] if flow == "time" else shape[2]
    assert got.shape == (shape[0], n_rows, n_rows)
    torch.testing.assert_close(got, got.transpose(1, 2))
    torch.testing.assert_close(got.diagonal(dim1=1, dim2=2), torch.ones(shape[0], n_rows, dtype=torch.float64))
    assert got.abs().max() <= 1 + 1e-12


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("flow", FLOWS)
def test_cosines_equal_the_slow_reference(flow: str, pool: str) -> None:
    x = feature(3, 0)
    expected = [slow_cosines(item, flow, pool) for item in x.numpy()]
    np.testing.assert_allclose(seen(f"{flow}_cosines_{pool}", x).flatten(1), expected, rtol=1e-12)


@pytest.mark.parametrize("flow", FLOWS)
def test_rows_equal_the_slow_reference(flow: str) -> None:
    x = feature(3, 0)
    np.testing.assert_allclose(seen(f"{flow}_rows", x), [slow_rows(item, flow, "mean") for item in x.numpy()])
    np.testing.assert_allclose(rows(x, flow, "concat"), [slow_rows(item, flow, "concat") for item in x.numpy()])


def test_the_whole_view_is_the_feature_itself() -> None:
    x = feature(3, 0)
    assert seen(WHOLE, x) is x


def test_every_view_looks_at_its_own_tap() -> None:
    first, second = feature(3, 0), feature(2, 1)
    views = [View(1, WHOLE), View(0, WHOLE), View(1, "time_rows"), View(0, "time_rows")]
    got = look(views, [first, second])
    assert got[0] is second
    assert got[1] is first
    torch.testing.assert_close(got[2], second.mean(dim=2).transpose(1, 2))
    torch.testing.assert_close(got[3], first.mean(dim=2).transpose(1, 2))


def test_kinds_have_names_and_the_table_holds_them_all() -> None:
    names = {rows_kind(flow) for flow in FLOWS} | {cosines_kind(flow, pool) for flow in FLOWS for pool in POOLS}
    assert set(KINDS) == names | {WHOLE}
    assert cosines_kind("frequency", "concat") == "frequency_cosines_concat"


def test_silent_rows_resemble_nothing_not_even_themselves() -> None:
    x = feature(3, 0)
    x[:, :, :, 1] = 0
    got = seen("time_cosines_concat", x)
    assert got[:, 1].abs().max() == 0
    assert got[:, :, 1].abs().max() == 0
    assert got[:, 0, 0].min() > 0.999
