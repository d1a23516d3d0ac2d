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
WHOLE = [(4, 2), (16, 4), (30, 10), (64, 8), (128, 64), (9, 3)]
FILLED = [(16, 4, 2), (32, 24, 6), (64, 63, 21), (33, 32, 16), (512, 20, 10), (9, 8, 2)]
"""(n_fft, win_length, hop_length) of frames that zeros fill up."""
GRIDS = [*((n_fft, n_fft, hop) for n_fft, hop in WHOLE), *FILLED]
SLANTED = [(64, 64, 16, 32), (64, 48, 8, 24), (512, 500, 10, 20), (16, 9, 3, 6), (33, 33, 7, 21), (30, 30, 2, 28)]
"""(n_fft, win_length, hop_length, synthesis_length) of asymmetric windows; not every hop divides the frame."""
SYMMETRIC = [Stft(n_fft, hop, window, win_length) for n_fft, win_length, hop in GRIDS for window in WINDOWS]
ASYMMETRIC = [Stft(n_fft, hop, "asymmetric", win_length, back) for n_fft, win_length, hop, back in SLANTED]
TRANSFORMS = [*SYMMETRIC, *ASYMMETRIC]


@given(stft=st.sampled_from(TRANSFORMS), n_samples=st.integers(1, 400), seed=st.integers(0, 99))
def test_inverse_of_the_transform_is_the_wave(stft: Stft, n_samples: int, seed: int) -> None:
    wave = waves(2, n_samples, seed=seed)
    torch.testing.assert_close(stft.inverse(stft(wave), n_samples), wave, rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("win_length", "hop_length"), [(None, 256), (None, 128), (None, 64), (400, 100), (320, 160)])
def test_perfect_reconstruction_at_the_sizes_in_use(window: str, hop_length: int, win_length: int | None) -> None:
    stft, wave = Stft(512, hop_length, window, win_length), waves(1, 3, 4001)
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


@given(stft=st.sampled_from(TRANSFORMS), n_samples=st.integers(1, 200))
def test_the_frames_are_just_those_that_see_a_sample(stft: Stft, n_samples: int) -> None:
    """And as many give back the first sample and the last as one in the middle: latency_samples / hop_length."""
    n_frames, hop = stft.n_frames(n_samples), stft.hop_length
    ends = [(frame + 1) * hop for frame in range(n_frames)]
    for sample in (0, n_samples - 1):
        assert sum(end - stft.latency_samples <= sample < end for end in ends) == stft.latency_samples // hop
    assert ends[-1] - stft.win_length < n_samples <= ends[-1] - stft.win_length + hop


def weight_of(stft: Stft, place: int) -> float:
    """The analysis window in closed form: quarters of sines of two lengths if it is asymmetric."""
    if stft.kind != "asymmetric":
        return float(np.sin(np.pi * place / stft.win_length) ** (1 if stft.kind == "sqrt_hann" else 2))
    top = stft.win_length - stft.latency_samples / 2
    part = place / top if place < top else (stft.win_length - place) / (stft.win_length - top)
    return float(np.sin(np.pi / 2 * part))


@given(stft=st.sampled_from(TRANSFORMS), frame=st.integers(0, 12))
def test_a_frame_is_the_transform_of_its_samples_and_of_zeros_behind_them(stft: Stft, frame: int) -> None:
    wave = waves(20 * stft.hop_length)
    first = (frame + 1) * stft.hop_length - stft.win_length
    samples = np.zeros(stft.n_fft)
    for place in range(stft.win_length):
        samples[place] = weight_of(stft, place) * float(wave[first + place]) if 0 <= first + place < len(wave) else 0
    np.testing.assert_allclose(stft(wave)[:, frame].numpy(), np.fft.rfft(samples), rtol=0, atol=1e-5)


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
    whole = max(n_frames * stft.hop_length - (stft.latency_samples - stft.hop_length), 0)
    got = stft.inverse(known, n_samples)
    torch.testing.assert_close(got[:whole], wave[:whole], rtol=0, atol=1e-6)
    if 0 < whole < n_samples:  # and no sooner: the newest sample of a frame has the least weight
        assert (got[whole : whole + stft.hop_length] - wave[whole : whole + stft.hop_length]).abs().max() > 1e-5


@given(stft=st.sampled_from(TRANSFORMS), gain=st.integers(2, 9), seed=st.integers(0, 9))
def test_no_sample_depends_on_one_that_is_a_latency_later(stft: Stft, gain: int, seed: int) -> None:
    """With gains of their own for all bins and frames, to the sample; the last of a hop reaches back furthest."""
    n_samples, place = 40 * stft.hop_length, 31 * stft.hop_length - 1
    wave, gains = waves(n_samples, seed=seed), gain * spectra(stft.n_freqs, stft.n_frames(n_samples), seed=seed)
    later = wave.clone()
    later[place:] = 1.0
    changed = stft.inverse(gains * stft(later), n_samples) - stft.inverse(gains * stft(wave), n_samples)
    first = place - stft.latency_samples + 1
    assert changed[:first].abs().max() == 0
    assert changed[first : first + 3].abs().max() > 0  # windows begin with weights near 0


@pytest.mark.parametrize("stft", ASYMMETRIC, ids=lambda stft: f"{stft.win_length}-{stft.latency_samples}")
def test_asymmetric_windows_multiply_to_a_short_hann_window(stft: Stft) -> None:
    back, product = stft.latency_samples, torch.zeros(stft.win_length)
    product[-back:] = torch.hann_window(back) * 2 * stft.hop_length / back
    torch.testing.assert_close(stft.window * stft.dual, product, rtol=0, atol=5e-7)
    assert stft.dual[:-back].abs().max() == 0
    assert stft.dual[-back + 1 :].min() > 0


@pytest.mark.parametrize(("hop_length", "synthesis_length"), [(64, 128), (80, 160), (32, 128)])
def test_asymmetric_windows_of_the_sizes_in_use_reconstruct(hop_length: int, synthesis_length: int) -> None:
    stft, wave = Stft(512, hop_length, "asymmetric", synthesis_length=synthesis_length), waves(1, 3, 4001)
    assert stft.latency_samples == synthesis_length
    torch.testing.assert_close(stft.inverse(stft(wave), 4001), wave, rtol=0, atol=1e-6)


@pytest.mark.parametrize("stft", SYMMETRIC, ids=lambda stft: f"{stft.kind}-{stft.win_length}-{stft.hop_length}")
def test_symmetric_windows_give_the_bits_that_they_gave_before_there_were_others(stft: Stft) -> None:
    length, hop, wave = stft.win_length, stft.hop_length, waves(2, 100)
    analysis = torch.hann_window(length, dtype=torch.float64)
    analysis = analysis.sqrt() if stft.kind == "sqrt_hann" else analysis
    overlap = analysis.square().reshape(-1, hop).sum(0).repeat(length // hop)
    n_frames = (100 - 1 + length - hop) // hop + 1
    padded = torch.nn.functional.pad(wave, (length - hop, (n_frames - 1) * hop + hop - 100))
    frames = padded.unfold(-1, length, hop) * analysis.float()
    spec = torch.fft.rfft(frames, stft.n_fft).transpose(-1, -2)
    back = torch.fft.irfft(spec.transpose(-1, -2), stft.n_fft)[..., :length] * (analysis / overlap).float()
    size = (1, length + (n_frames - 1) * hop)
    whole = torch.nn.functional.fold(back.transpose(1, 2), size, (1, length), stride=(1, hop))
    assert torch.equal(stft(wave), spec)
    assert torch.equal(stft.inverse(spec, 100), whole.reshape(2, -1)[:, length - hop : length - hop + 100])
    assert stft.latency_samples == length


@given(
    stft=st.sampled_from(TRANSFORMS),
    cuts=st.lists(st.integers(1, 11), max_size=4, unique=True).map(sorted),
)
def test_chunks_of_frames_equal_the_whole(stft: Stft, cuts: list[int]) -> None:
    n_frames, hop, win_length = 12, stft.hop_length, stft.win_length
    padded = waves(2, win_length + (n_frames - 1) * hop)
    whole_spec = stft.frames_to_spec(padded)
    whole_wave, added = stft.overlap_add(whole_spec), torch.zeros_like(padded)
    bounds = [0, *cuts, n_frames]
    for first, last in itertools.pairwise(bounds):
        piece = slice(first * hop, (last - 1) * hop + win_length)
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


@pytest.mark.parametrize("window", WINDOWS)
def test_a_filled_transform_has_the_frames_of_the_short_one_between_its_bins(window: str) -> None:
    """Twice the bins, of which every second is one of the transform without zeros."""
    wave = waves(2, 500)
    short, filled = Stft(32, 8, window), Stft(64, 8, window, 32)
    assert torch.equal(filled.window, short.window)
    torch.testing.assert_close(filled(wave)[:, ::2], short(wave), rtol=0, atol=1e-5)
    assert filled(wave).shape == (2, 33, short.n_frames(500))


def test_a_window_as_long_as_the_transform_need_not_be_named() -> None:
    wave = waves(100)
    assert Stft(16, 4).win_length == 16
    assert torch.equal(Stft(16, 4, "hann", 16)(wave), Stft(16, 4, "hann")(wave))


@pytest.mark.parametrize("hop_length", [0, -2, 3, 8, 16])
def test_hops_that_leave_gaps_or_remainders_are_refused(hop_length: int) -> None:
    with pytest.raises(ValueError, match=f"hop_length: expected a proper divisor of n_fft 8, got {hop_length}"):
        Stft(8, hop_length)
    with pytest.raises(ValueError, match=f"hop_length: expected a proper divisor of win_length 8, got {hop_length}"):
        Stft(32, hop_length, win_length=8)


@pytest.mark.parametrize("hop_length", [0, 6, 16, 32])
def test_hops_of_asymmetric_windows_divide_what_is_given_back(hop_length: int) -> None:
    wanted = f"hop_length: expected a proper divisor of synthesis_length 16, got {hop_length}"
    with pytest.raises(ValueError, match=wanted):
        Stft(64, hop_length, "asymmetric", 48, 16)


@pytest.mark.parametrize("synthesis_length", [None, 0, -8, 48, 64])
def test_asymmetric_windows_give_back_less_than_they_see(synthesis_length: int | None) -> None:
    for win_length, name in ((48, "win_length"), (None, "n_fft")):
        wanted = f"synthesis_length: expected less than {name} 48 for an asymmetric window, got {synthesis_length}"
        with pytest.raises(ValueError, match=wanted):
            Stft(64 if win_length else 48, 8, "asymmetric", win_length, synthesis_length)


def test_other_windows_give_back_all_that_they_see() -> None:
    with pytest.raises(ValueError, match="synthesis_length: expected none for the window hann, got 16"):
        Stft(64, 8, "hann", synthesis_length=16)


@pytest.mark.parametrize("win_length", [-8, 0, 3, 33, 64])
def test_windows_that_do_not_fit_into_the_transform_are_refused(win_length: int) -> None:
    with pytest.raises(ValueError, match=f"win_length: expected 4 to n_fft 32, got {win_length}"):
        Stft(32, 1, win_length=win_length)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window: expected one of sqrt_hann, hann, asymmetric, got hamming"):
        Stft(8, 4, "hamming")  # type: ignore[arg-type]
