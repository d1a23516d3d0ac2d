"""Keys of the verbs about what runs on a device: profile, export, enhance, stream (a file, or live)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from arrayse.schema.base import Place, Strict


class ProfileConfig(Strict):
    """A look at what networks cost.

    Attributes:
        out: folder, or a file ending in .md or .csv; None: it is only printed.
        array: that networks of configs hear: a name, a YAML file or its content.
        sample_rate: Hz, for networks of configs.
        rtf: measure real-time factors.
        seconds: length of the audio that is timed.
        repeats: measurements, whose median counts.
        device: time single blocks of one network, as a device runs it.
        onnx: file of ``arrayse export`` that is timed too.
    """

    out: Place | None = None
    array: Place | dict[str, Any] = "circular"
    sample_rate: Annotated[int, Ge(8000), Le(48000)] = 16000
    rtf: bool = True
    seconds: Annotated[float, Ge(0.1), Le(60)] = 4.0
    repeats: Annotated[int, Ge(1), Le(100)] = 3
    device: bool = False
    onnx: Place | None = None


class ExportConfig(Strict):
    """A network as an ONNX file.

    Attributes:
        form: ``frame``: a spectrum in and out; ``wave``: samples in and out. None: frame, if the network has spectra.
        int8: quantise LSTMs and linear layers.
        data: dataset on which it is scored what int8 costs; None: it is not.
        n_scenes: the first so many test scenes; None: all.
    """

    form: Literal["frame", "wave"] | None = None
    int8: bool = False
    data: Place | None = None
    n_scenes: Annotated[int, Ge(1)] | None = None


class EnhanceConfig(Strict):
    """Enhancing a recording.

    Attributes:
        gain_db: change of the level of the result.
    """

    gain_db: Annotated[float, Ge(-60), Le(60)] = 0.0


class StreamConfig(EnhanceConfig):
    """Enhancing block by block.

    Attributes:
        block: samples that come at once; None: as few as the network takes.
        backend: what computes; None: onnx for a file ending in .onnx, else torch.
    """

    block: Annotated[int, Ge(1), Le(2**20)] | None = None
    backend: Literal["torch", "onnx"] | None = None


class LiveConfig(StreamConfig):
    """Enhancing live sound.

    Attributes:
        input: number of a device or part of its name; None: that of the system.
        output: likewise.
        seconds: how long; None: until Ctrl-C.
        devices: list the devices and stop.
    """

    input: str | None = None
    output: str | None = None
    seconds: Annotated[float, Gt(0)] | None = None
    devices: bool = False
