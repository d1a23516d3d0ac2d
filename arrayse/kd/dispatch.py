"""``dispatch``: another loss between outputs, where the teacher is ahead of the student most (DISPatch, MSSP)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from arrayse.kd.base import DistillationLoss, MapLoss, Pair, check_choice, check_same_place
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.estimates import Band, EstimateLoss, Patches, Region, whole_band
from arrayse.kd.lin import Lin
from arrayse.kd.magnitude import Magnitude
from arrayse.kd.mask import Mask
from arrayse.kd.subband import SubBand
from arrayse.kd.views import View

Rule = Literal["top_k", "positive"]

INNER: dict[str, type[EstimateLoss | MapLoss]] = {
    "magnitude": Magnitude,
    "dfkd": Dfkd,
    "lin": Lin,
    "mask": Mask,
    "subband": SubBand,
}
"""What it can be wrapped around."""


SIZES = {"n_bins": 20, "low_bins": 10, "high_bins": 40, "split_bin": 80}
"""Unless told otherwise."""


class Selection(NamedTuple):
    """The patches of a band that a student learns from.

    Attributes:
        band: of the inner loss.
        patches: the partition of the frequencies.
        eligible: patches that touch the band, bool (batch, patch, frame).
        chosen: those of them that were selected.
    """

    band: Band
    patches: Patches
    eligible: Tensor
    chosen: Tensor

    def bins(self) -> Tensor:
        """The bins of the band in selected patches, bool (batch, freq, frame)."""
        return self.patches.expand(self.chosen) & self.band.mask


class Dispatch(DistillationLoss):
    """Σ_p inner(S_p, T_p) / number over the patches p where the teacher is ahead of the student most.

    Kim and Choi, "DISPatch: Distilling Selective Patches for Speech Enhancement", ICASSP 2026 (arXiv 2509.15922).

    A patch is a group of neighbouring bins in one frame. Its knowledge gap score is E_p(S) − E_p(T), E_p the distance
    of the inner loss between an estimate and the clean target in that patch. ``top_k`` (the paper's) selects in each
    utterance the share k of patches with the largest scores: int(k · number), one at least, and all that tie with the
    last of them. ``positive`` selects all with a score above 0, maybe none. The selection has no gradient. A loss with
    bands selects in each, among the patches that touch it. What is added up is divided by batch · number of patches · k
    for ``top_k`` in a loss without bands, else by the number of selected patches in the batch.

    Around ``lin``, ``mask`` and ``subband``, means over bins of whatever taps, E_p = mean (|X| − |clean|)² of the
    estimated spectra, a second pair of taps (ours).

    ``mssp`` (multi-scale selective patches) takes ``low_bins`` in the low band and ``high_bins`` in the high one. Our
    reconstruction: each band has a partition of the whole spectrum of its own; in a loss without bands, the bins below
    ``split_bin`` are the low region.

    Args:
        pairs: of the inner loss; around one that is a mean over bins one more, of estimated spectra.
        inner: one of :data:`INNER`, built.
        rule: ``top_k`` or ``positive``.
        k: share of the patches that ``top_k`` selects.
        n_bins: height of a patch without ``mssp``; 20.
        mssp: patches of two heights.
        low_bins: with ``mssp``: height in the low band; 10.
        high_bins: height in the high band; 40.
        split_bin: first bin of the high region, where the inner loss has no bands; 80 (2.5 kHz of 512 at 16 kHz).

    Raises:
        ValueError: an inner loss that is not between outputs, a wrong number of pairs, an unknown rule, a share that is
            none, or patches that are higher than their region.
    """

    paper = "Kim and Choi 2026, ICASSP, arXiv 2509.15922"
    formulas: ClassVar[dict[str, str]] = {
        "top_k": "Σ_p inner(S_p, T_p) / number, over the share k of patches p with the largest E_p(S) − E_p(T)",
        "positive": "Σ_p inner(S_p, T_p) / number, over the patches p with E_p(S) > E_p(T)",
    }
    taps = ("wave",)

    def __init__(
        self,
        pairs: list[Pair],
        inner: EstimateLoss | MapLoss,
        rule: Rule = "top_k",
        k: Annotated[float, Gt(0), Le(1)] = 0.8,
        n_bins: Annotated[int, Ge(1)] | None = None,
        mssp: bool = False,
        low_bins: Annotated[int, Ge(1)] | None = None,
        high_bins: Annotated[int, Ge(1)] | None = None,
        split_bin: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        super().__init__()
        check_choice("rule", rule, Rule)
        _check_inner(inner, pairs)
        if not 0 < k <= 1:
            raise ValueError(f"k: expected more than 0 and at most 1, got {k}")
        self.inner, self.form, self.k, self.mssp = inner, rule, k, mssp
        given = {"n_bins": n_bins, "low_bins": low_bins, "high_bins": high_bins, "split_bin": split_bin}
        self.sizes = _sizes(given, mssp, isinstance(inner, EstimateLoss) and len(inner.regions) > 1)
        self.views = [*inner.views, View(1)] if isinstance(inner, MapLoss) else inner.views
        self.target_views = self.views[-1:]
        if isinstance(inner, EstimateLoss):  # the grid of others is known with the first batch
            for region in inner.regions:
                self._patches(region, inner.height(region))

    def formula(self) -> str:
        """See :meth:`DistillationLoss.formula`: around which loss, and in which patches."""
        name = next(name for name, kind in INNER.items() if isinstance(self.inner, kind))
        patches = f"patches of {self._heights()}"
        which = (
            f"top {100 * self.k:g} % of {patches}" if self.form == "top_k" else f"{patches}, if the teacher is ahead"
        )
        return f"dispatch({name}; {which}) = {super().formula()}; inner = {self.inner.formula()}"

    @classmethod
    def default_pairs(cls, arguments: dict[str, Any]) -> list[tuple[str, str]]:
        """Those of the inner loss; around one that is a mean over bins also the estimated spectra."""
        name = arguments["inner"]["name"]
        if name not in INNER:
            raise ValueError(f"inner: expected one of {', '.join(INNER)}, got {name}")
        pairs = INNER[name].default_pairs(arguments["inner"])
        return [*pairs, ("spec", "spec")] if issubclass(INNER[name], MapLoss) else pairs

    def forward(self, student: list[Tensor], teacher: list[Tensor], target: list[Tensor]) -> Tensor:
        """The taps of both, and the clean target as the last of them, → one number."""
        teacher = [view.detach() for view in teacher]
        of_student, of_teacher, of_target = (self._spectrum(views) for views in (student, teacher, target))
        terms = []
        for found in self._select(of_student, of_teacher, of_target):
            if isinstance(self.inner, EstimateLoss):
                distance = self.inner.distance(of_student, of_teacher, found.band, found.patches)
            else:
                distance = found.patches.mean(_checked(self.inner.distance_map(student, teacher), of_student.shape))
            terms.append((distance * found.chosen).sum() / self._number(found))
        return torch.stack(terms).sum()

    def selected(self, student: list[Tensor], teacher: list[Tensor], target: list[Tensor]) -> list[Selection]:
        """What :meth:`forward` selects, for each band."""
        return self._select(*(self._spectrum(views) for views in (student, teacher, target)))

    def histograms(self) -> dict[str, list[int]]:
        """Those of the inner loss."""
        return self.inner.histograms()

    def reset_histograms(self) -> None:
        """Counts from nothing again."""
        self.inner.reset_histograms()

    def _heights(self) -> str:
        """How high the patches are, for people."""
        if not self.mssp:
            return f"{self.sizes['n_bins']} bins"
        has_bands = isinstance(self.inner, EstimateLoss) and len(self.inner.regions) > 1
        where = "in the low band" if has_bands else f"below bin {self.sizes['split_bin']}"
        return f"{self.sizes['low_bins']} bins {where}, {self.sizes['high_bins']} above"

    def _spectrum(self, views: list[Tensor]) -> Tensor:
        """Complex (batch, freq, frame), of the wave or of a tap of real and imaginary parts."""
        if isinstance(self.inner, EstimateLoss):
            return self.inner.spectrum(views[-1])
        return torch.complex(views[-1][:, 0], views[-1][:, 1])

    @torch.no_grad()
    def _select(self, student: Tensor, teacher: Tensor, target: Tensor) -> list[Selection]:
        """Spectra, complex (batch, freq, frame) each."""
        out = []
        for band in self.inner.bands(teacher) if isinstance(self.inner, EstimateLoss) else [whole_band(teacher)]:
            patches = self._patches(band.region, teacher.shape[1])
            of_student, of_teacher = (self._error(spec, target, band, patches) for spec in (student, teacher))
            scores, eligible = of_student - of_teacher, patches.sum(band.mask.float()) > 0
            chosen = top_share(scores, eligible, self.k) if self.form == "top_k" else eligible & (scores > 0)
            out.append(Selection(band, patches, eligible, chosen))
        return out

    def _error(self, estimate: Tensor, target: Tensor, band: Band, patches: Patches) -> Tensor:
        """Distance from the clean target in each patch, (batch, patch, frame)."""
        if isinstance(self.inner, EstimateLoss):
            return self.inner.distance(estimate, target, band, patches)
        return patches.mean((estimate.abs() - target.abs()).square())

    def _number(self, selection: Selection) -> Tensor | float:
        """What the sum over the selected patches is divided by."""
        if self.form == "top_k" and selection.band.region == "all":
            return self.k * selection.eligible.numel()
        return selection.chosen.sum().clamp_min(1)

    def _patches(self, region: Region, n_freqs: int) -> Patches:
        """The partition of the spectrum for a band."""
        if self.mssp and region == "all":
            low = self._size("split_bin", n_freqs - 1)
            high = n_freqs - low
            return Patches(((low, self._size("low_bins", low)), (high, self._size("high_bins", high))))
        return Patches.uniform(n_freqs, self._size(f"{region}_bins" if self.mssp else "n_bins", n_freqs))

    def _size(self, name: str, n_freqs: int) -> int:
        """One of the sizes, which fits into so many frequencies."""
        size = self.sizes[name]
        if not 1 <= size <= n_freqs:
            raise ValueError(f"{name}: expected at most {n_freqs}, and at least 1, got {size}")
        return size


def _sizes(given: dict[str, int | None], mssp: bool, has_bands: bool) -> dict[str, int]:
    """The sizes, where none is given those of :data:`SIZES`.

    Raises:
        ValueError: one that nothing uses.
    """
    used = ["low_bins", "high_bins", *([] if has_bands else ["split_bin"])] if mssp else ["n_bins"]
    unused = {name: size for name, size in given.items() if size is not None and name not in used}
    if unused:
        how = f"mssp={str(mssp).lower()}" + (" around a loss with bands" if has_bands else "")
        got, null = ", ".join(map(str, unused.values())), " ".join(f"{name}=null" for name in unused)
        raise ValueError(
            f"{', '.join(unused)}: expected none with {how}, which uses {', '.join(used)}, got {got}: set {null}"
        )
    return {name: SIZES[name] if size is None else size for name, size in given.items()}


def top_share(scores: Tensor, eligible: Tensor, k: float) -> Tensor:
    """The share k of the eligible patches with the largest scores in each item, one at least, and all their ties.

    Args:
        scores: (batch, patch, frame).
        eligible: bool, likewise.
        k: share.

    Returns:
        Bool (batch, patch, frame).
    """
    number = (k * eligible.sum(dim=(1, 2)).double()).long().clamp_min(1)
    ranked = scores.masked_fill(~eligible, -torch.inf).flatten(1).sort(dim=1, descending=True).values
    last = ranked.gather(1, number[:, None] - 1)[..., None]
    return eligible & (scores >= last)


def _check_inner(inner: Any, pairs: list[Pair]) -> None:
    """Raises ValueError unless the inner loss is between outputs, with the pairs that it needs here."""
    if not isinstance(inner, EstimateLoss | MapLoss):
        raise ValueError(f"inner: expected one of {', '.join(INNER)}, got {type(inner).__name__}")
    if isinstance(inner, EstimateLoss) and len(pairs) != 1:
        raise ValueError(f"pairs: expected 1, of waves, got {len(pairs)}")
    if isinstance(inner, MapLoss) and [(pair.student, pair.teacher) for pair in pairs[1:]] != [(2, 2)]:
        raise ValueError(f"pairs: expected 2, the second of spectra with 2 channels each, got {pairs}")
    if isinstance(inner, MapLoss):
        check_same_place(pairs[-1])


def _checked(distance: Tensor, grid: torch.Size) -> Tensor:
    """Raises ValueError unless every bin of the spectra has its distance."""
    if distance.shape != grid:
        raise ValueError(f"pairs: expected taps in the grid of the spectra {tuple(grid)}, got {tuple(distance.shape)}")
    return distance
