"""What losses between estimates share: a transform of their own, bands of it, and patches of a band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional

from arrayse.frontend.stft import Stft
from arrayse.kd.base import DistillationLoss, Pair, check_same_place, whole_views

Region = Literal["all", "low", "high"]

FftLength = Annotated[int, Ge(4)]
HopLength = Annotated[int, Ge(1)]
N_FFT, HOP_LENGTH = 512, 128
"""Of the transform of a loss, unless it is told otherwise."""


class Band(NamedTuple):
    """Bins that a loss treats alike.

    Attributes:
        region: where they lie; ``all``: everywhere.
        mask: which ones, bool (batch, freq, frame).
    """

    region: Region
    mask: Tensor


@dataclass(frozen=True)
class Patches:
    """A partition of the frequencies into groups of neighbours; a patch is one group in one frame.

    Attributes:
        regions: (frequencies, bins of a patch) from 0 Hz upwards; zeros fill up the last patch of a region.
    """

    regions: tuple[tuple[int, int], ...]

    @classmethod
    def uniform(cls, n_freqs: int, n_bins: int) -> Patches:
        """Patches of one size."""
        return cls(((n_freqs, n_bins),))

    def sum(self, values: Tensor) -> Tensor:
        """Sums over the bins of each patch: (batch, freq, frame) → (batch, patch, frame)."""
        return torch.cat([grouped.sum(dim=2) for grouped in self._grouped(values)], dim=1)

    def mean(self, values: Tensor) -> Tensor:
        """Means over the bins of each patch, the zeros that fill it included: (batch, patch, frame)."""
        return torch.cat([grouped.mean(dim=2) for grouped in self._grouped(values)], dim=1)

    def expand(self, values: Tensor) -> Tensor:
        """To every bin the value of its patch: (batch, patch, frame) → (batch, freq, frame)."""
        parts = values.split([-(-n_freqs // n_bins) for n_freqs, n_bins in self.regions], dim=1)
        both = zip(parts, self.regions, strict=True)
        return torch.cat([part.repeat_interleave(size, dim=1)[:, :n_freqs] for part, (n_freqs, size) in both], dim=1)

    def _grouped(self, values: Tensor) -> list[Tensor]:
        """For each region (batch, patch, bin, frame)."""
        parts = values.split([n_freqs for n_freqs, _ in self.regions], dim=1)
        both = list(zip(parts, self.regions, strict=True))
        filled = [functional.pad(part, (0, 0, 0, -n_freqs % n_bins)) for part, (n_freqs, n_bins) in both]
        return [part.unflatten(1, (-1, n_bins)) for part, (_, n_bins) in zip(filled, self.regions, strict=True)]


class EstimateLoss(DistillationLoss):
    """Distance of the student's estimated wave from the teacher's, in the spectrum: the sum over the loss's bands.

    The transform belongs to the loss (Hann window), so that networks with different transforms, or none, can teach
    one another. Subclasses say into which bands the spectrum falls and what the distance within a patch is; the loss
    itself is the case where a patch is as high as the spectrum.

    Student and teacher have to estimate speech at one reference microphone: the waves at two differ by the way of the
    sound between them. Levels count: networks trained with ``negative_si_sdr`` leave theirs open, ``negative_snr`` does
    not.

    Args:
        pairs: channels of the student's and the teacher's tap, one each.
        n_fft: length of the transform in samples.
        hop_length: samples between frames; must divide n_fft.

    Raises:
        ValueError: taps of several channels, of two reference microphones, or a transform that does not exist.

    Attributes:
        regions: of its bands.
    """

    taps = ("wave",)
    regions: ClassVar[tuple[Region, ...]]

    def __init__(self, pairs: list[Pair], n_fft: FftLength = N_FFT, hop_length: HopLength = HOP_LENGTH) -> None:
        super().__init__()
        if len(pairs) != 1 or (pairs[0].student, pairs[0].teacher) != (1, 1):
            got = ", ".join(f"{pair.student} and {pair.teacher}" for pair in pairs)
            raise ValueError(f"pairs: expected one of waves, with 1 channel each, got channels {got}")
        check_same_place(pairs[0])
        self.views = whole_views(1)
        self.stft = Stft(n_fft, hop_length, "hann")

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """One wave each, (batch, 1, 1, n_samples) → one number."""
        of_student, of_teacher = self.spectrum(student[0]), self.spectrum(teacher[0]).detach()
        whole = Patches.uniform(self.stft.n_freqs, self.stft.n_freqs)
        distances = [self.distance(of_student, of_teacher, band, whole).mean() for band in self.bands(of_teacher)]
        return torch.stack(distances).sum()

    def spectrum(self, wave: Tensor) -> Tensor:
        """(batch, 1, 1, n_samples) → complex (batch, freq, frame)."""
        return self.stft(wave[:, 0, 0])

    def height(self, region: Region) -> int:
        """The bins of a band that never has more."""
        return self.stft.n_freqs

    def bands(self, teacher: Tensor) -> list[Band]:
        """The bands of the loss, by the teacher's spectrum, complex (batch, freq, frame)."""
        raise NotImplementedError

    def distance(self, estimate: Tensor, reference: Tensor, band: Band, patches: Patches) -> Tensor:
        """How far apart two spectra are within each patch, as far as it lies in a band.

        Args:
            estimate: complex (batch, freq, frame).
            reference: likewise.
            band: one of :meth:`bands`.
            patches: of the frequencies.

        Returns:
            (batch, patch, frame).
        """
        raise NotImplementedError


def whole_band(spectrum: Tensor) -> Band:
    """All bins of a spectrum, complex (batch, freq, frame)."""
    return Band("all", torch.ones_like(spectrum, dtype=torch.bool))
