"""Folders of recordings, with clean speech beside them or without: which files there are, and which belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from arrayse.audio import AUDIO_SUFFIXES, AudioInfo, audio_info

NOISY_FOLDERS, CLEAN_FOLDERS = ("noisy", "noisy_testset_wav"), ("clean", "clean_testset_wav")
"""Where public test sets keep their files."""

FILE_ID = re.compile(r"(?<![^\W_])fileid_(\d+)")
"""What names of the DNS challenge have in common, whose noisy and clean files are called differently otherwise."""

MOST_LINES = 20
"""Problems that are told one by one."""


@dataclass(frozen=True)
class Clip:
    """A recording.

    Attributes:
        id: its name in every table: the path within its folder, without ending; or its file id.
        path: the recording.
        clean: the speech in it, if there is a file of that.
    """

    id: str
    path: Path
    clean: Path | None = None


@dataclass(frozen=True)
class Clips:
    """All recordings of a folder, which have one rate and number of channels, and so has the clean speech."""

    clips: list[Clip]
    sample_rate: int
    n_mics: int
    n_clean: int


def read_pairs(folder: Path) -> Clips:
    """The pairs of ``folder/noisy`` and ``folder/clean``, or of ``noisy_testset_wav`` and ``clean_testset_wav``.

    Files belong together that have the same path within these folders, endings aside. Where these paths differ and all
    have a ``fileid_N``, as in the DNS challenge, those of one number do.

    Raises:
        ValueError: no such folders; files without a partner, of which each is named; pairs of unequal length; files of
            several rates or numbers of channels; clean files that have neither one channel nor those of the noisy ones;
            files that are no audio.
    """
    noisy_folder, clean_folder = (_subfolder(folder, names) for names in (NOISY_FOLDERS, CLEAN_FOLDERS))
    noisy, clean = (audio_files(each) for each in (noisy_folder, clean_folder))
    if set(noisy) != set(clean) and all(FILE_ID.search(path.name) for path in [*noisy.values(), *clean.values()]):
        noisy, clean = _by_file_id(noisy), _by_file_id(clean)
    lost = [
        f"{noisy[key]}: expected a clean file for it in {clean_folder}, got none" for key in noisy if key not in clean
    ]
    lost += [
        f"{clean[key]}: expected a noisy file for it in {noisy_folder}, got none" for key in clean if key not in noisy
    ]
    _raise_all(lost)
    infos = _infos([*noisy.values(), *clean.values()])
    _raise_all(
        f"{clean[key]}: expected {infos[path].n_samples} samples as {path}, got {infos[clean[key]].n_samples}"
        for key, path in noisy.items()
        if infos[path].n_samples != infos[clean[key]].n_samples
    )
    sample_rate = _common("Hz", infos, lambda info: info.sample_rate)
    n_mics, n_clean = (
        _common("channels", {path: infos[path] for path in paths.values()}, lambda info: info.n_channels)
        for paths in (noisy, clean)
    )
    if n_clean not in (1, n_mics):
        wanted = "one channel" if n_mics == 1 else f"one channel, or {n_mics} as the noisy ones"
        raise ValueError(f"{clean_folder}: expected files of {wanted}, got files of {n_clean}")
    return Clips([Clip(key, path, clean[key]) for key, path in noisy.items()], sample_rate, n_mics, n_clean)


def read_recordings(folder: Path) -> Clips:
    """All audio files of a folder and of those in it.

    Raises:
        ValueError: no such folder, no audio in it, files of several rates or numbers of channels, files that are no
            audio.
    """
    if not folder.is_dir():
        raise ValueError(f"recordings: expected a folder, got {folder}")
    paths = audio_files(folder)
    infos = _infos(paths.values())
    sample_rate = _common("Hz", infos, lambda info: info.sample_rate)
    n_mics = _common("channels", infos, lambda info: info.n_channels)
    return Clips([Clip(key, path) for key, path in paths.items()], sample_rate, n_mics, 0)


def audio_files(folder: Path) -> dict[str, Path]:
    """Audio files by their path within a folder, without ending, in alphabetical order; hidden ones are left out.

    Raises:
        ValueError: no audio, or two files that differ in their ending alone.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix.lower() not in AUDIO_SUFFIXES or hidden or path.is_dir():
            continue
        key = inner.with_suffix("").as_posix()
        if key in found:
            raise ValueError(f"{folder}: expected files with different names, got {found[key].name} and {path.name}")
        found[key] = path
    if not found:
        raise ValueError(f"{folder}: expected audio files ({', '.join(sorted(AUDIO_SUFFIXES))}), got none")
    return found


def _subfolder(folder: Path, names: tuple[str, ...]) -> Path:
    there = [folder / name for name in names if (folder / name).is_dir()]
    if len(there) != 1:
        wanted = f"expected one folder {' or '.join(names)} in {folder}"
        raise ValueError(f"pairs: {wanted}, got {' and '.join(path.name for path in there) or 'none'}")
    return there[0]


def _by_file_id(paths: dict[str, Path]) -> dict[str, Path]:
    found: dict[int, Path] = {}
    for path in paths.values():
        number = int(str(FILE_ID.findall(path.name)[-1]))
        if number in found:
            raise ValueError(f"{path}: expected one file with fileid_{number}, got {found[number].name} too")
        found[number] = path
    return {f"fileid_{number}": found[number] for number in sorted(found)}


def _infos(paths: Iterable[Path]) -> dict[Path, AudioInfo]:
    infos, problems = {}, []
    for path in paths:
        try:
            infos[path] = audio_info(path)
        except ValueError as error:
            problems.append(str(error))
    _raise_all(problems)
    return infos


def _common(unit: str, infos: dict[Path, AudioInfo], number_of: Callable[[AudioInfo], int]) -> int:
    """What all files have; the names of those that have not what most have."""
    [(usual, _)] = Counter(map(number_of, infos.values())).most_common(1)
    _raise_all(
        f"{path}: expected {usual} {unit} as most files here have, got {number_of(info)}"
        for path, info in infos.items()
        if number_of(info) != usual
    )
    return usual


def _raise_all(problems: Iterable[str]) -> None:
    """Raises ValueError with a line for each problem, if there is one."""
    lines = list(problems)
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES} more"]
    if lines:
        raise ValueError("\n".join(lines))
