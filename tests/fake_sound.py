"""A stand-in for the module sounddevice: devices on paper, blocks from an array, callbacks without hardware."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

DEVICES = [("Built-in Microphone", 2, 0), ("Speaker", 0, 2), ("USB Array", 8, 1), ("USB Headset", 1, 2)]
"""Name, inputs, outputs."""

NO_FLAGS = dict.fromkeys(("input_overflow", "input_underflow", "output_overflow", "output_underflow"), False)


class FakeSound:
    """What is used of sounddevice.

    Args:
        wave: (n_channels, n_samples) that the input hears, as many channels as are opened.
        flags: what the device reports with the blocks of these numbers.
        then: is called when all blocks are gone and the device goes on silently; None: the device ends.
        refuses: what the library says when a stream is opened.
        devices: see :data:`DEVICES`.
    """

    class PortAudioError(Exception):
        pass

    class CallbackStop(Exception):
        pass

    class CallbackAbort(Exception):
        pass

    def __init__(
        self,
        wave: np.ndarray,
        flags: dict[int, str] | None = None,
        then: Callable[[], None] | None = None,
        refuses: str | None = None,
        devices: list[tuple[str, int, int]] = DEVICES,
    ) -> None:
        self.wave, self.flags, self.then, self.refuses = wave, flags or {}, then, refuses
        self.devices = devices
        self.default = SimpleNamespace(device={"input": 0, "output": 1})
        self.opened: dict[str, Any] = {}
        self.played: list[np.ndarray] = []
        self.closed = False

    def query_devices(self) -> list[dict[str, Any]]:
        keys = ("name", "max_input_channels", "max_output_channels")
        return [dict(zip(keys, device, strict=True)) for device in self.devices]

    def Stream(self, **options: Any) -> FakeStream:
        if self.refuses:
            raise self.PortAudioError(self.refuses)
        self.opened = options
        return FakeStream(self)


class FakeStream:
    """Plays all blocks when it is entered; one buffer for all of them, as in PortAudio."""

    def __init__(self, sound: FakeSound) -> None:
        self.sound = sound

    def __enter__(self) -> FakeStream:
        options, wave = self.sound.opened, self.sound.wave
        size, (n_inputs, n_outputs) = options["blocksize"], options["channels"]
        assert len(wave) == n_inputs
        indata = np.empty((size, n_inputs), np.float32)
        try:
            for number in range(wave.shape[1] // size):
                indata[:] = wave[:, number * size : (number + 1) * size].T
                outdata = np.full((size, n_outputs), np.nan, np.float32)
                self.sound.played.append(outdata)
                flag = self.sound.flags.get(number)
                status = SimpleNamespace(**{**NO_FLAGS, **({flag: True} if flag else {})})
                options["callback"](indata, outdata, size, None, status)
        except (self.sound.CallbackStop, self.sound.CallbackAbort):
            options["finished_callback"]()
            return self
        if self.sound.then is None:
            options["finished_callback"]()
        return self

    def __exit__(self, *error: object) -> None:
        self.sound.closed = True

    @property
    def latency(self) -> tuple[float, float]:
        """In and out, in seconds; the program asks for it while the stream runs."""
        if self.sound.then is not None:
            self.sound.then()
        return 0.008, 0.010
