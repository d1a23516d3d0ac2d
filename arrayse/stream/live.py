"""A network between microphones and a loudspeaker: sound devices, levels, load, lost blocks.

``sound`` is the module ``sounddevice`` everywhere, or what has the few things of it that are used here.
"""

from __future__ import annotations

import importlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from arrayse.frontend.channels import check_channels, heard_channels
from arrayse.stream import Streamer

Kind = Literal["input", "output"]

REFRESH_SECONDS = 0.1
"""Between two readings."""

SILENCE_DB = -120.0
"""The lowest level that is told."""

LOST = ("input_overflow", "input_underflow", "output_overflow", "output_underflow")
"""What a device reports when samples were lost or made up."""


@dataclass(frozen=True)
class Device:
    """A sound device: its number, and how many channels it takes and gives."""

    index: int
    name: str
    n_inputs: int
    n_outputs: int

    def n_channels(self, kind: Kind) -> int:
        """Channels in one direction."""
        return self.n_inputs if kind == "input" else self.n_outputs


@dataclass(frozen=True)
class Reading:
    """How a live stream is doing.

    Attributes:
        seconds: of sound that went through.
        input_dbfs: peak of the microphones that are heard since the reading before, in dB of full scale.
        output_dbfs: likewise of the estimate.
        load: time to compute over length of the sound, since the start; above 1 blocks are lost.
        worst_load: of the block that took longest.
        n_dropped_blocks: callbacks for which the device told that samples were lost, before or after the network.
        n_muted_blocks: see :class:`arrayse.stream.Streamer`.
    """

    seconds: float
    input_dbfs: float
    output_dbfs: float
    load: float
    worst_load: float
    n_dropped_blocks: int
    n_muted_blocks: int


def load_sound() -> Any:
    """The module ``sounddevice``.

    Raises:
        ValueError: it, or the library PortAudio that it needs, is not installed.
    """
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise ValueError("live: expected the package sounddevice, got none: pip install 'arrayse[live]'") from None
    except OSError as error:
        how = "install it (Debian: apt install libportaudio2)"
        raise ValueError(f"live: expected sounddevice to find PortAudio, got {error}: {how}") from None


def list_devices(sound: Any) -> list[Device]:
    """All sound devices of the machine, in the order of their numbers."""
    return [
        Device(index, each["name"], each["max_input_channels"], each["max_output_channels"])
        for index, each in enumerate(sound.query_devices())
    ]


def find_device(sound: Any, asked: str | None, kind: Kind) -> Device:
    """The device of a number, of a name, or of the only name that has ``asked`` in it; None: the system's default.

    Raises:
        ValueError: none, or several; the message lists those that there are.
    """
    there = list_devices(sound)
    able = [device for device in there if device.n_channels(kind)]
    if asked is None:
        number = sound.default.device[kind]
        found = [device for device in able if device.index == number]
    elif asked.isdecimal():
        found = [device for device in able if device.index == int(asked)]
    else:
        exact = [device for device in able if device.name == asked]
        found = exact or [device for device in able if asked.lower() in device.name.lower()]
    if len(found) == 1:
        return found[0]
    choices = ", ".join(f"{each.index} {each.name} ({each.n_channels(kind)} channels)" for each in able) or "no device"
    got = f"{asked}, which is {'in several names' if found else 'none of them'}" if asked else "no default"
    raise ValueError(f"{kind}: expected one of {choices}, got {got}")


class LiveStream:
    """A stream from one device through a network to another, or to the same.

    The network runs in the callback of the device, so that nothing waits in a queue: where it is too slow, the device
    tells that blocks were lost. One channel comes out, on both sides of a stereo device, limited to full scale.

    Args:
        streamer: its ``multiple`` is the number of samples that the device hands over at a time.
        sound: see above.
        source: gives all microphones of the array if it has so many channels, else those that the network hears.
        sink: plays the estimate.
        gain_db: of the estimate.
        seconds: after which the stream ends; None: never.
        clock: time in seconds.

    Attributes:
        channels: that are opened of the source and of the sink.
        device_latency: of source and sink in seconds by their own account, once they are open.

    Raises:
        ValueError: too few channels.
    """

    def __init__(
        self,
        streamer: Streamer,
        sound: Any,
        source: Device,
        sink: Device,
        gain_db: float = 0.0,
        seconds: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        backend = streamer.backend
        wanted = (backend.geometry.n_mics, len(backend.mics))
        n_inputs = next((number for number in wanted if number <= source.n_inputs), source.n_inputs)
        check_channels(n_inputs, backend, f"input: {source.name}")
        self.streamer, self.sound, self.source, self.sink = streamer, sound, source, sink
        self.channels = n_inputs, min(2, sink.n_outputs)
        self.device_latency: tuple[float, float] | None = None
        self._gain, self._clock = 10 ** (gain_db / 20), clock
        self._n_wanted = math.inf if seconds is None else seconds * backend.sample_rate
        self._n_samples = self._n_dropped = 0
        self._busy = self._worst_load = self._input_peak = self._output_peak = 0.0
        self._error: Exception | None = None
        self._finished = threading.Event()

    def run(self, show: Callable[[Reading], None]) -> Reading:
        """Runs until the time is over or Ctrl-C is pressed, telling several times a second how it is doing.

        Returns:
            The last reading, with the peaks since the one before.

        Raises:
            ValueError: the devices cannot be opened like this.
            RuntimeError: a device stopped by itself.
        """
        self._warm_up()
        rate = self.streamer.backend.sample_rate
        try:
            with self.sound.Stream(
                samplerate=rate,
                blocksize=self.streamer.multiple,
                device=(self.source.index, self.sink.index),
                channels=self.channels,
                dtype="float32",
                latency="low",
                callback=self._callback,
                finished_callback=self._finished.set,
            ) as stream:
                self.device_latency = stream.latency
                while not self._finished.wait(REFRESH_SECONDS):
                    show(self.reading())
        except KeyboardInterrupt:
            pass
        except self.sound.PortAudioError as error:
            wanted = f"{self.channels[0]} channels of {self.source.name} and {self.channels[1]} of {self.sink.name}"
            raise ValueError(f"live: expected {wanted} at {rate} Hz, got {error}") from None
        else:
            if self._error is None and self._n_samples < self._n_wanted:
                self._error = RuntimeError(f"live: expected {self.source.name} to go on, got its end: is it connected?")
        if self._error is not None:
            raise self._error
        return self.reading()

    def reading(self) -> Reading:
        """How it is doing now; peaks count anew from here on."""
        peaks, self._input_peak, self._output_peak = (self._input_peak, self._output_peak), 0.0, 0.0
        seconds = self._n_samples / self.streamer.backend.sample_rate
        load = self._busy / seconds if seconds else 0.0
        counts = self._n_dropped, self.streamer.n_muted_blocks
        return Reading(seconds, _dbfs(peaks[0]), _dbfs(peaks[1]), load, self._worst_load, *counts)

    def _warm_up(self) -> None:
        """Runs the network on nothing: the first runs take longest, and would be lost blocks."""
        backend = self.streamer.backend
        state, silence = backend.start(), np.zeros((len(backend.mics), backend.block_samples), np.float32)
        for _ in range(3):
            _, state = backend.push(silence.copy(), state)

    def _callback(self, indata: np.ndarray, outdata: np.ndarray, frames: int, times: Any, status: Any) -> None:
        """One block, (frames, channel) float32 each; ``outdata`` is to be filled."""
        start = self._clock()
        self._n_dropped += any(getattr(status, flag) for flag in LOST)
        outdata.fill(0)
        try:
            estimate = self._gain * self.streamer.push(indata.T)
        except Exception as error:  # an error in a callback would only be printed
            self._error = error
            raise self.sound.CallbackAbort from error
        outdata[:] = estimate.clip(-1, 1)[:, None]
        self._n_samples += frames
        self._input_peak = _higher(self._input_peak, heard_channels(indata.T, self.streamer.backend))
        self._output_peak = _higher(self._output_peak, estimate)
        busy = self._clock() - start
        self._busy += busy
        self._worst_load = max(self._worst_load, busy * self.streamer.backend.sample_rate / frames)
        if self._n_samples >= self._n_wanted:
            raise self.sound.CallbackStop


def _higher(peak: float, wave: np.ndarray) -> float:
    """The peak, with that of a block that has one; with NaN there is none."""
    level = float(np.abs(wave).max())
    return level if level > peak else peak


def _dbfs(peak: float) -> float:
    """Level of a peak in dB of full scale."""
    return 20 * math.log10(peak) if peak > 10 ** (SILENCE_DB / 20) else SILENCE_DB
