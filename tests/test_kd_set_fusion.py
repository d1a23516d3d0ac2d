"""The fusion of a set of layers: slow references, grids of any frequencies, every layer in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arrayse.kd.set_fusion import SetFusion
from tests.kd_cases import feature
from tests.slow_calibration import double, slow_set, slow_step


@pytest.mark.parametrize("n_freqs", [1, 3, 5, 8])
def test_a_step_equals_the_slow_reference_for_residuals_of_any_frequencies(n_freqs: int) -> None:
    step = double(SetFusion([1, 3], 4).steps[0])
    layer = feature(3, 0)
    residual = torch.randn(2, 4, n_freqs, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = [slow_step(step, a, b) for a, b in zip(layer.numpy(), residual.numpy(), strict=True)]
    np.testing.assert_allclose(step(layer, residual).detach().numpy(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_a_set_equals_the_slow_reference_and_has_the_grid_of_its_last_layer(n_layers: int) -> None:
    layers = [feature(2, 0), feature(3, 1)[:, :, :3], feature(5, 2)[:, :, :4], feature(4, 3)[:, :, :2]][:n_layers]
    fusion = double(SetFusion([layer.shape[1] for layer in layers], 3))
    fused = fusion(layers)
    assert fused.shape == (2, 3, *layers[-1].shape[2:])
    np.testing.assert_allclose(fused.detach().numpy(), slow_set(fusion, layers), rtol=1e-8, atol=1e-10)


def test_a_fused_set_knows_all_its_layers() -> None:
    layers = [feature(2, 0), feature(3, 1), feature(4, 2)]
    fusion = double(SetFusion([2, 3, 4], 3))
    for changed in range(3):
        other = [feature(k + 2, 30) if k == changed else layer for k, layer in enumerate(layers)]
        assert (fusion(other) - fusion(layers)).abs().max() > 1e-3
