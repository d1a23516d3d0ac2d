"""What an exported file says about itself: one JSON text, and a few plain numbers for hosts in other languages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from arrayse.geometry import ArrayGeometry

KEY = "arrayse"
"""The metadata property with the JSON text; ``arrayse.NAME`` are plain numbers."""

VERSION = 1
"""Of the layout of this text, of inputs and of outputs; files of another version are refused."""

Form = Literal["frame", "wave"]

DTYPES = ("float32", "float64", "int64", "bool")

MAX_WEIGHT = 1e6
"""Of a window: far beyond any that gives a signal back."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the graph; ``next`` is the output that replaces a state."""

    name: str
    shape: list[int]
    dtype: str
    next: str | None = None


@dataclass(frozen=True)
class Transform:
    """The short-time Fourier transform around a network that works on frames.

    Attributes:
        n_fft, hop_length, win_length: samples; a frame is filled up with zeros behind.
        latency_samples: the synthesis window is zero but for so many samples at the end of the frame.
        kind: of the windows.
        window: (win_length,) of the analysis.
        dual: (win_length,) of the synthesis.
    """

    n_fft: int
    hop_length: int
    win_length: int
    latency_samples: int
    kind: str
    window: list[float]
    dual: list[float]


@dataclass(frozen=True)
class Metadata:
    """All that a host has to know.

    The graph's inputs are the signal, then the states; its outputs are the estimate, then the next states in the same
    order. States begin as zeros.

    Attributes:
        form: ``frame``: the host does the transform; ``wave``: the graph does.
        int8: whether weights are quantised.
        network: its name.
        sample_rate: Hz.
        array: name, positions (n_mics, 3) in metres, ref_mic.
        mics: channels of the array that the network hears, in their order.
        ref_mic: channel of the array at which speech is estimated.
        block_samples: of every step.
        delay_samples: the estimate of a step belongs to samples that came so much earlier.
        signal: the input: ``spec`` (n_mics, n_freqs, 2), real and imaginary part last, or ``wave``
            (n_mics, block_samples).
        estimate: the output: (n_freqs, 2) or (block_samples,).
        states: what is carried from step to step.
        stft: the transform; None where the network has none.
        opset: of ONNX.
        run: hash of description and weights of the run; None if it was none.
        git: revision of arrayse; None outside a checkout.
    """

    form: Form
    int8: bool
    network: str
    sample_rate: int
    array: dict[str, Any]
    mics: list[int]
    ref_mic: int
    block_samples: int
    delay_samples: int
    signal: TensorInfo
    estimate: TensorInfo
    states: list[TensorInfo]
    stft: Transform | None
    opset: int
    run: str | None
    git: str | None

    @property
    def latency_samples(self) -> int:
        """Sample n of the result depends on none from n + ``latency_samples`` on."""
        return self.block_samples + self.delay_samples

    @property
    def geometry(self) -> ArrayGeometry:
        """The array."""
        return ArrayGeometry(**self.array)

    @property
    def n_array_mics(self) -> int:
        """Microphones of the array."""
        return self.geometry.n_mics

    def properties(self) -> dict[str, str]:
        """The metadata properties of the file, text by key; the same metadata give the same text."""
        text = json.dumps({"version": VERSION, "latency_samples": self.latency_samples, **asdict(self)}, sort_keys=True)
        plain = ("sample_rate", "block_samples", "delay_samples", "n_array_mics")
        numbers = {f"{KEY}.{name}": str(getattr(self, name)) for name in plain}
        return {KEY: text, f"{KEY}.version": str(VERSION), **numbers, f"{KEY}.mics": " ".join(map(str, self.mics))}


def parse(text: str) -> Metadata:
    """Reads the JSON text.

    Raises:
        ValueError: another version, or values that no export writes.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("expected JSON, got other text") from None
    if not isinstance(values, dict) or values.get("version") != VERSION:
        version = values.get("version") if isinstance(values, dict) else None
        raise ValueError(f"expected version {VERSION}, got {version}")
    latency = values.get("latency_samples")
    try:
        of_stft = values["stft"]
        parts = {
            "signal": _tensor(values["signal"]),
            "estimate": _tensor(values["estimate"]),
            "states": [_tensor(each) for each in values["states"]],
            "stft": None if of_stft is None else Transform(**{f.name: of_stft[f.name] for f in fields(Transform)}),
        }
        metadata = Metadata(**{**{f.name: values[f.name] for f in fields(Metadata)}, **parts})
        _check(metadata, latency)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"expected what arrayse export writes, got other values: {error!r}") from None
    return metadata


def _tensor(values: dict[str, Any]) -> TensorInfo:
    info = TensorInfo(**values)
    good = _is_text(info.name) and info.dtype in DTYPES and all(_is_count(each) for each in info.shape)
    _require("tensor", good and (info.next is None or _is_text(info.next)), "name, shape and type", values)
    return info


def _check(metadata: Metadata, latency: Any) -> None:
    """Raises ValueError unless all numbers are there and agree with each other."""
    _require("form", metadata.form in get_args(Form), "frame or wave", metadata.form)
    _require("int8", isinstance(metadata.int8, bool), "true or false", metadata.int8)
    for name in ("sample_rate", "block_samples", "opset"):
        _require(name, _is_count(getattr(metadata, name)), "a positive number", getattr(metadata, name))
    for name in ("network", "run", "git"):
        value = getattr(metadata, name)
        _require(name, _is_text(value) or (value is None and name != "network"), "text", value)
    delay, n_mics = metadata.delay_samples, metadata.n_array_mics
    _require(
        "delay_samples", _is_count(delay, 0) and latency == metadata.latency_samples, "a latency less a block", delay
    )
    mics = metadata.mics
    known = isinstance(mics, list) and all(_is_count(mic, 0) and mic < n_mics for mic in mics)
    _require("mics", known and len(set(mics)) == len(mics) > 0, f"channels of {n_mics} microphones", mics)
    _require("ref_mic", metadata.ref_mic in mics, f"one of {mics}", metadata.ref_mic)
    stft, shape = metadata.stft, [len(mics), metadata.block_samples]
    _require("stft", metadata.form == "wave" or stft is not None, "a transform with its windows", stft)
    if stft is not None:
        _check_transform(stft, metadata)
        shape = [len(mics), stft.n_fft // 2 + 1, 2] if metadata.form == "frame" else shape
    _require("signal", metadata.signal.shape == shape, str(shape), metadata.signal.shape)
    _require("estimate", metadata.estimate.shape == shape[1:], str(shape[1:]), metadata.estimate.shape)
    _require("states", all(state.next for state in metadata.states), "states that are replaced", metadata.states)


def _check_transform(stft: Transform, metadata: Metadata) -> None:
    """Raises ValueError unless the transform is one, and its block and delay are those of the stream."""
    _require("stft", _is_whole(stft), "a transform with its windows", stft.kind)
    block, delay = metadata.block_samples, metadata.delay_samples
    _require("hop_length", stft.hop_length == block, str(block), stft.hop_length)
    ahead = delay - (stft.latency_samples - block)
    _require("delay_samples", ahead >= 0 and ahead % block == 0, "that of the transform, and blocks", delay)


def _is_whole(stft: Transform) -> bool:
    """Whether lengths and windows fit each other."""
    lengths = (stft.hop_length, stft.latency_samples, stft.win_length, stft.n_fft)
    numbers = [*stft.window, *stft.dual]
    return (
        all(_is_count(length) for length in lengths)
        and list(lengths) == sorted(lengths)
        and len(stft.window) == len(stft.dual) == stft.win_length
        and all(isinstance(number, (int, float)) and abs(number) < MAX_WEIGHT for number in numbers)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(what: str, right: bool, expected: str, got: Any) -> None:
    if not right:
        raise ValueError(f"{what}: expected {expected}, got {got}")
