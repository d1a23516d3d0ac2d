"""Dry speech and noise: a manifest CSV with splits, any folder of audio, or the built-in synthetic corpus.

Splits never share a speaker (speech) or a file (noise).
"""

from __future__ import annotations

import csv
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayse.audio import AUDIO_SUFFIXES, audio_info, check_rate, read_audio
from arrayse.files import sha256_of
from arrayse.mixture import SPLITS, mean_power

KINDS = ("speech", "noise")
MANIFEST_NAME = "MANIFEST.csv"
GAP_SECONDS = 0.15
"""Pause between utterances of one speaker that are joined to fill a scene."""

MIN_ACTIVE_POWER = 1e-7
"""Mean power (-70 dBFS) under which an excerpt counts as silence and another one is drawn."""


@dataclass(frozen=True)
class CorpusFile:
    """One dry mono recording. ``group`` is the speaker, or the type of noise."""

    path: Path
    group: str
    n_samples: int


@dataclass(frozen=True)
class Corpus:
    """Recordings of one kind by split.

    Attributes:
        source: what the user named.
        kind: ``speech`` or ``noise``.
        splits: files by split, sorted by path.
        synthetic: made by a machine, so that results must say so.
    """

    source: str
    kind: str
    splits: dict[str, list[CorpusFile]]
    sample_rate: int
    synthetic: bool

    def files(self, split: str) -> list[CorpusFile]:
        """The files of one split; ValueError if it is empty."""
        if not self.splits[split]:
            raise ValueError(f"{self.kind} corpus {self.source}: expected files in split {split}, got none")
        return self.splits[split]


@dataclass(frozen=True)
class Excerpt:
    """Where the samples of one source come from: pieces of files, joined with short pauses, repeated to fill."""

    pieces: list[dict[str, str | int]]
    group: str


def load_corpus(source: str, kind: str, sample_rate: int) -> Corpus:
    """Opens a corpus.

    Args:
        source: ``builtin``, a manifest CSV, a folder that holds ``MANIFEST.csv``, or any folder of audio files.
        kind: ``speech`` or ``noise``: rows of a manifest of another kind are left out.
        sample_rate: Hz that every file must have.

    Raises:
        ValueError: nothing there, a file that is not mono or has another rate, a manifest that is not one.
    """
    if source == "builtin":
        from simulate.synthetic import builtin_corpus

        path = builtin_corpus() / MANIFEST_NAME
    else:
        path = Path(source).expanduser()
        if (path / MANIFEST_NAME).is_file():
            path = path / MANIFEST_NAME
    if path.is_file():
        splits, synthetic = _from_manifest(path, kind)
    elif path.is_dir():
        splits, synthetic = _from_folder(path, kind), False
    else:
        raise ValueError(f"{kind} corpus: expected builtin, a folder or a manifest CSV, got {source}: no such file")
    checked = {split: [_check_file(*row, sample_rate) for row in sorted(rows)] for split, rows in splits.items()}
    if not any(checked.values()):
        raise ValueError(f"{kind} corpus: expected audio files in {source}, got none")
    return Corpus(source, kind, checked, sample_rate, synthetic)


def draw_excerpt(corpus: Corpus, split: str, n_samples: int, rng: np.random.Generator) -> Excerpt:
    """Draws what one source plays: speech of one speaker or one noise file, ``n_samples`` long, not silent.

    Raises:
        ValueError: ten draws in a row were silent.
    """
    files = corpus.files(split)
    for _ in range(10):
        chosen = _choose_file(files, rng)
        pieces = _speech_pieces(files, chosen, corpus.sample_rate, n_samples, rng)
        if corpus.kind == "noise":
            pieces = [_piece(chosen, _random_start(chosen, n_samples, rng), n_samples)]
        excerpt = Excerpt(pieces, chosen.group)
        if mean_power(read_excerpt(excerpt, corpus.sample_rate, n_samples)) > MIN_ACTIVE_POWER:
            return excerpt
    raise ValueError(f"{corpus.kind} corpus {corpus.source}: expected sound in split {split}, got silence: {chosen.path}")


def read_excerpt(excerpt: Excerpt, sample_rate: int, n_samples: int) -> np.ndarray:
    """The samples of an excerpt, (n_samples,) float32; what is too short is repeated from its start."""
    gap = np.zeros(int(GAP_SECONDS * sample_rate), dtype=np.float32)
    parts: list[np.ndarray] = []
    for piece in excerpt.pieces:
        wave = read_audio(Path(str(piece["path"])), sample_rate, int(piece["start"]), int(piece["n_samples"]))[0]
        parts += [wave, gap] if len(excerpt.pieces) > 1 else [wave]
    joined = np.concatenate(parts)
    return np.resize(joined, n_samples)


def _from_manifest(path: Path, kind: str) -> tuple[dict[str, list[tuple[Path, str]]], bool]:
    splits: dict[str, list[tuple[Path, str]]] = {split: [] for split in SPLITS}
    licences = set()
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"path", "split", "kind", "speaker_or_type"} - set(reader.fieldnames or [])
        if missing:
            raise ValueError(f"{path}: expected columns {', '.join(sorted(missing))}, got {reader.fieldnames}")
        for row in reader:
            if row["kind"] != kind:
                continue
            audio = path.parent / row["path"]
            if not audio.resolve().is_relative_to(path.parent.resolve()):
                raise ValueError(f"{path}: expected paths inside {path.parent}, got {row['path']}")
            if row["split"] not in SPLITS:
                raise ValueError(f"{path}: expected a split of {', '.join(SPLITS)}, got {row['split']}")
            splits[row["split"]].append((audio, row["speaker_or_type"]))
            licences.add(row.get("license"))
    return splits, licences == {"synthetic"}


def _from_folder(folder: Path, kind: str) -> dict[str, list[tuple[Path, str]]]:
    """Splits a plain folder 80/10/10 by speaker (first folder level, else the file), or by noise file."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    groups = {p: p.relative_to(folder).parts[0] for p in paths}
    units = {p: groups[p] if kind == "speech" else p.relative_to(folder).as_posix() for p in paths}
    # the order by hash does not depend on what else lies on the machine, only on the names
    ordered = sorted(set(units.values()), key=lambda unit: hashlib.sha256(unit.encode()).hexdigest())
    n_held_out = max(1, round(0.1 * len(ordered))) if len(ordered) >= 3 else 0
    split_of = dict.fromkeys(ordered, "train")
    split_of.update(dict.fromkeys(ordered[:n_held_out], "valid"))
    split_of.update(dict.fromkeys(ordered[n_held_out : 2 * n_held_out], "test"))
    splits: dict[str, list[tuple[Path, str]]] = {split: [] for split in SPLITS}
    for path in paths:
        splits[split_of[units[path]]].append((path, groups[path]))
    return splits


def _check_file(path: Path, group: str, sample_rate: int) -> CorpusFile:
    info = audio_info(path)
    check_rate(info.sample_rate, sample_rate, str(path))
    if info.n_channels != 1:
        raise ValueError(f"{path}: expected 1 channel (dry mono), got {info.n_channels}")
    return CorpusFile(path, group, info.n_samples)


def _choose_file(files: list[CorpusFile], rng: np.random.Generator) -> CorpusFile:
    """Draws the group first, so that a speaker or noise type with many files is not heard more often."""
    groups = sorted({file.group for file in files})
    group = groups[rng.integers(len(groups))]
    members = [file for file in files if file.group == group]
    return members[rng.integers(len(members))]


def _speech_pieces(
    files: list[CorpusFile], first: CorpusFile, sample_rate: int, n_samples: int, rng: np.random.Generator
) -> list[dict[str, str | int]]:
    """Pieces of one speaker's files until ``n_samples`` are full; every file is used at most once."""
    others = [file for file in files if file.group == first.group and file is not first]
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
    return int(rng.integers(max(file.n_samples - n_samples, 0) + 1))


def _piece(file: CorpusFile, start: int, n_samples: int) -> dict[str, str | int]:
    taken = min(file.n_samples - start, n_samples)
    return {"path": str(file.path), "sha256": _hash(file.path), "start": start, "n_samples": taken}


@functools.lru_cache(maxsize=None)
def _hash(path: Path) -> str:
    return sha256_of(path)


def label_of(corpora: Iterable[Corpus]) -> str:
    """What results on these corpora must be called."""
    synthetic = any(corpus.synthetic for corpus in corpora if corpus.kind == "speech")
    return "synthetic speech" if synthetic else "recorded speech"
