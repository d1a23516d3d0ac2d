"""DFKD: where the bands part, what each band sees, silence, and the count of crossovers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from arrayse.kd.dfkd import SILENT, Dfkd, cosine_distance
from arrayse.kd.estimates import Patches
from arrayse.schema.base import schema_of
from tests.estimate_cases import N_FREQS, WAVES, built_loss, on_spectra, packed, slow_bands, spectra

CROSSOVERS: list[dict[str, Any]] = [{}, {"crossover": "absolute"}, {"crossover": "fixed", "fixed_bin": 3}]

EVERYWHERE = torch.tensor(True), Patches.uniform(N_FREQS, N_FREQS)


def frame(*magnitudes: float) -> torch.Tensor:
    """Magnitudes of one frame → complex (1, freq, 1) with phases."""
    sizes = torch.tensor(magnitudes, dtype=torch.float64)
    return torch.polar(sizes, torch.arange(len(sizes), dtype=torch.float64))[None, :, None]


def crossovers(spectrum: torch.Tensor, **options: Any) -> list[int]:
    """Of every frame of every item."""
    low, high = on_spectra("dfkd", **options).bands(spectrum)
    return (low.mask & high.mask).int().argmax(dim=1).flatten().tolist()


# --- crossover ------------------------------------------------------------------------------------------------------


def test_the_cumulative_crossover_is_before_the_steepest_rise_of_the_maximum() -> None:
    assert crossovers(frame(2, 1, 0.1, 3, 2, 9, 1, 9, 9)) == [4]  # 9/3 beats 3/2; the dip to 0.1 does not count
    assert crossovers(frame(0, 1e-3, 9, 9, 9, 9, 9, 9, 9)) == [0]  # any rise from nothing is the steepest
    assert crossovers(frame(9, 8, 7, 6, 5, 4, 3, 2, 1)) == [0]  # none at all


def test_the_absolute_crossover_is_at_the_largest_step_up_or_down() -> None:
    assert crossovers(frame(2, 1, 0.1, 3, 2, 9, 1, 9, 9), crossover="absolute") == [5]
    assert crossovers(frame(0, 1, 4, 2, 2, 2, 2, 2, 2), crossover="absolute") == [1]
    assert crossovers(frame(0, 2, 0, 2, 0, 0, 0, 0, 0), crossover="absolute") == [0]


@pytest.mark.parametrize("fixed_bin", [0, 5, 8])
def test_the_fixed_crossover_is_where_it_was_put(fixed_bin: int) -> None:
    assert crossovers(spectra(0, 2, 3), crossover="fixed", fixed_bin=fixed_bin) == [fixed_bin] * 6


def test_a_crossover_that_is_fixed_nowhere_is_at_two_kilohertz() -> None:
    low, high = Dfkd(WAVES, crossover="fixed").bands(torch.ones(1, 257, 1, dtype=torch.complex64))
    assert (low.mask & high.mask).flatten().nonzero().tolist() == [[64]]
    assert 64 * 16000 / 512 == 2000


@pytest.mark.parametrize("options", CROSSOVERS)
def test_no_band_is_higher_than_told(options: dict[str, Any]) -> None:
    built, fixed = on_spectra("dfkd", **options), options.get("crossover") == "fixed"
    bands = built.bands(torch.cat([spectra(0, 9, 20), frame(1, 1, 1, 1, 1, 1, 1, 1, 9).expand(9, -1, 20)]))
    for band in bands:
        heights = band.mask.sum(dim=1)
        assert int(heights.max()) <= built.height(band.region)
        assert (heights == built.height(band.region)).all() == fixed
    assert [built.height(band.region) for band in bands] == ([4, 6] if fixed else [N_FREQS, N_FREQS])


@given(seed=st.integers(0, 10_000), options=st.sampled_from(CROSSOVERS))
@settings(max_examples=40, deadline=None)
def test_bands_cover_the_spectrum_and_share_one_bin(seed: int, options: dict[str, Any]) -> None:
    teacher = spectra(seed, 1, 2)
    low, high = on_spectra("dfkd", **options).bands(teacher)
    assert (low.region, high.region) == ("low", "high")
    assert (low.mask | high.mask).all()
    assert ((low.mask & high.mask).sum(dim=1) == 1).all()
    for t in range(2):
        bands = slow_bands("dfkd", teacher[0, :, t].tolist(), **options)
        assert low.mask[0, :, t].nonzero().flatten().tolist() == bands["low"]
        assert high.mask[0, :, t].nonzero().flatten().tolist() == bands["high"]


def test_the_teacher_alone_sets_the_crossover() -> None:
    built, student, teacher = on_spectra("dfkd").train(), spectra(0), spectra(1)
    built([packed(student)], [packed(teacher)])
    expected = torch.bincount(torch.tensor(crossovers(teacher)), minlength=N_FREQS).tolist()
    assert built.histograms() == {"crossover": expected}
    assert expected != torch.bincount(torch.tensor(crossovers(student)), minlength=N_FREQS).tolist()


# --- distances ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", CROSSOVERS)
def test_turning_the_estimate_costs_the_cosine_of_the_angle_in_both_bands(options: dict[str, Any]) -> None:
    teacher, angle, beta = spectra(1), 0.7, 0.3
    turned = teacher * torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.tensor(angle, dtype=torch.float64))
    got = on_spectra("dfkd", beta=beta, **options)([packed(turned)], [packed(teacher)])
    assert float(got) == pytest.approx((1 + beta) * (1 - math.cos(angle)), rel=1e-9)


@pytest.mark.parametrize("options", CROSSOVERS)
def test_the_level_of_the_estimate_counts_in_the_high_band_only(options: dict[str, Any]) -> None:
    teacher = spectra(1)
    high = on_spectra("dfkd", **options).bands(teacher)[1].mask
    per_frame = (teacher.abs().square() * high).sum(dim=1) / high.sum(dim=1)
    for beta in (0.0, 0.5, 1.0):
        got = on_spectra("dfkd", beta=beta, **options)([packed(3 * teacher)], [packed(teacher)])
        assert float(got) == pytest.approx((1 - beta) * 4 * float(per_frame.mean()), rel=1e-9, abs=1e-12)


def test_an_opposite_estimate_is_at_two() -> None:
    spectrum = spectra(0)
    got = cosine_distance(-spectrum, spectrum, *EVERYWHERE)
    torch.testing.assert_close(got, torch.full((2, 1, 5), 2.0, dtype=torch.float64))


# --- silence --------------------------------------------------------------------------------------------------------


def test_silence_is_like_silence_and_unlike_sound() -> None:
    sound, silence = frame(1, 1, 1, 1, 1, 1, 1, 1, 4), torch.zeros(1, N_FREQS, 1, dtype=torch.complex128)
    built = on_spectra("dfkd")
    assert float(built([packed(silence)], [packed(silence)])) == 0
    assert float(built([packed(silence)], [packed(sound)])) == pytest.approx(1 + 0.5 + 0.5 * (1 + 16) / 2)
    assert float(built([packed(sound)], [packed(silence)])) == pytest.approx(1 + 0.5 + 0.5 * (8 + 16) / N_FREQS)


def test_a_silent_frame_does_not_change_the_gradient_of_the_others() -> None:
    student, teacher = spectra(0, 1, 4), spectra(1, 1, 4)
    grads = []
    for quiet in (1.0, 1e-9, 0.0):
        scaled = student.clone()
        scaled[:, :, 1] *= quiet
        leaf = packed(scaled).requires_grad_()
        on_spectra("dfkd", beta=1.0)([leaf], [packed(teacher)]).backward()
        assert leaf.grad is not None
        grads.append(leaf.grad.reshape(N_FREQS, 4, 2))
    for grad in grads[1:]:
        assert not grad[:, 1].any()
        torch.testing.assert_close(grad[:, [0, 2, 3]], grads[0][:, [0, 2, 3]])


def test_a_direction_begins_where_silence_ends() -> None:
    unit = frame(*[1 / 3] * N_FREQS)  # of norm 1
    for level, expected in ((0.99 * SILENT, 1.0), (1.01 * SILENT, 0.0)):
        got = cosine_distance(level * unit, unit, *EVERYWHERE)
        torch.testing.assert_close(got, torch.full((1, 1, 1), expected, dtype=torch.float64))


# --- counts ---------------------------------------------------------------------------------------------------------


def test_crossovers_are_counted_in_training_only_until_they_are_reset() -> None:
    built = on_spectra("dfkd")
    batch = [packed(spectra(0, 3, 4))], [packed(spectra(1, 3, 4))]
    built.eval()(*batch)
    assert built.histograms() == {"crossover": [0] * N_FREQS}
    built.train()(*batch)
    once = built.histograms()["crossover"]
    assert sum(once) == 3 * 4
    built(*batch)
    assert built.histograms() == {"crossover": [2 * count for count in once]}
    built.reset_histograms()
    assert built.histograms() == {"crossover": [0] * N_FREQS}


def test_the_counts_are_kept_with_the_state() -> None:
    built, other = built_loss("dfkd"), built_loss("dfkd")
    wave = torch.randn(2, 1, 1, 40, generator=torch.Generator().manual_seed(0))
    built([wave], [wave])
    other.load_state_dict(built.state_dict())
    assert sum(other.histograms()["crossover"]) > 0
    assert other.histograms() == built.histograms()


# --- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crossover": "mean"}, "crossover: expected one of cumulative, absolute, fixed, got mean"),
        ({"beta": 1.1}, "beta: expected 0 to 1, got 1.1"),
        ({"beta": math.nan}, "beta: expected 0 to 1, got nan"),
        ({"crossover": "fixed", "fixed_bin": 257}, "fixed_bin: expected 0 to 256 for n_fft 512, got 257"),
        ({"crossover": "fixed", "fixed_bin": -1}, "fixed_bin: expected 0 to 256 for n_fft 512, got -1"),
        ({"crossover": "fixed", "n_fft": 64, "hop_length": 16}, "fixed_bin: expected 0 to 32 for n_fft 64, got 64"),
        ({"fixed_bin": 64}, "fixed_bin: expected none for a crossover that is cumulative, got 64"),
        ({"crossover": "absolute", "fixed_bin": 0}, "fixed_bin: expected none for a crossover that is absolute, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dfkd(WAVES, **options)


def test_the_schema_has_the_ranges_and_the_papers_values() -> None:
    schema = schema_of(Dfkd, ("pairs",))
    assert schema().model_dump() == {
        "beta": 0.5, "crossover": "cumulative", "fixed_bin": None, "n_fft": 512, "hop_length": 128
    }  # fmt: skip
    for wrong in ({"beta": 1.5}, {"fixed_bin": -1}, {"crossover": "mean"}, {"hop_length": 0}):
        with pytest.raises(ValidationError):
            schema(**wrong)


def test_its_text_says_beta_and_where_the_bands_meet() -> None:
    assert Dfkd(WAVES).formula().endswith("(β = 0.5, crossover cumulative)")
    assert Dfkd(WAVES, 0.25, "fixed", 40).formula().endswith("(β = 0.25, crossover at bin 40)")
