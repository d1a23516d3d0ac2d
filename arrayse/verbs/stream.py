"""Running networks block by block: over a recording of any length, or between microphones and a loudspeaker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from arrayse.files import one_line
from arrayse.frontend.channels import check_channels
from arrayse.stream import Backend, Streamer, TorchBackend
from arrayse.stream.live import LiveStream, find_device
from arrayse.verbs.common import Values
from arrayse.verbs.recordings import look_at, write_estimate

BackendName = Literal["torch", "onnx"]


@dataclass(frozen=True)
class StreamedFile:
    """How a recording went through a network.

    Attributes:
        real_time_factor: wall time of the pushes over the length of what was pushed, with the zeros that fill the last
            block; reading and writing not included.
        block_samples: of every push.
        latency_ms: of a stream of such blocks; taken off the result.
        n_muted_blocks: blocks of the network with samples that were no sound.
    """

    real_time_factor: float
    block_samples: int
    latency_ms: float
    n_muted_blocks: int


def open_backend(run: Path, name: BackendName | None) -> Backend:
    """The network of a run folder, or of an exported file; None: which of them is told by the ending ``.onnx``.

    Raises:
        ValueError: neither, a network that is not causal, a package that is missing.
    """
    exported = run.suffix.lower() == ".onnx"
    if (name or ("onnx" if exported else "torch")) == "torch":
        if exported:
            raise ValueError(f"backend: expected onnx for an exported file, got torch for {run}")
        from arrayse.checkpoint import load_enhancer

        return TorchBackend(load_enhancer(run))
    if not exported:
        made = f"arrayse export {run} {run.name}.onnx makes one"
        raise ValueError(f"backend: expected a file ending in .onnx for onnx, got {run}: {made}")
    from arrayse.stream.onnx_backend import OnnxBackend

    return OnnxBackend(run)


def stream_file(
    backend: Backend, source: Path, destination: Path, values: Values, progress: Callable[[int, int], None]
) -> StreamedFile:
    """Enhances a recording block by block, in memory that does not depend on its length.

    The result is what ``Enhancer.enhance`` gives, as long as the recording and not late.

    Args:
        backend: the network.
        source: audio file.
        destination: audio file of one channel.
        values: checked keys of ``stream``.
        progress: is called with the seconds that are done, and all.

    Raises:
        ValueError: wrong number of channels or rate, unreadable or silent audio, a result that would clip.
    """
    info = look_at(source, destination, backend.sample_rate)
    check_channels(info.n_channels, backend, str(source))
    streamer = Streamer(backend, values["block"] or backend.block_samples)
    job = _FileJob(streamer, source, info.n_samples, progress)
    write_estimate(destination, job.estimates(), info.sample_rate, values["gain_db"])
    block, rate = streamer.multiple, info.sample_rate
    seconds, latency_ms = -(-info.n_samples // block) * block / rate, 1e3 * streamer.latency_samples / rate
    return StreamedFile(job.busy / seconds, block, latency_ms, streamer.n_muted_blocks)


def make_live(backend: Backend, sound: Any, values: Values) -> LiveStream:
    """The live stream that checked keys of ``stream_live`` ask for.

    Args:
        backend: the network.
        sound: see :func:`arrayse.stream.live.load_sound`.
        values: see above.

    Raises:
        ValueError: no such device, or one with too few channels.
    """
    source = find_device(sound, values["input"], "input")
    sink = find_device(sound, values["output"], "output")
    streamer = Streamer(backend, values["block"] or backend.block_samples)
    return LiveStream(streamer, sound, source, sink, values["gain_db"], values["seconds"])


class _FileJob:
    """A recording on its way through a network, with what is told about it afterwards."""

    def __init__(self, streamer: Streamer, source: Path, n_samples: int, progress: Callable[[int, int], None]) -> None:
        self.streamer, self.source, self.n_samples, self.progress = streamer, source, n_samples, progress
        self.busy, self.heard_sound = 0.0, False

    def estimates(self) -> Iterator[np.ndarray]:
        """As many samples as the recording has, not late; raises ValueError at the end of one that is silent."""
        rate, done = self.streamer.backend.sample_rate, 0
        for wave in self._aligned():
            yield wave
            if (done + len(wave)) // rate > done // rate:
                self.progress((done + len(wave)) // rate, max(1, self.n_samples // rate))
            done += len(wave)
        if not self.heard_sound:
            raise ValueError(f"{self.source}: expected sound, got silence")

    def _aligned(self) -> Iterator[np.ndarray]:
        """What comes out without the delay: as many samples as the recording has."""
        early, missing = self.streamer.delay_samples, self.n_samples
        for wave in self._enhanced():
            kept = wave[early:][:missing]
            early, missing = early - min(early, len(wave)), missing - len(kept)
            if len(kept):
                yield kept

    def _enhanced(self) -> Iterator[np.ndarray]:
        for block in self._blocks():
            self.heard_sound = self.heard_sound or bool((np.isfinite(block) & (block != 0)).any())
            start = time.perf_counter()
            wave = self.streamer.push(block)
            self.busy += time.perf_counter() - start
            yield wave
        yield self.streamer.flush()

    def _blocks(self) -> Iterator[np.ndarray]:
        """(n_channels, block) each, the last one filled up with zeros."""
        size, n_read = self.streamer.multiple, 0
        try:
            with soundfile.SoundFile(str(self.source)) as file:
                while n_read < self.n_samples:
                    block = file.read(size, dtype="float32", always_2d=True, fill_value=None).T
                    n_read += block.shape[1]
                    if block.shape[1] < size and n_read < self.n_samples:
                        raise ValueError(
                            f"{self.source}: expected {self.n_samples} samples, got {n_read}: the file is truncated"
                        )
                    yield np.pad(block, ((0, 0), (0, size - block.shape[1])))
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise ValueError(f"{self.source}: expected readable audio, got {one_line(error)}") from None
