"""Oracle masks: closed forms, bounds, and that each is the best of its kind."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from arrayse.frontend.oracle import complex_ratio_mask, ideal_ratio_mask, phase_sensitive_mask, wiener_mask

MASKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "irm": ideal_ratio_mask,
    "wiener": wiener_mask,
    "psm": phase_sensitive_mask,
    "cirm": lambda target, rest: complex_ratio_mask(target, rest, 1.0),
}
REAL = ["irm", "wiener", "psm"]


def spectra(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Target and rest (2, 9, 40), complex64."""
    generator = torch.Generator().manual_seed(seed)
    target, rest = (torch.randn(2, 9, 40, dtype=torch.complex64, generator=generator) for _ in range(2))
    return target, rest


def error(name: str, target: Tensor, rest: Tensor) -> Tensor:
    return (MASKS[name](target, rest) * (target + rest) - target).abs()


@pytest.mark.parametrize(
    ("target", "rest", "irm", "wiener", "psm", "cirm"),
    [
        (3.0, 4.0j, 0.6, 0.36, 0.36, 9 / 25 - 12j / 25),  # at right angles the phase-sensitive is the Wiener gain
        (1.0, 1.0, math.sqrt(0.5), 0.5, 0.5, 0.5),
        (2.0j, 0.0, 1, 1, 1, 1),
        (0.0, 5.0, 0, 0, 0, 0),
        (2.0, -1.0, math.sqrt(0.8), 0.8, 1, 1),  # S / Y = 2
        (1.0, -3.0, math.sqrt(0.1), 0.1, 0, -0.5),
        (2.0j, 1.0 - 2.0j, math.sqrt(4 / 9), 4 / 9, 0, 1j),  # S / Y = 2j
        (0.0, 0.0, 0, 0, 0, 0),
        (1.0, -1.0, math.sqrt(0.5), 0.5, 0, 0),
    ],
)
def test_numbers(target: complex, rest: complex, irm: float, wiener: float, psm: float, cirm: complex) -> None:
    pair = [torch.tensor([[part]], dtype=torch.complex128) for part in (target, rest)]
    for name, expected in (("irm", irm), ("wiener", wiener), ("psm", psm), ("cirm", cirm)):
        assert MASKS[name](*pair).item() == pytest.approx(expected, abs=1e-12), name


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e15])
def test_masks_are_bounded_and_know_no_level(name: str, factor: float) -> None:
    target, rest = spectra()
    mask = MASKS[name](factor * target, factor * rest)
    assert mask.dtype == (torch.complex64 if name == "cirm" else torch.float32)
    assert mask.shape == target.shape
    assert mask.abs().max() <= 1 + 1e-6
    assert name == "cirm" or mask.min() >= 0
    torch.testing.assert_close(mask, MASKS[name](target, rest), atol=1e-5, rtol=1e-5)


def test_without_a_limit_the_complex_mask_gives_the_target_and_with_one_the_nearest() -> None:
    target, rest = (part.to(torch.complex128) for part in spectra())
    noisy = target + rest
    torch.testing.assert_close(complex_ratio_mask(target, rest, 1e9) * noisy, target)
    best = (complex_ratio_mask(target, rest, 0.7) * noisy - target).abs()
    for angle in torch.linspace(-math.pi, math.pi, 60, dtype=torch.float64):
        for modulus in (0.2, 0.69, 0.7):
            assert (best <= (torch.polar(torch.tensor(modulus).double(), angle) * noisy - target).abs() + 1e-9).all()


def test_no_real_gain_is_better_than_the_phase_sensitive_mask() -> None:
    target, rest = spectra()
    best = error("psm", target, rest)
    for gain in torch.linspace(0, 1, 50):
        assert (best <= (gain * (target + rest) - target).abs() + 1e-5).all()
    for name in REAL:
        assert (best <= error(name, target, rest) + 1e-5).all()
    assert (error("cirm", target, rest) <= best + 1e-5).all()


def test_the_ratio_mask_is_the_root_of_the_wiener_gain_and_gains_of_both_parts_add_up() -> None:
    target, rest = spectra()
    torch.testing.assert_close(ideal_ratio_mask(target, rest).square(), wiener_mask(target, rest))
    torch.testing.assert_close(wiener_mask(target, rest) + wiener_mask(rest, target), torch.ones(target.shape))


def test_errors() -> None:
    target, rest = spectra()
    for name in MASKS:
        with pytest.raises(ValueError, match="target and rest: expected complex spectra of one shape"):
            MASKS[name](target, rest[:1])
        with pytest.raises(ValueError, match="target and rest: expected complex spectra of one shape"):
            MASKS[name](target.real, rest.real)
    for limit in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="limit: expected a positive number"):
            complex_ratio_mask(target, rest, limit)
