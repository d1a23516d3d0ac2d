"""Fast convolution of dry signals with room responses, and sources mixed at their levels.

Overlap-save in float32: a signal is cut into a few long overlapping blocks, each transformed once for all
microphones, and sources are summed as spectra, so that a mixture takes one inverse transform per microphone and
block. Sources come one after the other, because memory touched for the first time costs as much as a transform.
Stockham, "High-speed convolution and correlation", AFIPS Spring Joint Computer Conference (1966).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from arrayse.mixture import mean_power

SIMD_LANES = 4
"""scipy transforms so many equal blocks at the cost of about two."""

ROUNDING_FLOOR = 1e-10
"""Power of an image, relative to power of the signal x energy of the response, that may be rounding alone."""


def convolve(dry: np.ndarray, responses: np.ndarray, lead: int = 0) -> np.ndarray:
    """Linear convolution of each source with its responses, cut to the length of the source.

    The spectrum of a source is shared by its microphones. Several responses of one source (full and direct)
    share it too when they stand beside each other on the microphone axis.

    Args:
        dry: (n_sources, n_samples).
        responses: (n_sources, n_mics, n_taps).
        lead: index in the responses that is the moment of emission: output sample n is the sum over k of
            ``responses[k] * dry[n + lead - k]``.

    Returns:
        (n_sources, n_mics, n_samples) float32; its error is 3e-7 of its rms.

    Raises:
        ValueError: shapes that do not belong together, a lead outside the response.
    """
    check_shapes(dry, responses, lead)
    blocks = _Blocks.plan(dry.shape[-1], responses.shape[-1], lead)
    images = np.empty((*responses.shape[:2], dry.shape[-1]), np.float32)
    for source, signal in enumerate(dry):
        spectra, filters = blocks.spectra(signal), blocks.filters(responses[source])
        for mic in range(responses.shape[1]):
            images[source, mic] = blocks.wave(spectra * filters[mic])
    return images


def mix_images(
    dry: np.ndarray, responses: np.ndarray, ref_mic: int, levels_db: Sequence[float], lead: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the images of all sources, each brought to its level at one microphone.

    Only the image at ``ref_mic`` is made for each source alone, to measure its power.

    Args:
        dry: (n_sources, n_samples).
        responses: (n_sources, n_mics, n_taps).
        ref_mic: microphone at which the levels hold.
        levels_db: n_sources levels in dB: mean power of the image over its whole length, relative to 1.
        lead: see :func:`convolve`.

    Returns:
        The mixture (n_mics, n_samples) in float32, and the gain (n_sources,) that each source got.

    Raises:
        ValueError: an image that is silent or not finite, named by its index; else see :func:`convolve`.
    """
    check_shapes(dry, responses, lead)
    _check_levels(ref_mic, responses.shape[1], levels_db, len(dry))
    blocks = _Blocks.plan(dry.shape[-1], responses.shape[-1], lead)
    sums = np.zeros((responses.shape[1], blocks.n_blocks, blocks.n_freqs), np.complex64)
    product = np.empty_like(sums[0])
    mix, gains = np.zeros((len(sums), dry.shape[-1]), np.float32), np.empty(len(dry))
    others = [mic for mic in range(len(sums)) if mic != ref_mic]
    for source, signal in enumerate(dry):
        spectra, filters = blocks.spectra(signal), blocks.filters(responses[source])
        image = blocks.wave(spectra * filters[ref_mic])
        amplitude = _amplitude(image, signal, responses[source, ref_mic], f"source {source}")
        gains[source] = 10 ** (levels_db[source] / 20) / amplitude
        mix[ref_mic] += np.float32(gains[source]) * image
        spectra *= np.float32(gains[source])
        for mic in others:
            np.multiply(spectra, filters[mic], out=product)
            sums[mic] += product
    for mic in others:
        mix[mic] = blocks.wave(sums[mic])
    return mix, gains


def check_shapes(dry: np.ndarray, responses: np.ndarray, lead: int) -> None:
    """Raises ValueError unless :func:`convolve` can take these arguments."""
    if dry.ndim != 2 or dry.shape[1] == 0:
        raise ValueError(f"dry: expected shape (n_sources, n_samples), got {dry.shape}")
    if responses.ndim != 3 or len(responses) != len(dry):
        raise ValueError(f"responses: expected shape ({len(dry)}, n_mics, n_taps), got {responses.shape}")
    if not 0 <= lead < responses.shape[-1]:
        raise ValueError(f"lead: expected an index into {responses.shape[-1]} taps, got {lead}")


def _check_levels(ref_mic: int, n_mics: int, levels_db: Sequence[float], n_sources: int) -> None:
    if not 0 <= ref_mic < n_mics:
        raise ValueError(f"ref_mic: expected 0 to {n_mics - 1}, got {ref_mic}")
    if len(levels_db) != n_sources or not np.isfinite(levels_db).all():
        raise ValueError(f"levels_db: expected {n_sources} finite numbers of dB, got {list(levels_db)}")


def _amplitude(image: np.ndarray, signal: np.ndarray, response: np.ndarray, what: str) -> float:
    """Root of the mean power of an image that is known to sound."""
    power = mean_power(image)
    # where the true image is silent the transforms leave rounding, which a gain would turn into noise
    floor = ROUNDING_FLOOR * float(np.dot(signal, signal)) / len(signal) * float(np.dot(response, response))
    if not floor < power < np.inf:
        raise ValueError(f"{what}: expected sound at the reference microphone, got silence or no finite power")
    return float(np.sqrt(power))


@dataclass(frozen=True)
class _Blocks:
    """Overlap-save blocks: the last ``hop`` samples of each are free of wrap-around.

    Attributes:
        n_samples: length of the signal and of its images.
        n_taps: length of the responses.
        lead: index in the responses of the moment of emission.
        n_blocks: how many.
        n_fft: their length.
    """

    n_samples: int
    n_taps: int
    lead: int
    n_blocks: int
    n_fft: int

    @classmethod
    def plan(cls, n_samples: int, n_taps: int, lead: int) -> _Blocks:
        """Chooses the length of the blocks by the work.

        A signal and an image take n_blocks transforms, a response one: the sum of their lengths is least near
        sqrt(n_samples / n_taps) blocks, in whole lanes. Measured for 4 s at 16 kHz and 3000 to 15000 taps,
        four blocks (19,000 to 31,000 samples each) were the fastest or within 5 % of it, against one, two and
        eight, and against short blocks with responses cut to pieces as well.
        """
        n_taps = min(n_taps, n_samples + lead)  # what comes later is cut off
        n_blocks = SIMD_LANES * max(1, round(np.sqrt(n_samples / n_taps) / SIMD_LANES))
        hop = -(-n_samples // n_blocks)
        return cls(n_samples, n_taps, lead, n_blocks, scipy.fft.next_fast_len(hop + n_taps - 1, real=True))

    @property
    def hop(self) -> int:
        """Samples that one block adds to the image."""
        return self.n_fft - self.n_taps + 1

    @property
    def n_freqs(self) -> int:
        """Bins of a block."""
        return self.n_fft // 2 + 1

    def spectra(self, signal: np.ndarray) -> np.ndarray:
        """Spectra of the blocks of a signal (n_samples,): (n_blocks, n_freqs) complex64."""
        padded = np.zeros((self.n_blocks - 1) * self.hop + self.n_fft, np.float32)
        before = self.n_taps - 1 - self.lead  # puts output sample 0 at sample n_taps - 1 of block 0
        padded[before : before + self.n_samples] = signal
        return scipy.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop])

    def filters(self, responses: np.ndarray) -> np.ndarray:
        """Spectra of the responses (n_mics, n_taps) of one source: (n_mics, n_freqs) complex64."""
        return scipy.fft.rfft(responses[:, : self.n_taps].astype(np.float32, copy=False), self.n_fft)

    def wave(self, spectra: np.ndarray) -> np.ndarray:
        """Image (..., n_samples) of the spectra (..., n_blocks, n_freqs) of its blocks."""
        heard = scipy.fft.irfft(spectra, self.n_fft)[..., self.n_taps - 1 :]
        return heard.reshape(*heard.shape[:-2], -1)[..., : self.n_samples]
