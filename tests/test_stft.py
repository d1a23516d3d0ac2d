"""The transform against other implementations, its framing, and perfect reconstruction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrayse.frontend.stft import Stft
from tests.tiny import spectra, waves

WINDOWS = ("sqrt_hann", "hann")
GRIDS = ((4, 2), (16, 4), (30, 10), (64, 8), (128, 64), (9, 3))
TRANSFORMS = [Stft(n_fft, hop, window) for n_fft, hop in GRIDS for window in WINDOWS]


@given(stft=st.sampled_from(TRANSFORMS), n_samples=st.integers(1, 400), seed=st.integers(0, 99))
def test_inverse_of_the_transform_is_the_wave(stft: Stft, n_samples: int, seed: int) -> None:
    wave = waves(2, n_samples, seed=seed)
    torch.testing.assert_close(stft.inverse(stft(wave), n_samples), wave, rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("hop_length", [256, 128, 64])
def test_perfect_reconstruction_at_the_sizes_in_use(window: str, hop_length: int) -> None:
    stft, wave = Stft(512, hop_length, window), waves(1, 3, 4001)
    torch.testing.assert_close(stft.inverse(stft(wave), 4001), wave, rtol=0, atol=1e-6)


@given(stft=st.sampled_from(TRANSFORMS), n_samples=st.integers(1, 400))
def test_shapes_are_as_announced(stft: Stft, n_samples: int) -> None:
    spec = stft(waves(2, 3, n_samples))
    assert spec.shape == (2, 3, stft.n_freqs, stft.n_frames(n_samples))
    assert spec.dtype == torch.complex64


@pytest.mark.parametrize(("n_fft", "hop_length"), [(64, 16), (128, 64)])
@pytest.mark.parametrize("window", WINDOWS)
def test_inner_frames_are_those_of_torch_and_scipy(n_fft: int, hop_length: int, window: str) -> None:
    wave, first = waves(1000), n_fft // hop_length - 1  # first: the first frame without padding
    stft = Stft(n_fft, hop_length, window)
    hann = torch.hann_window(n_fft)
    analysis = hann.sqrt() if window == "sqrt_hann" else hann
    of_torch = torch.stft(wave, n_fft, hop_length, window=analysis, center=False, return_complex=True)
    ours = stft(wave)[:, first : first + of_torch.shape[1]]
    torch.testing.assert_close(ours, of_torch, rtol=0, atol=1e-5)
    options = {"nperseg": n_fft, "noverlap": n_fft - hop_length, "boundary": None, "padded": False}
    _, _, of_scipy = scipy.signal.stft(wave.numpy(), window=analysis.numpy(), **options)
    np.testing.assert_allclose(ours.numpy(), of_scipy * float(analysis.sum()), rtol=0, atol=1e-5)


@given(stft=st.sampled_from(TRANSFORMS), frame=st.integers(0, 20))
def test_a_frame_sees_the_samples_before_its_end_and_none_later(stft: Stft, frame: int) -> None:
    end = (frame + 1) * stft.hop_length
    wave = waves(end + 50)
    later, last = wave.clone(), wave.clone()
    later[end:] = 7.0
    last[end - 1] += 10.0
    torch.testing.assert_close(stft(later)[:, : frame + 1], stft(wave)[:, : frame + 1], rtol=0, atol=0)
    assert (stft(last)[:, frame] - stft(wave)[:, frame]).abs().max() > 1e-3


@given(stft=st.sampled_from(TRANSFORMS), n_frames=st.integers(1, 20))
def test_a_sample_is_whole_after_the_promised_latency(stft: Stft, n_frames: int) -> None:
    n_samples = 30 * stft.hop_length
    wave = waves(n_samples)
    known = stft(wave)
    known[:, n_frames:] = 0  # the frames that n_frames·hop_length samples of input do not give yet
    whole = max(n_frames * stft.hop_length - (stft.n_fft - stft.hop_length), 0)
    torch.testing.assert_close(stft.inverse(known, n_samples)[:whole], wave[:whole], rtol=0, atol=1e-6)
    assert whole >= n_frames * stft.hop_length - stft.n_fft


@given(
    stft=st.sampled_from(TRANSFORMS),
    cuts=st.lists(st.integers(1, 11), max_size=4, unique=True).map(sorted),
)
def test_chunks_of_frames_equal_the_whole(stft: Stft, cuts: list[int]) -> None:
    n_frames, hop, n_fft = 12, stft.hop_length, stft.n_fft
    padded = waves(2, n_fft + (n_frames - 1) * hop)
    whole_spec = stft.frames_to_spec(padded)
    whole_wave, added = stft.overlap_add(whole_spec), torch.zeros_like(padded)
    bounds = [0, *cuts, n_frames]
    for first, last in itertools.pairwise(bounds):
        piece = slice(first * hop, (last - 1) * hop + n_fft)
        spec = stft.frames_to_spec(padded[:, piece])
        torch.testing.assert_close(spec, whole_spec[..., first:last], rtol=0, atol=1e-6)
        added[:, piece] += stft.overlap_add(spec)
    torch.testing.assert_close(added, whole_wave, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("window", "leakage"), [("hann", 1e-5), ("sqrt_hann", 2e-3)])
def test_a_sine_on_a_bin_has_half_the_sum_of_the_window(window: str, leakage: float) -> None:
    stft, bin_number = Stft(64, 32, window), 9
    wave = torch.cos(2 * torch.pi * bin_number * torch.arange(640) / 64)
    magnitude = stft(wave)[bin_number, 2:-2].abs()
    expected = torch.full_like(magnitude, float(stft.window.sum()) / 2)
    torch.testing.assert_close(magnitude, expected, rtol=leakage, atol=0)


def test_leading_axes_do_not_mix() -> None:
    stft, spec = Stft(32, 8), spectra(2, 3, 17, 6)
    apart = torch.stack([torch.stack([stft.overlap_add(mic) for mic in item]) for item in spec])
    torch.testing.assert_close(stft.overlap_add(spec), apart)


def test_windows_are_no_part_of_the_weights() -> None:
    assert Stft(32, 16).state_dict() == {}


@pytest.mark.parametrize("hop_length", [0, -2, 3, 8, 16])
def test_hops_that_leave_gaps_or_remainders_are_refused(hop_length: int) -> None:
    with pytest.raises(ValueError, match="hop_length: expected a proper divisor of n_fft 8, got"):
        Stft(8, hop_length)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window: expected one of sqrt_hann, hann, got hamming"):
        Stft(8, 4, "hamming")  # type: ignore[arg-type]
