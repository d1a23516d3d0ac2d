"""Dry speech and noise: a manifest CSV with splits, any folder of audio, or the built-in corpus.

Splits never share a speaker (speech) or a file (noise).
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from arrayse.audio import AUDIO_SUFFIXES, check_rate
from arrayse.mixture import SPLITS
from simulate.known_files import Facts, known_files

Splits = dict[str, list[tuple[Path, str]]]
"""Audio file and its group, by split."""

KINDS = ("speech", "noise")
GROUPS = {"speech": "speaker", "rir": "room"}
"""What keeps its files together in one split, by kind; files of noise are for themselves."""

MANIFEST_NAME = "MANIFEST.csv"


@dataclass(frozen=True)
class CorpusFile:
    """One dry mono recording. ``group`` is the speaker, or the type of noise; ``sha256`` that of the file's bytes."""

    path: Path
    group: str
    n_samples: int
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """Recordings of one kind by split.

    Attributes:
        source: what the user named.
        kind: ``speech`` or ``noise``.
        splits: files by split, sorted by path.
        sample_rate: Hz of every file.
        synthetic: some of it was made by a machine, so that results must say so.
    """

    source: str
    kind: str
    splits: dict[str, list[CorpusFile]]
    sample_rate: int
    synthetic: bool

    def files(self, split: str) -> list[CorpusFile]:
        """The files of one split.

        Raises:
            ValueError: there are none.
        """
        if not self.splits[split]:
            n_files = {name: len(files) for name, files in self.splits.items()}
            raise ValueError(
                f"{self.kind} corpus {self.source}: expected files in split {split}, got none of {n_files}: "
                "a manifest must list some, a plain folder must hold 3 speakers or noise files"
            )
        return self.splits[split]

    def groups(self, split: str) -> dict[str, list[CorpusFile]]:
        """The files of one split by group, groups sorted by name; see :meth:`files`."""
        self.files(split)
        return self._groups[split]

    @functools.cached_property
    def _groups(self) -> dict[str, dict[str, list[CorpusFile]]]:
        """Sorted once: a draw does not look at every file."""
        groups: dict[str, dict[str, list[CorpusFile]]] = {}
        for split, files in self.splits.items():
            groups[split] = {name: [] for name in sorted({file.group for file in files})}
            for file in files:
                groups[split][file.group].append(file)
        return groups

    def describe(self) -> str:
        """What it holds, in one line for people."""
        parts = []
        for split, files in self.splits.items():
            minutes = sum(file.n_samples for file in files) / self.sample_rate / 60
            n_groups = len({file.group for file in files})
            groups = f"{n_groups} {'speakers' if self.kind == 'speech' else 'types'}"
            parts.append(f"{split} {len(files)} files of {groups}, {minutes:.1f} min")
        made = " (synthetic)" if self.synthetic else ""
        return f"{self.kind}: {self.source}{made}: {'; '.join(parts)}"

    def fingerprint(self) -> str:
        """SHA-256 over split, group, name and content of every file: the same wherever the corpus lies."""
        rows = [(s, f.group, f.path.name, f.sha256) for s, files in self.splits.items() for f in files]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def load_corpus(
    source: str, kind: str, sample_rate: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> Corpus:
    """Opens a corpus.

    Args:
        source: ``builtin``, a manifest CSV (columns path, split, kind and speaker_or_type), a folder that
            holds ``MANIFEST.csv``, or any folder of audio files: its first level of folders are the speakers.
        kind: ``speech`` or ``noise``: rows of a manifest of another kind are left out.
        sample_rate: Hz that every file must have.
        progress: called with files looked at and files in all; see :func:`simulate.known_files.known_files`.

    Raises:
        ValueError: nothing there, a file that is not mono or has another rate, a manifest that is not one,
            leaves its folder or has a speaker or a noise file in two splits.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind}")
    path, splits, synthetic = find_files(source, kind)
    total, done = sum(map(len, splits.values())), 0
    if not total:
        raise ValueError(f"{kind} corpus: expected audio files in {source}, got none")
    checked: dict[str, list[CorpusFile]] = {split: [] for split in splits}
    with known_files(path, kind) as look:
        for split, rows in splits.items():
            for file, group in sorted(rows):
                checked[split].append(_check_file(file, group, sample_rate, look(file)))
                done += 1
                progress(done, total)
    return Corpus(source, kind, checked, sample_rate, synthetic)


def find_files(source: str, kind: str) -> tuple[Path, Splits, bool]:
    """Looks for the files of one kind, without a look into them.

    Args:
        source: see :func:`load_corpus`; only speech and noise have a built-in one.
        kind: ``speech``, ``noise`` or ``rir``.

    Returns:
        The manifest or folder; files and their groups by split; whether some files are synthetic.

    Raises:
        ValueError: nothing there, a manifest that is not one or leaves its folder, a speaker, a room, or a file
            of noise or a room, in two splits.
    """
    if source == "builtin" and kind in KINDS:
        from simulate.synthetic import builtin_corpus

        source = str(builtin_corpus())
    path = Path(source).expanduser()
    if (path / MANIFEST_NAME).is_file():
        path = path / MANIFEST_NAME
    if path.is_file():
        splits, synthetic = from_manifest(path, kind)
    elif path.is_dir():
        splits, synthetic = from_folder(path, by_group=kind in GROUPS), False
    else:
        what, wanted = (f"{kind} corpus", "builtin, a folder") if kind in KINDS else ("rooms", "a folder")
        raise ValueError(f"{what}: expected {wanted} or a manifest CSV, got {source}: no such file")
    _check_disjoint(path, kind, splits)
    return path, splits, synthetic


def from_manifest(path: Path, kind: str) -> tuple[Splits, bool]:
    """Files by split, and whether some are synthetic, by their licence column."""
    splits: Splits = {split: [] for split in SPLITS}
    licences, folder = set(), path.parent.resolve()
    for number, row in enumerate(_manifest_rows(path), start=2):
        if row["kind"] != kind:
            continue
        audio = path.parent / row["path"]
        if not audio.resolve().is_relative_to(folder):
            raise ValueError(f"{path} row {number}: expected a path inside {path.parent}, got {row['path']}")
        if row["split"] not in SPLITS:
            raise ValueError(
                f"{path} row {number}: expected a split of {', '.join(SPLITS)}, got {row['split'] or 'none'}"
            )
        splits[row["split"]].append((audio, row["speaker_or_type"]))
        licences.add(row.get("license"))
    return splits, "synthetic" in licences


def _manifest_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest CSV, a missing field being an empty one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at the start
            reader = csv.DictReader(file, restval="")
            rows, columns = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV file in UTF-8, got {error}") from None
    missing = sorted({"path", "split", "kind", "speaker_or_type"} - set(columns))
    if missing:
        there = ", ".join(columns) or "none"
        raise ValueError(f"{path}: expected the columns {', '.join(missing)}, got {there}")
    return rows


def from_folder(folder: Path, by_group: bool) -> Splits:
    """Splits a plain folder 80/10/10 by group (first folder level, else the file), or else by file.

    Hidden files are left out: some systems put one beside every file they copy.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    groups = {p: p.relative_to(folder).parts[0] for p in paths}
    units = {p: groups[p] if by_group else p.relative_to(folder).as_posix() for p in paths}
    # the order by hash does not depend on what else lies on the machine, only on the names
    ordered = sorted(set(units.values()), key=lambda unit: hashlib.sha256(unit.encode()).hexdigest())
    n_held_out = max(1, round(0.1 * len(ordered))) if len(ordered) >= 3 else 0
    split_of = dict.fromkeys(ordered, "train")
    split_of.update(dict.fromkeys(ordered[:n_held_out], "valid"))
    split_of.update(dict.fromkeys(ordered[n_held_out : 2 * n_held_out], "test"))
    splits: Splits = {split: [] for split in SPLITS}
    for path in paths:
        splits[split_of[units[path]]].append((path, groups[path]))
    return splits


def _check_disjoint(source: Path, kind: str, splits: Splits) -> None:
    """Raises ValueError if a speaker, a room, or a file of noise or of a room, is in more than one split."""
    split_of: dict[tuple[str, str], str] = {}
    for split, rows in splits.items():
        for path, group in rows:
            units = [(GROUPS[kind], group)] if kind in GROUPS else []
            units += [(f"{kind} file", str(path.resolve()))] if kind != "speech" else []
            for unit in units:
                if split_of.setdefault(unit, split) != split:
                    what, name = unit
                    both = f"{split_of[unit]} and {split}"
                    raise ValueError(f"{source}: expected every {what} in one split, got {name} in {both}")


def _check_file(path: Path, group: str, sample_rate: int, facts: Facts) -> CorpusFile:
    info, sha256 = facts
    check_rate(info.sample_rate, sample_rate, str(path))
    if info.n_channels != 1:
        raise ValueError(f"{path}: expected 1 channel (dry mono), got {info.n_channels}")
    return CorpusFile(path, group, info.n_samples, sha256)


def label_of(corpora: Iterable[Corpus]) -> str:
    """What results on these corpora must be called."""
    synthetic = any(corpus.synthetic for corpus in corpora if corpus.kind == "speech")
    return "synthetic speech" if synthetic else "recorded speech"
