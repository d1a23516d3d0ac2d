"""Live streams with a fake sound device: what is played, levels, load, lost blocks, ends of all kinds."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from arrayse.stream import Streamer, TorchBackend
from arrayse.stream.live import Device, LiveStream, Reading, find_device, list_devices, load_sound
from tests.fake_sound import FakeSound
from tests.test_stream import RATE, noise, passing_net, stream_of, streamed
from tests.tiny import network

ARRAY, SPEAKER = Device(2, "USB Array", 8, 1), Device(1, "Speaker", 0, 2)


def ignore(reading: Reading) -> None:
    pass


def live_of(streamer: Streamer, sound: FakeSound, source: Device = ARRAY, sink: Device = SPEAKER) -> LiveStream:
    """Runs for all the sound that there is."""
    return LiveStream(streamer, sound, source, sink, seconds=sound.wave.shape[1] / RATE)


def played(sound: FakeSound) -> np.ndarray:
    """(n_samples, n_outputs)."""
    return np.concatenate(sound.played)


# --- what is played -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ft_jnf", "dccrn", "conv_tasnet causal"])
@pytest.mark.parametrize("block", [7, 16, 64])
def test_both_sides_play_what_the_stream_gives(kind: str, block: int) -> None:
    streamer, sound = stream_of(network(kind), block), FakeSound(noise(block * 12))
    reading = live_of(streamer, sound).run(ignore)
    streamer.reset()
    expected = streamed(streamer, sound.wave, [block])[: 12 * block]
    np.testing.assert_array_equal(played(sound), np.stack([expected, expected], axis=1))
    assert reading.seconds == 12 * block / RATE
    assert sound.closed


def test_how_the_devices_are_opened() -> None:
    sound = FakeSound(noise(160))
    live = live_of(stream_of(network("ft_jnf"), 16), sound)
    live.run(ignore)
    wanted = {"samplerate": RATE, "blocksize": 16, "device": (2, 1), "channels": (5, 2), "dtype": "float32"}
    assert {key: sound.opened[key] for key in wanted} == wanted
    assert live.device_latency == (0.008, 0.010)


@pytest.mark.parametrize(("n_inputs", "opened"), [(8, 5), (5, 5), (4, 2), (2, 2)])
def test_a_device_gives_the_array_or_what_is_heard(n_inputs: int, opened: int) -> None:
    """The same samples at the microphones that are heard sound the same."""
    wave = noise(64)
    sound = FakeSound(wave if opened == 5 else wave[[3, 1]])
    live_of(stream_of(network("ft_jnf", [3, 1], 1), 16), sound, Device(0, "Mics", n_inputs, 0)).run(ignore)
    assert sound.opened["channels"][0] == opened
    expected = streamed(stream_of(network("ft_jnf", [3, 1], 1), 16), wave, [16])[:64]
    np.testing.assert_array_equal(played(sound)[:, 0], expected)


def test_a_device_with_one_output_plays_one_channel() -> None:
    sound = FakeSound(noise(64))
    live_of(stream_of(network("ft_jnf"), 16), sound, sink=Device(3, "Mono", 0, 1)).run(ignore)
    assert played(sound).shape == (64, 1)


def test_a_device_with_too_few_microphones_is_refused() -> None:
    wanted = r"input: Mono: expected 5 channels for the array circular, or 2 \(its microphones \[3, 1\]\), got 1"
    with pytest.raises(ValueError, match=wanted):
        live_of(stream_of(network("ft_jnf", [3, 1], 1), 16), FakeSound(noise(0)), Device(3, "Mono", 1, 0))


def test_a_gain_and_full_scale() -> None:
    """The network passes microphone 1 on, 32 samples late."""
    wave = np.zeros((5, 128), np.float32)
    wave[1, 10:14] = 0.1, -0.5, 0.9, np.float32(-0.6)
    sound = FakeSound(wave)
    live = LiveStream(stream_of(passing_net(), 32), sound, ARRAY, SPEAKER, 6.0206, 128 / RATE)
    reading = live.run(ignore)
    np.testing.assert_allclose(played(sound)[42:46, 0], [0.2, -1, 1, -1], atol=1e-5)
    assert reading.output_dbfs == pytest.approx(20 * np.log10(1.8), abs=1e-3)


# --- readings -----------------------------------------------------------------------------------------------


def ticking(steps: list[float]) -> Iterator[float]:
    """A clock that moves on by these steps, one within each block."""
    now = 0.0
    for step in steps:
        yield now
        now += step
        yield now


def test_load_is_the_time_to_compute_over_the_length_of_a_block() -> None:
    """Blocks of 32 samples last 2 ms."""
    clock = ticking([0.0005, 0.0005, 0.003, 0.0])
    live = LiveStream(
        stream_of(passing_net(), 32), FakeSound(noise(128)), ARRAY, SPEAKER, 0, 0.008, lambda: next(clock)
    )
    reading = live.run(ignore)
    assert reading.load == pytest.approx(0.5)
    assert reading.worst_load == pytest.approx(1.5)


def test_levels_are_peaks_since_the_reading_before_of_what_is_heard() -> None:
    wave = np.zeros((5, 128), np.float32)
    wave[1, 70], wave[3, 5] = -0.1, 0.01
    wave[0] = 0.9  # not heard
    live = live_of(stream_of(passing_net(), 32), FakeSound(wave))
    assert live.reading() == Reading(0, -120, -120, 0, 0, 0, 0)
    reading = live.run(ignore)
    assert reading.input_dbfs == pytest.approx(-20)
    assert reading.output_dbfs == pytest.approx(-20, abs=1e-3)
    assert (live.reading().input_dbfs, live.reading().output_dbfs) == (-120, -120)
    assert live.reading().seconds == 0.008


def test_lost_and_muted_blocks_are_counted_and_the_stream_goes_on() -> None:
    wave = noise(320)
    wave[2, 100] = np.nan
    flags = {1: "input_overflow", 3: "output_underflow", 4: "input_underflow", 5: "output_overflow"}
    sound = FakeSound(wave, flags)
    reading = live_of(stream_of(network("ft_jnf"), 16), sound).run(ignore)
    assert (reading.n_dropped_blocks, reading.n_muted_blocks) == (4, 1)
    assert np.isfinite(played(sound)).all()
    assert -30 < reading.input_dbfs < 0
    assert played(sound)[-16:].any()


# --- ends ---------------------------------------------------------------------------------------------------


def test_the_stream_ends_after_so_many_seconds() -> None:
    sound = FakeSound(noise(RATE))
    live = LiveStream(stream_of(passing_net(), 32), sound, ARRAY, SPEAKER, seconds=0.05)
    assert live.run(ignore).seconds == 0.05
    assert len(sound.played) == 25


def test_ctrl_c_ends_it_with_a_reading() -> None:
    sound = FakeSound(noise(320), then=lambda: signal.raise_signal(signal.SIGINT))
    live = LiveStream(stream_of(passing_net(), 32), sound, ARRAY, SPEAKER)
    assert live.run(ignore).seconds == 0.02
    assert sound.closed


def test_readings_are_shown_while_it_runs() -> None:
    shown: list[Reading] = []

    def show(reading: Reading) -> None:
        shown.append(reading)
        if len(shown) == 2:
            signal.raise_signal(signal.SIGINT)

    sound = FakeSound(noise(320), then=lambda: None)
    LiveStream(stream_of(passing_net(), 32), sound, ARRAY, SPEAKER).run(show)
    assert [reading.seconds for reading in shown] == [0.02, 0.02]
    assert shown[0].input_dbfs > shown[1].input_dbfs == -120


def test_a_device_that_ends_by_itself_is_an_error() -> None:
    live = LiveStream(stream_of(passing_net(), 32), FakeSound(noise(320)), ARRAY, SPEAKER, seconds=1)
    with pytest.raises(RuntimeError, match="live: expected USB Array to go on, got its end: is it connected"):
        live.run(ignore)


def test_an_error_in_the_callback_comes_out_and_silence_is_played() -> None:
    backend = TorchBackend(passing_net())
    live = LiveStream(Streamer(backend, 32), sound := FakeSound(noise(320)), ARRAY, SPEAKER, seconds=1)
    backend.push = lambda wave, state: 1 / 0 if wave.any() else (wave[0], state)  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        live.run(ignore)
    assert len(sound.played) == 1
    assert not sound.played[0].any()
    assert sound.closed


def test_what_the_library_refuses_is_told() -> None:
    sound = FakeSound(noise(320), refuses="Invalid sample rate [PaErrorCode -9997]")
    wanted = "live: expected 5 channels of USB Array and 2 of Speaker at 16000 Hz, got Invalid sample rate [PaError"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        live_of(stream_of(passing_net(), 32), sound).run(ignore)


# --- devices ------------------------------------------------------------------------------------------------


def test_devices_are_found_by_number_name_and_part_of_a_name() -> None:
    sound = FakeSound(noise(0))
    assert [device.index for device in list_devices(sound)] == [0, 1, 2, 3]
    assert find_device(sound, None, "input").name == "Built-in Microphone"
    assert find_device(sound, None, "output") == SPEAKER
    assert find_device(sound, "2", "input") == find_device(sound, "array", "input") == ARRAY
    assert find_device(sound, "USB Headset", "output").index == 3


@pytest.mark.parametrize(
    ("kind", "asked", "told"),
    [
        ("input", "usb", "got usb, which is in several names"),
        ("input", "foo", "got foo, which is none of them"),
        ("input", "Speaker", "got Speaker, which is none of them"),
        ("input", "1", "got 1, which is none of them"),
        ("output", "9", "expected one of 1 Speaker (2 channels), 2 USB Array (1 channels), 3 USB Headset (2 channels)"),
    ],
)
def test_a_wrong_device_is_answered_with_those_that_there_are(kind: str, asked: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{kind}: expected one of .*") as error:
        find_device(FakeSound(noise(0)), asked, "input" if kind == "input" else "output")
    assert told in str(error.value)


def test_a_machine_without_devices() -> None:
    sound = FakeSound(noise(0), devices=[])
    sound.default.device = {"input": -1, "output": -1}
    with pytest.raises(ValueError, match="output: expected one of no device, got no default"):
        find_device(sound, None, "output")


def test_an_exact_name_wins_over_a_part_of_another() -> None:
    sound = FakeSound(noise(0), devices=[("Array 2", 4, 0), ("Array", 4, 0)])
    assert find_device(sound, "Array", "input").index == 1


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ValueError, match=re.escape("pip install 'arrayse[live]'")):
        load_sound()

    def fail(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("arrayse.stream.live.importlib.import_module", fail)
    with pytest.raises(
        ValueError, match=r"PortAudio library not found: install it \(Debian: apt install libportaudio2"
    ):
        load_sound()
