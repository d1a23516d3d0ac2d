"""Measured rooms: which files are kept and drawn, and responses taken apart against ones whose parts are known."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.mixture import SPLITS
from simulate.measured import MeasuredRoom, RoomBank, _late_t30, draw_positions, load_rooms, measured_responses
from simulate.rir import RoomResponse

RATE = 16000
DELAYS = [3, 0, 7]
"""Samples by which the direct sound reaches the microphones after the first one."""

REVERB_START = 60
"""Samples between the direct sound and the first reflection: well after the direct path ends."""


def room_response(
    seed: int = 0, rt60: float = 0.3, pre_delay: int = 50, level: float = 0.05, noise: float = 0.0, seconds: float = 0.5
) -> np.ndarray:
    """Direct impulses of 0.8 at pre-delay + DELAYS, then noise that decays, (3, n_taps); and measurement noise."""
    rng, wave = np.random.default_rng(seed), np.zeros((3, round(seconds * RATE)))
    for mic, delay in zip(wave, DELAYS, strict=True):
        reverb = mic[pre_delay + delay + REVERB_START :]
        reverb[:] = level * decay(rng, rt60, len(reverb))
        mic[pre_delay + delay] = 0.8
    return wave + noise * rng.standard_normal(wave.shape)


def decay(rng: np.random.Generator, rt60: float, n_taps: int, sample_rate: int = RATE) -> np.ndarray:
    return rng.standard_normal(n_taps) * 10 ** (-3 * np.arange(n_taps) / sample_rate / rt60)


def write(path: Path, wave: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave.T, RATE, "FLOAT")
    return path


def respond(*paths: Path, channels: tuple[int, ...] = (0, 1, 2)) -> RoomResponse:
    return measured_responses([{"path": str(path)} for path in paths], list(channels), RATE)


def folder_of_rooms(folder: Path, n_files: dict[str, int], n_channels: int = 2) -> Path:
    """Files of which choosing needs no more than the header; each has its own length."""
    for room, count in n_files.items():
        for k in range(count):
            write(folder / room / f"{k}.wav", np.ones((n_channels, 10 + k)))
    return folder


def names(bank: RoomBank) -> list[list[str]]:
    return [[room.name for room in bank.splits[split]] for split in SPLITS]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Rooms of three files with one, two and four channels over the splits, and a file that is no response."""
    rooms = [("train", "hall", 4), ("train", "attic", 2), ("valid", "cave", 4), ("test", "den", 2), ("test", "loft", 1)]
    rows = "path,split,kind,speaker_or_type\nspeech/a.wav,train,speech,ann\n"
    for split, room, n_channels in rooms:
        folder_of_rooms(tmp_path, {room: 3}, n_channels)
        rows += "".join(f"{room}/{k}.wav,{split},rir,{room}\n" for k in range(3))
    path = tmp_path / "MANIFEST.csv"
    path.write_text(rows)
    return path


def test_files_whose_channels_fit_are_kept_and_the_others_counted(manifest: Path) -> None:
    exact = load_rooms(str(manifest), RATE, 2)
    assert names(exact) == [["attic"], [], ["den"]]
    assert exact.describe().endswith(
        "channels 0, 1: train 1 rooms, 3 source positions; valid 0 rooms, 0 source positions; "
        "test 1 rooms, 3 source positions; 3 files of 1 channels left out; 6 files of 4 channels left out"
    )
    chosen = load_rooms(str(manifest.parent), RATE, 2, [1, 0])
    assert names(chosen) == [["attic", "hall"], ["cave"], ["den"]]
    assert chosen.channels == [1, 0]
    assert "train 2 rooms, 6 source positions, at most 3 in one" in chosen.describe()
    assert load_rooms(str(manifest), RATE, 2, [0, 3]).left_out == {1: 3, 2: 6}


def test_a_plain_folder_is_split_by_room_and_may_be_moved(tmp_path: Path) -> None:
    folder = str(folder_of_rooms(tmp_path / "rooms", {f"room{k}": 2 for k in range(12)}))
    bank = load_rooms(folder, RATE, 2)
    assert list(map(len, names(bank))) == [10, 1, 1]
    assert len(set().union(*names(bank))) == 12
    moved = load_rooms(shutil.move(folder, str(tmp_path / "elsewhere")), RATE, 2)
    assert moved.fingerprint() == bank.fingerprint()
    pick = draw_positions(moved, "test", 2, np.random.default_rng(0))[1]
    assert pick["sha256"] == hashlib.sha256(Path(pick["path"]).read_bytes()).hexdigest()
    assert load_rooms(moved.source, RATE, 2, [1, 0]).fingerprint() != bank.fingerprint()
    write(tmp_path / "elsewhere" / "room3" / "1.wav", np.zeros((2, 11)))
    assert load_rooms(moved.source, RATE, 2).fingerprint() != bank.fingerprint()


def test_positions_are_different_files_of_one_room(tmp_path: Path) -> None:
    """Rooms come up equally often, whatever the number of their files; those with too few never."""
    folder_of_rooms(tmp_path, {"a": 9, "b": 3, "c": 2})
    rooms = [MeasuredRoom(name, [(path, path.name) for path in sorted((tmp_path / name).iterdir())]) for name in "abc"]
    bank, rng = RoomBank("here", {"train": rooms}, RATE, [0, 1], {}), np.random.default_rng(5)
    draws = [draw_positions(bank, "train", 3, rng) for _ in range(600)]
    for picks in draws:
        assert {Path(pick["path"]).parent.name for pick in picks} == {picks[0]["room"]}
        assert len({pick["path"] for pick in picks}) == 3
    drawn = [picks[0]["room"] for picks in draws]
    assert set(drawn) == {"a", "b"}
    assert abs(drawn.count("a") - 300) < 50
    first = draw_positions(bank, "train", 2, np.random.default_rng(1))
    assert json.loads(json.dumps(first)) == first == draw_positions(bank, "train", 2, np.random.default_rng(1))


def test_a_split_without_a_room_that_is_large_enough(manifest: Path) -> None:
    bank = load_rooms(str(manifest), RATE, 2)
    with pytest.raises(ValueError, match="a room with 4 source positions in split test, the largest has 3"):
        bank.rooms("test", 4)
    with pytest.raises(ValueError, match="a room with 1 source positions in split valid, got no room"):
        draw_positions(bank, "valid", 1, np.random.default_rng(0))


def test_folders_and_channels_that_cannot_be_used(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wanted, different = "room_channels: expected files of", r"room_channels: expected 2 different channels .*, got \["
    for source, rate, n_mics, channels, message in [
        (manifest, RATE, 8, None, f"{wanted} 8 channels in .*, got 3 of 1, 6 of 2, 6 of 4"),
        (manifest, RATE, 2, [0, 4], f"{wanted} more than 4 channels in .*, got 3 of 1, 6 of 2, 6 of 4"),
        (tmp_path / "empty", RATE, 2, None, f"{wanted} 2 channels in .*, got no files"),
        (manifest, 8000, 2, None, "0.wav: expected 8000 Hz, got 16000 Hz"),
        (tmp_path / "nowhere", RATE, 2, None, "rooms: expected a folder or a manifest CSV, got .*: no such file"),
        *((manifest, RATE, 2, channels, different) for channels in ([0], [0, 0], [0, -1], [0, 1, 2], [])),
    ]:
        with pytest.raises(ValueError, match=message):
            load_rooms(str(source), rate, n_mics, channels)


def test_no_room_and_no_file_is_in_two_splits(manifest: Path) -> None:
    rows = manifest.read_text()
    for room, unit in [("hall", "hall"), ("den", ".*0.wav")]:
        manifest.write_text(f"{rows}hall/0.wav,test,rir,{room}\n")
        with pytest.raises(ValueError, match=f"every (room|rir file) in one split, got {unit} in train and test"):
            load_rooms(str(manifest), RATE, 2)


def test_the_direct_path_is_the_first_sound_and_the_rest_is_left_as_it_was(tmp_path: Path) -> None:
    wave = room_response()
    response = respond(write(tmp_path / "a.wav", wave))
    assert response.full.dtype == response.direct.dtype == np.float32
    expected = np.zeros_like(response.direct[0])
    expected[range(3), 16 + np.array(DELAYS)] = 1  # the energy of the direct path is 1
    np.testing.assert_allclose(response.direct[0], expected, atol=1e-6)
    n_same = response.full.shape[-1] - 80  # the end is faded out
    np.testing.assert_allclose(response.full[0, :, :n_same], wave[:, 50 - 16 :][:, :n_same] / 0.8, atol=1e-6)


def test_what_comes_within_the_window_is_direct_and_fades_at_its_end(tmp_path: Path) -> None:
    wave = room_response()
    ends = 50 + max(DELAYS) + 40 + np.array([-1, 3, 8])  # 2.5 ms after the last arrival: before, within and after
    wave[0, ends] = 0.4
    response = respond(write(tmp_path / "a.wav", wave))
    ends += response.lead - 50
    kept = response.direct[0, 0, ends] / response.full[0, 0, ends]
    np.testing.assert_allclose(kept, [1, 0.5 + 0.5 * np.cos(np.pi * 3.5 / 8), 0], atol=1e-6)


@pytest.mark.parametrize(("loudest", "noise"), [(4.0, 0.0), (4.0, 0.02), (1.5, 0.05)])
def test_neither_a_loud_reflection_nor_noise_is_the_direct_sound(tmp_path: Path, loudest: float, noise: float) -> None:
    wave = room_response(pre_delay=700, noise=noise, seconds=0.8)
    wave[:, 700 + REVERB_START + 100] = loudest
    response = respond(write(tmp_path / "a.wav", wave))
    assert np.abs(response.direct[0]).argmax(axis=-1).tolist() == [response.lead + delay for delay in DELAYS]
    assert np.abs(response.full[0]).argmax(axis=-1).tolist() == [response.lead + REVERB_START + 100] * 3


@settings(max_examples=15)
@given(st.integers(0, 900), st.floats(0.01, 1.0), st.sampled_from([(0, 1, 2), (2, 0), (1,)]))
def test_pre_delay_level_zeros_at_the_end_and_order_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, pre_delay: int, gain: float, channels: tuple[int, ...]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    plain = respond(write(folder / "a.wav", room_response(pre_delay=20)), channels=channels)
    changed = gain * room_response(pre_delay=pre_delay, seconds=(pre_delay - 20) / RATE + 0.5)
    again = respond(write(folder / "b.wav", np.pad(changed, ((0, 0), (0, 1000)))), channels=channels)
    np.testing.assert_allclose(again.full, plain.full, atol=1e-5)
    assert again.rt60 == pytest.approx(plain.rt60, rel=1e-4)
    delays = np.array(DELAYS)[list(channels)]
    assert (np.abs(again.direct[0]).argmax(axis=-1) == again.lead + delays - delays.min()).all()


def test_sources_keep_their_levels_and_the_target_sets_the_scale(tmp_path: Path) -> None:
    loud = write(tmp_path / "loud.wav", room_response(0, 0.3))
    faint = write(tmp_path / "faint.wav", 0.1 * room_response(1, 0.2, pre_delay=400))
    for sources, other in [((loud, faint), 0.01), ((faint, loud), 100.0)]:
        response, alone = respond(*sources), [respond(path) for path in sources]
        np.testing.assert_allclose(np.sum(response.direct**2, axis=-1).mean(axis=-1), [1, other], rtol=1e-5)
        assert response.rt60 == pytest.approx(np.mean([source.rt60 for source in alone]))
        n_taps = alone[0].full.shape[-1]
        assert np.array_equal(response.full[0, :, :n_taps], alone[0].full[0])
        assert not response.full[0, :, n_taps:].any()


@pytest.mark.parametrize(("rt60", "rate"), [(0.15, 48000), (0.4, 16000), (1.2, 8000)])
def test_t30_is_that_of_the_decay_whatever_the_noise(rt60: float, rate: int) -> None:
    rng, n_taps = np.random.default_rng(0), round((1.5 * rt60 + 0.2) * rate)
    for noise_db, bias in [(-90, 0.015), (-60, 0.015), (-40, 0.025), (-30, 0.035)]:
        noises = 10 ** (noise_db / 20) * rng.standard_normal((20, n_taps))
        found = [_late_t30((decay(rng, rt60, n_taps, rate) + noise) ** 2, rate) for noise in noises]
        assert np.mean(found) == pytest.approx(rt60, rel=bias)
        np.testing.assert_allclose(found, rt60, rtol=0.15)


def test_a_decay_that_cannot_be_followed_has_no_t30() -> None:
    rng = np.random.default_rng(0)
    assert _late_t30(decay(rng, 0.3, 700) ** 2, RATE) is None  # too short
    assert _late_t30(rng.standard_normal(9000) ** 2, RATE) is None  # nothing but noise
    assert _late_t30((decay(rng, 0.3, 9000) + 0.2 * rng.standard_normal(9000)) ** 2, RATE) is None  # 14 dB
    swelling = np.repeat([8.0, 20.0, 40.0, 80.0, 160.0], 80)  # one that rises before it breaks off
    assert _late_t30(np.concatenate([[400.0] * 80, swelling, [1.0] * 8000]), RATE) is None


@pytest.mark.parametrize("level", [0.3, 0.02, 0.005])
def test_neither_the_direct_sound_nor_rumble_hides_the_decay(tmp_path: Path, level: float) -> None:
    wave = room_response(level=level, noise=1e-5, seconds=0.8)
    rumble = 0.005 * np.sin(2 * np.pi * 7 * np.arange(wave.shape[-1]) / RATE)
    response = respond(write(tmp_path / "a.wav", wave + rumble))
    assert response.rt60 == pytest.approx(0.3, rel=0.08)
    assert np.abs(response.direct[0]).argmax(axis=-1).tolist() == [response.lead + delay for delay in DELAYS]


@pytest.mark.parametrize(("noise", "end"), [(0.0, 0.30), (5e-4, 0.20), (5e-3, 0.10)])
def test_a_response_ends_60_db_down_or_in_its_noise(tmp_path: Path, noise: float, end: float) -> None:
    """Its decay starts at 0.05: noise 40 or 20 dB below is met after two thirds or one third of RT60."""
    wave = room_response(noise=noise, seconds=1.0)
    response = respond(write(tmp_path / "a.wav", wave))
    assert response.full.shape[-1] / RATE == pytest.approx(end + REVERB_START / RATE, abs=0.02)
    assert np.abs(response.full[..., [0, -1]]).max() < 1e-2 * np.abs(response.full[..., -80:]).max()


def test_without_reverberation_there_is_no_rt60_and_the_noise_goes(tmp_path: Path) -> None:
    room = write(tmp_path / "room.wav", room_response())
    for seed in range(3):
        dry = write(tmp_path / "dry.wav", room_response(seed, level=0.0, noise=1e-3, seconds=0.3))
        assert respond(dry).rt60 is None
        assert respond(dry, room).rt60 == respond(room).rt60  # the others tell
        assert respond(dry).full.shape[-1] <= 16 + 7 + 40 + 8 + 80


def test_files_that_hold_no_response(tmp_path: Path) -> None:
    silent, broken = room_response(), room_response()
    silent[1], broken[2, 9] = 0, np.nan
    short, noise = room_response(noise=1e-4)[:, : 50 + 7 + 47], np.random.default_rng(0).standard_normal((3, 8000))
    cases = {
        "channel 1: expected an impulse response, got silence": silent,
        "expected finite samples, got 1 NaN": broken,
        "expected 48 samples or more from the direct sound on, got 47": short,
        "room_channels: expected channels below 1, those of .*, got": short[:1],
        "channel 0: expected a peak 20 dB above the noise at its end, got 1": noise,
    }
    for number, (message, bad) in enumerate(cases.items()):
        path = write(tmp_path / f"{number}.wav", bad)
        with pytest.raises(ValueError, match=message) as raised:
            respond(path)
        assert str(path) in str(raised.value)


@pytest.mark.real
def test_a_real_room_is_taken_apart_as_published(real_data: Path) -> None:
    """Surrey room A: RT60 0.32 s, direct-to-reverberant ratio 6.09 dB from the front (Hummersone, PhD thesis, 2011)."""
    for azimuth, ear in [("+000", 0), ("+090", -1), ("-090", 1)]:
        response = respond(real_data / "rir" / "surrey_room_a" / f"room_a_az{azimuth}.flac", channels=(0, 1))
        assert response.rt60 == pytest.approx(0.32, abs=0.03)
        assert np.sign(np.diff(np.abs(response.direct[0]).argmax(axis=-1))) == ear
        direct, late = (np.sum(part**2, axis=-1) for part in (response.direct, response.full - response.direct))
        assert ear or np.mean(10 * np.log10(direct / late)) == pytest.approx(6.09, abs=0.5)


@pytest.mark.real
def test_a_real_room_has_one_rt60_near_and_far_and_at_every_microphone(real_data: Path) -> None:
    for room, rt60 in [("reverb_simroom1", 0.23), ("reverb_simroom2", 0.60)]:
        found = [respond(path, channels=(mic,)).rt60 for path in real_data.glob(f"rir/{room}/*") for mic in range(8)]
        np.testing.assert_allclose(found or 0, rt60, rtol=0.12)


@pytest.mark.real
def test_every_response_of_the_real_pack_can_be_used(real_data: Path) -> None:
    bank, rng = load_rooms(str(real_data), RATE, 1, [0]), np.random.default_rng(0)
    for split in SPLITS:
        response = measured_responses(draw_positions(bank, split, 4, rng), bank.channels, RATE)
        assert response.full.shape == response.direct.shape == (4, 1, response.full.shape[-1])
        found = {path: respond(path, channels=(0,)).rt60 for room in bank.splits[split] for path, _ in room.files}
        assert all(rt60 is None if "anechoic" in path.parent.name else 0 < rt60 < 0.8 for path, rt60 in found.items())
