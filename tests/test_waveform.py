"""The learned filterbank: framing, inversion, streams."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arrayse.frontend.stft import Stft
from arrayse.models.waveform import Analysis, Synthesis

CPU = torch.device("cpu")
SIZES = [(8, 4), (8, 2), (7, 3), (2, 1), (5, 5)]


def seeded(n_mics: int, n_filters: int, win_length: int, hop_length: int) -> tuple[Analysis, Synthesis]:
    """Both directions in 64 bits, the same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pair = Analysis(n_mics, n_filters, win_length, hop_length), Synthesis(n_filters, win_length, hop_length)
    return pair[0].double(), pair[1].double()


def noise(*shape: int) -> Tensor:
    """64-bit noise."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def encoded(analysis: Analysis, wave: Tensor) -> Tensor:
    """The encoding of whole utterances."""
    joined, _ = analysis.join(analysis.pad_end(wave), analysis.initial_state(len(wave), CPU))
    return analysis(joined)


@pytest.mark.parametrize(("win_length", "hop_length"), SIZES)
def test_a_frame_is_the_product_of_its_samples_and_the_filters(win_length: int, hop_length: int) -> None:
    analysis, _ = seeded(2, 3, win_length, hop_length)
    wave = noise(1, 2, 23)
    got, weight = encoded(analysis, wave).detach(), analysis.conv.weight.detach()
    for frame in range(analysis.n_frames(23)):
        for filter_index in range(3):
            want = 0.0
            for mic in range(2):
                for tap in range(win_length):
                    sample = (frame + 1) * hop_length - win_length + tap
                    if 0 <= sample < 23:
                        want += float(weight[filter_index, mic, tap] * wave[0, mic, sample])
            assert float(got[0, filter_index, frame]) == pytest.approx(want, abs=1e-12)
    assert got.shape == (1, 3, analysis.n_frames(23))


@pytest.mark.parametrize(("win_length", "hop_length"), SIZES)
def test_samples_are_the_overlapping_sums_of_frames(win_length: int, hop_length: int) -> None:
    _, synthesis = seeded(1, 3, win_length, hop_length)
    encoding = noise(2, 3, 6)
    wave, tail = synthesis(encoding, synthesis.initial_state(2, CPU))
    want = torch.zeros(2, 6 * hop_length + win_length - hop_length, dtype=torch.float64)
    for frame in range(6):
        first = frame * hop_length
        want[:, first : first + win_length] += encoding[..., frame] @ synthesis.linear.weight.T
    torch.testing.assert_close(torch.cat([wave, tail], dim=-1), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("win_length", "hop_length"), [(8, 4), (8, 2), (4, 2)])
@pytest.mark.parametrize("n_samples", [1, 3, 4, 9, 40])
def test_frames_are_those_of_the_transform(win_length: int, hop_length: int, n_samples: int) -> None:
    analysis, _ = seeded(1, 3, win_length, hop_length)
    stft = Stft(win_length, hop_length)
    assert analysis.n_frames(n_samples) == stft.n_frames(n_samples)
    with torch.no_grad():
        analysis.conv.weight[:, 0] = stft.window * torch.eye(win_length)[[0]]  # the first sample of a frame
    wave = noise(1, 1, n_samples)
    spec = stft(wave)[0, 0]
    frames = torch.fft.irfft(spec.T.to(torch.complex128), win_length)[:, 0]
    torch.testing.assert_close(encoded(analysis, wave)[0, 0], frames, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("win_length", "hop_length"), [(8, 4), (7, 3), (5, 5)])
@pytest.mark.parametrize("n_samples", [1, 5, 31])
def test_filters_of_single_samples_give_the_wave_back(win_length: int, hop_length: int, n_samples: int) -> None:
    analysis, synthesis = seeded(1, win_length, win_length, hop_length)
    coverage = torch.zeros(win_length * 3)
    for first in range(0, win_length * 2, hop_length):
        coverage[first : first + win_length] += 1
    with torch.no_grad():
        analysis.conv.weight[:, 0] = torch.eye(win_length)
        synthesis.linear.weight[:] = torch.eye(win_length)
    wave = noise(2, 1, n_samples)
    summed, _ = synthesis(encoded(analysis, wave), synthesis.initial_state(2, CPU))
    ones, _ = synthesis(encoded(analysis, torch.ones_like(wave)), synthesis.initial_state(2, CPU))
    part = slice(analysis.overlap, analysis.overlap + n_samples)
    torch.testing.assert_close(summed[:, part] / ones[:, part], wave[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("win_length", "hop_length"), SIZES)
@pytest.mark.parametrize("sizes", [[1] * 8, [3, 1, 4], [8]])
def test_pieces_of_a_stream_are_the_whole(win_length: int, hop_length: int, sizes: list[int]) -> None:
    analysis, synthesis = seeded(2, 3, win_length, hop_length)
    wave = noise(2, 2, 8 * hop_length)
    past, tail = analysis.initial_state(2, CPU), synthesis.initial_state(2, CPU)
    whole = analysis(analysis.join(wave, past)[0])
    whole_wave, whole_tail = synthesis(whole, tail)
    encodings, waves = [], []
    for piece in wave.split([size * hop_length for size in sizes], dim=-1):
        joined, past = analysis.join(piece, past)
        encodings.append(analysis(joined))
        made, tail = synthesis(encodings[-1], tail)
        waves.append(made)
    torch.testing.assert_close(torch.cat(encodings, dim=-1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat(waves, dim=-1), whole_wave, rtol=0, atol=1e-12)
    torch.testing.assert_close(tail, whole_tail, rtol=0, atol=1e-12)


def test_the_parts_of_the_microphones_add_up() -> None:
    analysis, _ = seeded(3, 4, 8, 4)
    joined, _ = analysis.join(noise(2, 3, 12), analysis.initial_state(2, CPU))
    parts = [analysis.channel(joined, mic) for mic in range(3)]
    torch.testing.assert_close(parts[0] + parts[1] + parts[2], analysis(joined), rtol=0, atol=1e-12)
    alone = joined.clone()
    alone[:, [0, 2]] = 0
    torch.testing.assert_close(parts[1], analysis(alone), rtol=0, atol=1e-12)


def test_both_directions_run_in_32_bits_under_autocast() -> None:
    analysis, synthesis = seeded(1, 4, 8, 4)
    analysis.float()
    synthesis.float()
    wave = noise(1, 1, 16).float()
    with torch.autocast("cpu", torch.bfloat16):
        encoding = encoded(analysis, wave)
        estimate, _ = synthesis(encoding.bfloat16(), synthesis.initial_state(1, CPU))
    assert encoding.dtype == estimate.dtype == torch.float32
    torch.testing.assert_close(encoding, encoded(analysis, wave), rtol=0, atol=0)


def test_what_cannot_be_framed_is_refused() -> None:
    analysis, _ = seeded(2, 3, 8, 4)
    past = analysis.initial_state(1, CPU)
    for hop_length in (0, 9):
        with pytest.raises(ValueError, match=f"hop_length: expected 1 to win_length 8, got {hop_length}"):
            Analysis(1, 3, 8, hop_length)
        with pytest.raises(ValueError, match=f"hop_length: expected 1 to win_length 8, got {hop_length}"):
            Synthesis(3, 8, hop_length)
    with pytest.raises(ValueError, match="wave: expected at least 1 sample, got 0"):
        analysis.pad_end(noise(1, 2, 0))
    for n_samples in (0, 6):
        with pytest.raises(ValueError, match=f"wave: expected a positive multiple of 4 samples, got {n_samples}"):
            analysis.join(noise(1, 2, n_samples), past)
    with pytest.raises(ValueError, match=r"wave: expected \(batch, 2 microphones, n_samples\), got \(1, 3, 8\)"):
        analysis.join(noise(1, 3, 8), past)
