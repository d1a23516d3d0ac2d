"""Absolute values of complex channels."""

from __future__ import annotations

import torch

from arrayse.frontend.features import real_channels
from arrayse.frontend.modulus import modulus


def test_it_undoes_real_channels_up_to_the_phase() -> None:
    spec = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    torch.testing.assert_close(modulus(real_channels(spec)), spec.abs())


def test_its_gradient_at_zero_is_zero() -> None:
    parts = torch.tensor([[0.0, 3.0], [0.0, 4.0]]).reshape(1, 4, 1, 1).requires_grad_()  # 0 + 0j, 3 + 4j
    modulus(parts).sum().backward()
    assert parts.grad is not None
    torch.testing.assert_close(parts.grad.flatten(), torch.tensor([0.0, 0.6, 0.0, 0.8]))
