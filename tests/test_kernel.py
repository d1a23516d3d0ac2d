"""The kernel of the grids: an arrival put onto cells and divided by the spectrum is a pure delay."""

from __future__ import annotations

import numpy as np
import pytest

from simulate import ism, scattering
from simulate.kernel import Kernel


@pytest.mark.parametrize(("kernel", "error_db"), [(ism.KERNEL, -74), (scattering.KERNEL, -78)])
def test_a_kernel_over_its_spectrum_is_a_delay(kernel: Kernel, error_db: float) -> None:
    frequency = np.linspace(0, 7 / 16, 50)  # cycles a sample: to 7 of 8 kHz
    table = kernel.table.reshape(-1, kernel.taps)
    assert len(table) == 1 << kernel.steps_bits
    errors = []
    for place in np.random.default_rng(0).uniform(0, 1, 400):
        cells = np.arange(kernel.taps) - (kernel.taps // 2 - 1)
        waves = np.exp(-2j * np.pi * np.outer(frequency, cells - place) / kernel.oversampling)
        errors.append(waves @ table[int(place * len(table))] / kernel.spectrum(frequency) - 1)
    assert 10 * np.log10(np.mean(np.abs(errors) ** 2)) < error_db


def test_the_table_is_symmetric_and_highest_in_the_middle() -> None:
    table = ism.KERNEL.table.reshape(-1, ism.KERNEL.taps)
    np.testing.assert_allclose(table, table[::-1, ::-1], atol=1e-7)
    assert table.max() == pytest.approx(1, abs=1e-5)
    assert table.argmax(axis=1)[0] == 1
