"""A teacher: where the views of its features come from, what it teaches, and which items it is asked about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from arrayse.kd.cache import ViewCache, view_bytes
from arrayse.kd.term import Term
from arrayse.kd.views import KINDS
from arrayse.objectives import Batch

Views = dict[tuple[str, str], Tensor]
"""(tap, kind of view) → (batch, …) in 32 bits."""


class ViewSource(Protocol):
    """Gives views of a teacher's features."""

    def __call__(self, batch: Batch, wanted: list[tuple[str, str]]) -> Views: ...


class LiveViews:
    """Runs the teacher, frozen, without gradients.

    Args:
        enhancer: the teacher.
    """

    def __init__(self, enhancer: Any) -> None:
        self.enhancer = enhancer.requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, batch: Batch, wanted: list[tuple[str, str]]) -> Views:
        """Views of what the teacher makes of a batch."""
        device = batch.noisy.device
        taps = self.enhancer.to(device)(batch.noisy).taps
        with torch.autocast(device.type, enabled=False):
            return {(tap, kind): KINDS[kind](taps[tap].float()) for tap, kind in wanted}

    @torch.no_grad()
    def tap_shapes(self, n_samples: int) -> dict[str, tuple[int, ...]]:
        """Shape of every tap for an item of a length, without the batch axis, as the teacher makes it of silence."""
        silence = torch.zeros(1, self.enhancer.geometry.n_mics, n_samples, device=self.enhancer.device)
        return {tap: tuple(feature.shape[1:]) for tap, feature in self.enhancer(silence).taps.items()}


class CachedViews:
    """Reads views from disk; what is not there yet is computed and written first.

    Items are computed one by one and always read back, so that a view does not depend on when it was computed.

    Args:
        live: computes.
        cache: keeps.
    """

    def __init__(self, live: LiveViews, cache: ViewCache) -> None:
        self.live, self.cache = live, cache

    def missing_bytes(self, wanted: list[tuple[str, str]], n_samples: dict[str, int]) -> int:
        """Bytes that the cache grows by until it has the views of all items, given with their lengths in samples."""
        shapes = {length: self.live.tap_shapes(length) for length in set(n_samples.values())}
        total = 0
        for tap, kind in wanted:
            there = self.cache.keys(tap, kind)
            for length, number in Counter(n for key, n in n_samples.items() if key not in there).items():
                total += number * view_bytes(tap, kind, shapes[length][tap])
        return total

    def __call__(self, batch: Batch, wanted: list[tuple[str, str]]) -> Views:
        """Views in the precision of the cache."""
        for number, key in enumerate(batch.keys):
            missing = [view for view in wanted if not self.cache.has(key, *view)]
            if missing:
                for view, tensor in self.live(batch.items([number]), missing).items():
                    self.cache.write(key, *view, tensor[0])
        device = batch.noisy.device
        return {view: torch.stack([self.cache.read(key, *view) for key in batch.keys]).to(device) for view in wanted}


@dataclass(frozen=True)
class Teacher:
    """One of the teachers of a student.

    Attributes:
        name: in messages and, where there are several, in the equation.
        source: gives the views of its features.
        terms: what the student is to take over.
        weight: factor of its terms.
        snr_db: lowest and highest SNR in dB of the items that it is asked about; None: all.
        fingerprint: of its description and weights, where they were read from a run.
    """

    name: str
    source: ViewSource
    terms: list[Term]
    weight: float = 1.0
    snr_db: tuple[float, float] | None = None
    fingerprint: str = ""

    def is_asked(self, snr_db: float) -> bool:
        """Whether it is asked about items of an SNR in dB."""
        return self.snr_db is None or self.snr_db[0] <= snr_db <= self.snr_db[1]

    def chosen(self, batch: Batch) -> list[int]:
        """The numbers of the items of a batch that it is asked about."""
        return [number for number, snr_db in enumerate(batch.snr_db.tolist()) if self.is_asked(snr_db)]

    def wanted(self) -> list[tuple[str, str]]:
        """(tap, kind of view) for all that its terms look at, each once."""
        return list(dict.fromkeys(view for term in self.terms for view in term.views_of_teacher()))

    def views(self, batch: Batch) -> Views:
        """All views that its terms take."""
        return self.source(batch, self.wanted())

    def equation(self) -> str:
        """Its part of the loss."""
        terms = " + ".join(f"{term.weight:g} {term.name}" for term in self.terms)
        return f"({terms})"


def check_coverage(teachers: list[Teacher], snr_db: list[float]) -> None:
    """Raises ValueError if there are SNRs in the training range about which no teacher is asked."""
    if any(teacher.snr_db is None for teacher in teachers):
        return
    reached, found = snr_db[0], False
    for lowest, highest in sorted(teacher.snr_db for teacher in teachers if teacher.snr_db is not None):
        if lowest <= reached <= highest:
            reached, found = highest, True
    if not found or reached < snr_db[1]:
        raise ValueError(
            f"teachers: expected one for every SNR of fit.snr_db ({snr_db[0]:g} to {snr_db[1]:g} dB), "
            f"got none right above {reached:g} dB"
        )
