"""Spatial covariances against sums written out in numpy, whole and recursive."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from arrayse.frontend.covariance import (
    forgetting_factor,
    mean_power,
    recursive_covariance,
    spatial_covariance,
)

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 9))
"""Batch, microphones, frequencies, frames."""


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def mask_for(spec: Tensor, seed: int = 1) -> Tensor:
    """Weights of which some are zero."""
    shape = (spec.shape[0], *spec.shape[2:])
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.3).clamp_min(0)


def written_out(spec: Tensor, weights: Tensor, forget: float = 1.0) -> np.ndarray:
    """(batch, n_frames, n_freqs, n_mics, n_mics): up to every frame, each weight times ``forget**age``."""
    x, w = spec.numpy().astype(np.complex128), weights.numpy().astype(np.float64)
    n_batch, n_mics, n_freqs, n_frames = x.shape
    out = np.zeros((n_batch, n_frames, n_freqs, n_mics, n_mics), dtype=np.complex128)
    for item, frame, freq in np.ndindex(n_batch, n_frames, n_freqs):
        faded = [w[item, freq, k] * forget ** (frame - k) for k in range(frame + 1)]
        if sum(faded) > 0:
            for k, weight in enumerate(faded):
                heard = x[item, :, freq, k]
                out[item, frame, freq] += weight / sum(faded) * np.outer(heard, heard.conj())
    return out


@given(SHAPES, st.booleans())
def test_the_whole_is_the_weighted_mean_of_outer_products(shape: tuple[int, ...], masked: bool) -> None:
    spec = noise(shape)
    mask = mask_for(spec) if masked else None
    got = spatial_covariance(spec, mask)
    assert got.dtype == torch.complex128
    expected = written_out(spec, torch.ones(shape[0], *shape[2:]) if mask is None else mask)[:, -1]
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


@given(SHAPES, st.sampled_from([0.0, 0.5, 0.99]), st.booleans())
def test_the_running_mean_is_the_sum_of_faded_outer_products(
    shape: tuple[int, ...], forget: float, masked: bool
) -> None:
    spec = noise(shape)
    mask = mask_for(spec) if masked else None
    got, _ = recursive_covariance(spec, forget, mask)
    assert got.dtype == torch.complex128
    expected = written_out(spec, torch.ones(shape[0], *shape[2:]) if mask is None else mask, forget)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("sizes", [[1] * 12, [5, 7], [1, 10, 1]])
def test_chunks_give_what_the_whole_gives(sizes: list[int]) -> None:
    spec = noise((2, 3, 4, 12))
    mask = mask_for(spec)
    whole, last = recursive_covariance(spec, 0.9, mask)
    parts, state = [], None
    for chunk, weights in zip(spec.split(sizes, dim=-1), mask.split(sizes, dim=-1), strict=True):
        part, state = recursive_covariance(chunk, 0.9, weights, state)
        parts.append(part)
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert state is not None
    assert torch.equal(state.total, last.total)
    assert torch.equal(state.weight, last.weight)


def test_covariances_are_hermitian_and_positive_semidefinite() -> None:
    spec = noise((2, 5, 3, 20))
    for got in (spatial_covariance(spec, mask_for(spec)), recursive_covariance(spec, 0.8, mask_for(spec))[0]):
        torch.testing.assert_close(got, got.mH, atol=1e-14, rtol=0)
        assert torch.linalg.eigvalsh(got).min() > -1e-12


def test_what_hardly_fades_ends_at_the_mean_of_the_whole() -> None:
    spec = noise((1, 3, 2, 30))
    running, _ = recursive_covariance(spec, 1 - 1e-9)
    torch.testing.assert_close(running[:, -1], spatial_covariance(spec), atol=1e-6, rtol=0)


def test_the_running_mean_fades_to_1_over_e_in_its_time_constant() -> None:
    frame_rate, time_constant = 62.5, 0.48  # 30 frames
    spec = torch.zeros(1, 1, 1, 5001, dtype=torch.complex64)
    spec[..., :4971] = 1
    power = recursive_covariance(spec, forgetting_factor(time_constant, frame_rate))[0].real.flatten()
    assert float(power[4970]) == pytest.approx(1, rel=1e-12)
    assert float(power[5000]) == pytest.approx(math.exp(-1), rel=1e-9)


def test_bins_of_no_weight_change_nothing_and_nothing_at_all_is_zero() -> None:
    spec, mask = noise((1, 2, 1, 6)), torch.tensor([[[0.0, 0, 1, 0, 0, 1]]])
    got, _ = recursive_covariance(spec, 0.7, mask)
    assert torch.equal(got[:, :2], torch.zeros_like(got[:, :2]))
    torch.testing.assert_close(got[:, 3:5], got[:, 2:3].expand(-1, 2, -1, -1, -1), atol=1e-14, rtol=0)
    assert torch.equal(spatial_covariance(spec, 0 * mask), torch.zeros(1, 1, 2, 2, dtype=torch.complex128))


def test_the_level_of_a_mask_does_not_matter() -> None:
    spec = noise((2, 3, 2, 8))
    mask = mask_for(spec)
    torch.testing.assert_close(spatial_covariance(spec, 1e-9 * mask), spatial_covariance(spec, mask))
    running, scaled = (recursive_covariance(spec, 0.9, level * mask)[0] for level in (1.0, 1e-9))
    torch.testing.assert_close(scaled, running)


def test_items_of_a_batch_do_not_mix() -> None:
    spec = noise((3, 2, 4, 7))
    mask = mask_for(spec)
    for item in range(3):
        one = slice(item, item + 1)
        torch.testing.assert_close(spatial_covariance(spec[one], mask[one]), spatial_covariance(spec, mask)[one])
        alone, together = recursive_covariance(spec[one], 0.9, mask[one])[0], recursive_covariance(spec, 0.9, mask)[0]
        assert torch.equal(alone, together[one])


def test_mean_power_is_that_of_the_microphones_together() -> None:
    spec = noise((2, 5, 3, 20))
    expected = spec.abs().double().square().mean(dim=(1, 3))
    torch.testing.assert_close(mean_power(spatial_covariance(spec)), expected, rtol=1e-6, atol=0)


def test_what_is_quiet_in_32_bits_is_not_lost() -> None:
    spec = noise((1, 2, 3, 9))
    torch.testing.assert_close(spatial_covariance(1e-30 * spec) * 1e60, spatial_covariance(spec), rtol=1e-5, atol=1e-5)


def test_errors() -> None:
    spec = noise((2, 3, 4, 5))
    _, state = recursive_covariance(spec, 0.5)
    for bad in (spec.real, spec[0], spec[..., :0]):
        with pytest.raises(ValueError, match=r"spec: expected complex \(batch, n_mics, n_freqs, n_frames\)"):
            spatial_covariance(bad)
    with pytest.raises(ValueError, match=r"weights: expected shape \(2, 4, 5\), got \(2, 1, 5\)"):
        spatial_covariance(spec, torch.ones(2, 1, 5))
    for number in (-0.5, math.nan):
        with pytest.raises(ValueError, match="weights: expected numbers from 0 up"):
            recursive_covariance(spec, 0.5, torch.full((2, 4, 5), number))
    for forget in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="forget: expected a number from 0 to less than 1"):
            recursive_covariance(spec, forget)
    with pytest.raises(ValueError, match=r"state: expected one of shape \(1, 4, 3, 3\), got \(2, 4, 3, 3\)"):
        recursive_covariance(spec[:1], 0.5, state=state)
    with pytest.raises(ValueError, match="time_constant: expected a positive number, got 0"):
        forgetting_factor(0, 62.5)
    with pytest.raises(ValueError, match="frame_rate: expected a positive number, got nan"):
        forgetting_factor(1.0, math.nan)
