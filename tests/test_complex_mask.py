"""Masks of the three modes in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arrayse.models.complex_mask import mask_parts


def numbers(seed: int) -> Tensor:
    return 2 * torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(seed))


def masked(mode: str) -> tuple[Tensor, Tensor, Tensor]:
    """Masked spectrum, M and Y, complex."""
    raw, ref = numbers(1), numbers(2)
    parts = mask_parts(raw, mode, ref)  # type: ignore[arg-type]
    mask, m, y = (torch.complex(x[:, 0], x[:, 1]) for x in (parts, raw, ref))
    return mask * y, m, y


def test_mask_e_scales_the_magnitude_by_tanh_and_adds_the_phase() -> None:
    estimate, m, y = masked("E")
    torch.testing.assert_close(estimate, torch.polar(m.abs().tanh() * y.abs(), y.angle() + m.angle()))


def test_mask_c_is_a_complex_product() -> None:
    estimate, m, y = masked("C")
    torch.testing.assert_close(estimate, m * y)


def test_mask_r_scales_both_parts_apart() -> None:
    estimate, m, y = masked("R")
    torch.testing.assert_close(estimate, torch.complex(m.real * y.real, m.imag * y.imag))


@pytest.mark.parametrize("mode", ["E", "C", "R"])
def test_masks_and_gradients_are_finite_where_there_is_nothing(mode: str) -> None:
    raw = torch.zeros(1, 2, 3, 4, requires_grad=True)
    parts = mask_parts(raw, mode, torch.zeros(1, 2, 3, 4))  # type: ignore[arg-type]
    parts.sum().backward()
    assert not parts.any()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()
