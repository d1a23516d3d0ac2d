"""Folders of files: which of them belong together in the layouts of public test sets, and every way not to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.evaluation.pairs import MOST_LINES, audio_files, read_pairs, read_recordings

RATE = 16000


def write(path: Path, n_samples: int = 800, n_channels: int = 1, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((n_samples, n_channels)), rate)
    return path


def write_all(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        write(folder / name)


@pytest.mark.parametrize(("noisy", "clean"), [("noisy", "clean"), ("noisy_testset_wav", "clean_testset_wav")])
def test_the_same_path_makes_a_pair(noisy: str, clean: str, tmp_path: Path) -> None:
    write_all(tmp_path / noisy, ["p232_001.wav", "b/p232_001.flac", "._p232_002.wav", "readme.wav/.x.wav"])
    write_all(tmp_path / clean, ["p232_001.WAV", "b/p232_001.wav"])
    (tmp_path / noisy / "log.txt").write_text("no audio")
    found = read_pairs(tmp_path)
    assert (found.sample_rate, found.n_mics, found.n_clean) == (RATE, 1, 1)
    assert [(clip.id, clip.path, clip.clean) for clip in found.clips] == [
        (key, tmp_path / noisy / one, tmp_path / clean / other)
        for key, one, other in (
            ("b/p232_001", "b/p232_001.flac", "b/p232_001.wav"),
            ("p232_001", "p232_001.wav", "p232_001.WAV"),
        )
    ]


def test_the_same_file_id_makes_a_pair_where_names_differ(tmp_path: Path) -> None:
    write_all(tmp_path / "noisy", ["clnsp1_train_69005_1_snr15_tl-21_fileid_10.wav", "book_snr2_fileid_2.wav"])
    write_all(tmp_path / "clean", ["clean_fileid_10.wav", "clean_fileid_2.wav"])
    found = read_pairs(tmp_path).clips
    assert [(clip.id, clip.clean and clip.clean.name) for clip in found] == [
        ("fileid_2", "clean_fileid_2.wav"),
        ("fileid_10", "clean_fileid_10.wav"),
    ]
    write(tmp_path / "noisy" / "again_fileid_2.wav")
    with pytest.raises(ValueError, match=r"expected one file with fileid_2, got again_fileid_2\.wav too"):
        read_pairs(tmp_path)


def test_equal_names_count_more_than_file_ids(tmp_path: Path) -> None:
    for kind in ("noisy", "clean"):
        write_all(tmp_path / kind, ["a_fileid_1.wav", "b_fileid_1.wav"])
    assert [clip.id for clip in read_pairs(tmp_path).clips] == ["a_fileid_1", "b_fileid_1"]


@pytest.mark.parametrize("name", ["p{}.wav", "fileid_{}.wav"])
def test_files_without_a_partner_are_all_named(name: str, tmp_path: Path) -> None:
    write_all(tmp_path / "noisy", [name.format(number) for number in (1, 2, 3)])
    write_all(tmp_path / "clean", [name.format(number) for number in (2, 4)])
    with pytest.raises(ValueError, match="expected a clean file") as info:
        read_pairs(tmp_path)
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    assert str(info.value).splitlines() == [
        f"{noisy / name.format(1)}: expected a clean file for it in {clean}, got none",
        f"{noisy / name.format(3)}: expected a clean file for it in {clean}, got none",
        f"{clean / name.format(4)}: expected a noisy file for it in {noisy}, got none",
    ]


def test_a_long_list_of_problems_ends(tmp_path: Path) -> None:
    write_all(tmp_path / "noisy", [f"{number:02d}.wav" for number in range(MOST_LINES + 5)])
    write(tmp_path / "clean" / "00.wav")
    with pytest.raises(ValueError, match="… and 4 more") as info:
        read_pairs(tmp_path)
    assert len(str(info.value).splitlines()) == MOST_LINES + 1


def test_pairs_of_unequal_length_are_named(tmp_path: Path) -> None:
    for number, n_samples in enumerate((800, 801, 799)):
        write(tmp_path / "noisy" / f"{number}.wav")
        write(tmp_path / "clean" / f"{number}.wav", n_samples)
    with pytest.raises(ValueError, match="samples as") as info:
        read_pairs(tmp_path)
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    assert str(info.value).splitlines() == [
        f"{clean / '1.wav'}: expected 800 samples as {noisy / '1.wav'}, got 801",
        f"{clean / '2.wav'}: expected 800 samples as {noisy / '2.wav'}, got 799",
    ]


@pytest.mark.parametrize("kind", ["noisy", "clean"])
def test_the_odd_rates_and_channels_are_named(kind: str, tmp_path: Path) -> None:
    for each in ("noisy", "clean"):
        write_all(tmp_path / each, ["a.wav", "b.wav", "c.wav"])
    odd = write(tmp_path / kind / "a.wav", rate=8000)
    with pytest.raises(ValueError, match=f"^{odd}: expected 16000 Hz as most files here have, got 8000$"):
        read_pairs(tmp_path)
    write(odd, n_channels=2)
    with pytest.raises(ValueError, match=f"^{odd}: expected 1 channels as most files here have, got 2$"):
        read_pairs(tmp_path)


@pytest.mark.parametrize(("n_noisy", "n_clean", "fits"), [(4, 1, True), (4, 4, True), (4, 2, False), (1, 2, False)])
def test_clean_speech_has_one_channel_or_as_many(n_noisy: int, n_clean: int, fits: bool, tmp_path: Path) -> None:
    write(tmp_path / "noisy" / "a.wav", n_channels=n_noisy)
    write(tmp_path / "clean" / "a.wav", n_channels=n_clean)
    if fits:
        found = read_pairs(tmp_path)
        assert (found.n_mics, found.n_clean) == (n_noisy, n_clean)
    else:
        wanted = "one channel" if n_noisy == 1 else "one channel, or 4 as the noisy ones"
        with pytest.raises(ValueError, match=f"expected files of {wanted}, got files of 2"):
            read_pairs(tmp_path)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected one folder noisy or noisy_testset_wav in .*, got none"):
        read_pairs(tmp_path)
    write_all(tmp_path, ["noisy/a.wav", "noisy_testset_wav/a.wav"])
    with pytest.raises(ValueError, match="got noisy and noisy_testset_wav"):
        read_pairs(tmp_path)
    with pytest.raises(ValueError, match="recordings: expected a folder, got"):
        read_recordings(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: expected audio files \(.*\.wav\), got none"):
        read_recordings(tmp_path / "empty")


def test_all_files_that_are_no_audio_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    for name in ("b.wav", "c.wav"):
        (tmp_path / name).write_text("no audio")
    with pytest.raises(ValueError, match=r"b\.wav: expected an audio file, got .*\n.*c\.wav: expected an audio file"):
        read_recordings(tmp_path)


def test_recordings_have_the_names_of_their_paths(tmp_path: Path) -> None:
    write_all(tmp_path, ["b.wav", "a/c.flac"])
    write(tmp_path / "b.wav", 900)
    found = read_recordings(tmp_path)
    assert [(clip.id, clip.clean) for clip in found.clips] == [("a/c", None), ("b", None)]
    assert (found.sample_rate, found.n_mics, found.n_clean) == (RATE, 1, 0)
    write(tmp_path / "b.flac")
    with pytest.raises(ValueError, match=r"expected files with different names, got b\.flac and b\.wav"):
        audio_files(tmp_path)
