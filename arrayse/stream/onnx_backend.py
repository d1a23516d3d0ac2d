"""An exported network in ONNX Runtime, as a backend of streams; needs no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.files import one_line
from arrayse.stream.onnx_content import read_content
from arrayse.stream.onnx_metadata import KEY, Metadata, TensorInfo, parse

State = tuple[np.ndarray, ...]

ORT_TYPES = {"float32": "tensor(float)", "float64": "tensor(double)", "int64": "tensor(int64)", "bool": "tensor(bool)"}


def check_packages(*names: str) -> None:
    """Raises ValueError where a package of the extra ``export`` is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ValueError(f"{name}: expected the package, got none: pip install 'arrayse[export]'")


class OnnxBackend:
    """See :class:`arrayse.stream.Backend`; computes with one thread of the CPU.

    A file of the form ``frame`` is surrounded by the short-time Fourier transform that its metadata describe; one of
    the form ``wave`` is given the samples.

    Args:
        path: what ``arrayse export`` wrote.

    Attributes:
        metadata: what the file says about itself.

    Raises:
        ValueError: no such file or package, a file of another origin or version, one with metadata that do not match
            its graph, or that ONNX Runtime refuses; see also :func:`arrayse.stream.onnx_content.read_content`.
    """

    def __init__(self, path: str | Path) -> None:
        check_packages("onnxruntime")
        path = Path(path)
        content, properties = read_content(path)
        if KEY not in properties:
            raise ValueError(f"{path}: expected a file that arrayse export wrote, got one without its metadata")
        try:
            self.metadata = parse(properties[KEY])
        except ValueError as error:
            raise ValueError(f"{path}: metadata: {error}") from None
        self._session = _open(content, path)
        _check_graph(self._session, self.metadata, path)
        self.sample_rate, self.geometry = self.metadata.sample_rate, self.metadata.geometry
        self.mics = list(self.metadata.mics)
        self.block_samples, self.delay_samples = self.metadata.block_samples, self.metadata.delay_samples
        self._signal = self.metadata.signal.name
        self._names = [state.name for state in self.metadata.states]
        self._wanted = [self.metadata.estimate.name, *(str(state.next) for state in self.metadata.states)]
        self._transform = _Transform(self.metadata) if self.metadata.form == "frame" else None

    def start(self) -> State:
        """See :meth:`arrayse.stream.Backend.start`."""
        states = [np.zeros(state.shape, state.dtype) for state in self.metadata.states]
        return (*(self._transform.start() if self._transform else ()), *states)

    def push(self, wave: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """See :meth:`arrayse.stream.Backend.push`."""
        if self._transform is None:
            estimate, *after = self.run(wave, state)
            return estimate, tuple(after)
        samples, begun, *states = state
        spec, samples = self._transform.analyse(wave, samples)
        estimate, *after = self.run(spec, states)
        whole, begun = self._transform.synthesise(estimate, begun)
        return whole, (samples, begun, *after)

    def run(self, signal: np.ndarray, states: Any) -> list[np.ndarray]:
        """One step of the graph alone: the estimate, then the next states."""
        feed = dict(zip(self._names, states, strict=True))
        feed[self._signal] = signal
        outputs: list[np.ndarray] = self._session.run(self._wanted, feed)
        return outputs


class _Transform:
    """The transform of :class:`arrayse.frontend.stft.Stft`, frame by frame."""

    def __init__(self, metadata: Metadata) -> None:
        stft = metadata.stft
        assert stft is not None
        self.n_mics, self.n_fft, self.hop = len(metadata.mics), stft.n_fft, stft.hop_length
        self.n_kept, self.n_begun = stft.win_length - stft.hop_length, stft.latency_samples - stft.hop_length
        self.window = np.array(stft.window, np.float32)
        self.part = slice(stft.win_length - stft.latency_samples, stft.win_length)
        self.dual = np.array(stft.dual, np.float32)[self.part]
        self.shape = tuple(metadata.signal.shape)

    def start(self) -> State:
        """The samples before the first, and what the frames before the first leave."""
        return np.zeros((self.n_mics, self.n_kept), np.float32), np.zeros(self.n_begun, np.float32)

    def analyse(self, wave: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The spectrum of the next frame (n_mics, n_freqs, 2), and the samples that the one after it sees too."""
        heard = np.concatenate((samples, wave), axis=1)
        spec = np.fft.rfft(heard * self.window, self.n_fft).astype(np.complex64, copy=False)
        return spec.view(np.float32).reshape(self.shape), heard[:, self.hop :]

    def synthesise(self, estimate: np.ndarray, begun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The samples that a frame (n_freqs, 2) completes, and what it leaves for the next ones."""
        frame = np.fft.irfft(estimate.view(np.complex64)[:, 0], self.n_fft)[self.part].astype(np.float32, copy=False)
        frame *= self.dual
        frame[: self.n_begun] += begun
        return frame[: self.hop], frame[self.hop :]


def _open(content: bytes, path: Path) -> Any:
    """A session with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        raise ValueError(f"{path}: expected a model that ONNX Runtime opens, got {one_line(error)}") from None


def _check_graph(session: Any, metadata: Metadata, path: Path) -> None:
    """Raises ValueError unless inputs and outputs of the graph are those that the metadata tell of, in their order."""
    states = metadata.states
    after = [TensorInfo(str(state.next), state.shape, state.dtype) for state in states]
    sides = {
        "inputs": (session.get_inputs(), [metadata.signal, *states]),
        "outputs": (session.get_outputs(), [metadata.estimate, *after]),
    }
    for side, (found, told) in sides.items():
        has = [(each.name, list(each.shape), each.type) for each in found]
        wanted = [(each.name, each.shape, ORT_TYPES[each.dtype]) for each in told]
        if has != wanted:
            odd = next((pair for pair in zip(wanted, has, strict=False) if pair[0] != pair[1]), (len(wanted), len(has)))
            raise ValueError(f"{path}: expected {side} as its metadata say, got others: {odd[1]} and not {odd[0]}")
