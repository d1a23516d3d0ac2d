"""Excerpts: which samples of which dry recordings one source plays."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayse.audio import read_audio
from arrayse.mixture import mean_power
from simulate.corpus import Corpus, CorpusFile

GAP_SECONDS = 0.15
"""Pause between utterances of one speaker that are joined to fill a scene."""

MIN_ACTIVE_POWER = 1e-7
"""Mean power (-70 dBFS) under which an excerpt counts as silence and another one is drawn."""


@dataclass(frozen=True)
class Excerpt:
    """Where the samples of one source come from: pieces of files, joined with pauses, repeated to fill.

    Attributes:
        pieces: ``path`` and ``sha256`` of a file, ``start`` and ``n_samples`` of what is taken from it.
        group: the speaker, or the type of noise.
    """

    pieces: list[dict[str, str | int]]
    group: str


def draw_excerpt(
    corpus: Corpus, split: str, n_samples: int, rng: np.random.Generator, without: frozenset[str] = frozenset()
) -> Excerpt:
    """Draws what one source plays: speech of one speaker or one noise file, ``n_samples`` long.

    The group is drawn first, so that a speaker or type of noise with many files is not heard more often. What is
    silent (under :data:`MIN_ACTIVE_POWER`) is passed over and another excerpt is drawn.

    Args:
        corpus: what is drawn from.
        split: train, valid or test.
        n_samples: length.
        rng: where the draws come from.
        without: groups that must not be drawn.

    Raises:
        ValueError: no group is left, ten draws in a row were silent, or a file cannot be read.
    """
    groups = corpus.groups(split)
    names = [name for name in groups if name not in without]
    if not names:
        what = "speakers" if corpus.kind == "speech" else "types of noise"
        wanted = f"other {what} than {', '.join(sorted(without))} in split {split}"
        raise ValueError(f"{corpus.kind} corpus {corpus.source}: expected {wanted}, got none")
    for _ in range(10):
        members = groups[names[rng.integers(len(names))]]
        chosen = members[rng.integers(len(members))]
        if corpus.kind == "speech":
            pieces = _speech_pieces(members, chosen, corpus.sample_rate, n_samples, rng)
        else:
            pieces = [_piece(chosen, _random_start(chosen, n_samples, rng), n_samples)]
        excerpt = Excerpt(pieces, chosen.group)
        if mean_power(read_excerpt(excerpt, corpus.sample_rate, n_samples)) > MIN_ACTIVE_POWER:
            return excerpt
    raise ValueError(
        f"{corpus.kind} corpus {corpus.source}: expected sound in split {split}, "
        f"got silence in ten draws, the last from {chosen.path}"
    )


def read_excerpt(excerpt: Excerpt, sample_rate: int, n_samples: int) -> np.ndarray:
    """The samples of an excerpt, (n_samples,) float32; what is too short is repeated from its start."""
    gap = np.zeros(int(GAP_SECONDS * sample_rate), dtype=np.float32)
    parts: list[np.ndarray] = []
    for piece in excerpt.pieces:
        path = Path(str(piece["path"]))
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        wave = _read_piece(path, int(piece["start"]), int(piece["n_samples"]), sample_rate, changed)
        parts += [wave, gap] if len(excerpt.pieces) > 1 else [wave]
    joined = np.concatenate(parts)
    return np.resize(joined, n_samples)


@functools.lru_cache(maxsize=16)
def _read_piece(path: Path, start: int, n_samples: int, sample_rate: int, changed: int) -> np.ndarray:
    """Kept for a while if the file is not ``changed``: what was drawn is soon read again to be rendered."""
    wave = read_audio(path, sample_rate, start, n_samples)[0]
    wave.setflags(write=False)
    return wave


def _speech_pieces(
    members: list[CorpusFile], first: CorpusFile, sample_rate: int, n_samples: int, rng: np.random.Generator
) -> list[dict[str, str | int]]:
    """Pieces of one speaker's files until ``n_samples`` are full; every file is used at most once."""
    others = [file for file in members if file is not first]
    order = [first, *(others[i] for i in rng.permutation(len(others)))]
    pieces, missing = [], n_samples
    for file in order:
        start = _random_start(file, missing, rng)
        pieces.append(_piece(file, start, missing))
        missing -= min(file.n_samples - start, missing) + int(GAP_SECONDS * sample_rate)
        if missing <= 0:
            break
    return pieces


def _random_start(file: CorpusFile, n_samples: int, rng: np.random.Generator) -> int:
    """A start that leaves ``n_samples`` if the file is long enough, else 0."""
    return int(rng.integers(max(file.n_samples - n_samples, 0) + 1))


def _piece(file: CorpusFile, start: int, n_samples: int) -> dict[str, str | int]:
    """A piece of an :class:`Excerpt`: at most ``n_samples``, less where the file ends."""
    taken = min(file.n_samples - start, n_samples)
    return {"path": str(file.path), "sha256": file.sha256, "start": start, "n_samples": taken}
