"""SOFA files: known delays come back, and nothing in a file that is wrong or hostile gets through."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from arrayse.geometry import SPEED_OF_SOUND, circular, direction
from simulate.bodies import FreeField
from simulate.sofa import MAX_VALUES, SofaBody, read_sofa

POSITIONS = circular(3, 0.06).positions + np.array([0.03, -0.01, 0.02])  # not around the origin
SPHERE = np.array([[az, el, 1.5] for el in (-60, -30, 0, 30, 60) for az in range(0, 360, 20)], dtype=float)
BAND = np.linspace(100, 7000, 60)


def write_sofa(path: Path, taps: ArrayLike, sources: ArrayLike, rate: float = 16000, **more: Any) -> Path:
    """A small file of data type FIR; ``more`` are variables by name, ``_`` for the dot."""
    with h5py.File(path, "w") as file:
        for name, text in (("Conventions", "SOFA"), ("SOFAConventions", "GeneralFIR"), ("DataType", "FIR")):
            file.attrs[name] = np.bytes_(text)
        file["Data.IR"], file["Data.SamplingRate"] = np.asarray(taps), np.array([float(rate)])
        file["SourcePosition"] = np.asarray(sources, dtype=float)
        label(file["SourcePosition"], "spherical", "degree, degree, metre")
        for name, values in more.items():
            file[name.replace("_", ".")] = np.asarray(values, dtype=float)
    return path


def label(node: Any, kind: str, units: str = "metre") -> None:
    node.attrs["Type"], node.attrs["Units"] = np.bytes_(kind), np.bytes_(units)


def unit(sources: np.ndarray) -> np.ndarray:
    """Directions of positions in degrees."""
    return np.array([direction(azimuth, elevation) for azimuth, elevation, _ in sources])


def clicks(delay_seconds: np.ndarray, rate: float, n_taps: int = 256) -> np.ndarray:
    """Clicks with delays (...) in seconds: (..., n_taps), windowed sincs."""
    offset = np.arange(n_taps) - rate * delay_seconds[..., None]
    return np.sinc(offset) * np.where(np.abs(offset) < 40, 0.5 + 0.5 * np.cos(np.pi * offset / 40), 0)


def free_field_delays(predelay: float) -> np.ndarray:
    """(n_measured, n_mics) of microphones at POSITIONS."""
    return predelay - unit(SPHERE) @ POSITIONS.T / SPEED_OF_SOUND


# --- what is read back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_known_delays_come_back_at_any_rate(tmp_path: Path, rate: int) -> None:
    predelay = 0.00261
    body = SofaBody(write_sofa(tmp_path / "a.sofa", clicks(free_field_delays(predelay), rate), SPHERE, rate), 3)
    assert body.predelay == pytest.approx(predelay, abs=2e-7)
    got, expected = body.transfer(unit(SPHERE), BAND), FreeField(POSITIONS).transfer(unit(SPHERE), BAND)
    assert got.dtype == np.complex64
    np.testing.assert_allclose(got, expected, atol=0.01)


def test_a_predelay_that_is_told_is_taken(tmp_path: Path) -> None:
    path = write_sofa(tmp_path / "a.sofa", clicks(free_field_delays(0.003), 16000), SPHERE)
    fitted, told = SofaBody(path), SofaBody(path, predelay=0.002)
    late = np.exp(-2j * np.pi * BAND * 0.001)
    np.testing.assert_allclose(told.transfer(unit(SPHERE), BAND), fitted.transfer(unit(SPHERE), BAND) * late, atol=0.02)
    assert told.duration == pytest.approx(256 / 16000 - 0.002)


def test_some_of_the_directions_fit_a_predelay_too(tmp_path: Path) -> None:
    plane, front_above, one = SPHERE[:, 1] == 0, (SPHERE[:, 1] > 0) & (SPHERE[:, 0] < 90), np.arange(len(SPHERE)) == 40
    for kept in (plane, front_above, one):
        taps = clicks(free_field_delays(0.003), 16000)[kept]
        fitted = SofaBody(write_sofa(tmp_path / "a.sofa", taps, SPHERE[kept])).predelay
        assert fitted == pytest.approx(0.003, abs=1e-6 if kept.sum() > 1 else 2e-4)


@pytest.mark.parametrize("each", [False, True])
def test_delays_beside_the_taps_count(tmp_path: Path, each: bool) -> None:
    delays = free_field_delays(0.003)
    beside = delays - 0.0015 if each else np.array([[0.00081, 0.0, 0.0014]])
    whole = SofaBody(write_sofa(tmp_path / "a.sofa", clicks(delays, 16000), SPHERE))
    path = write_sofa(tmp_path / "b.sofa", clicks(delays - beside, 16000), SPHERE, Data_Delay=beside * 16000)
    split = SofaBody(path)
    assert split.predelay == pytest.approx(whole.predelay, abs=2e-7)
    np.testing.assert_allclose(split.transfer(unit(SPHERE), BAND), whole.transfer(unit(SPHERE), BAND), atol=0.02)


def test_the_same_directions_in_either_kind_of_coordinates(tmp_path: Path) -> None:
    taps = clicks(free_field_delays(0.003), 16000)
    spherical = read_sofa(write_sofa(tmp_path / "a.sofa", taps, SPHERE))
    path = write_sofa(tmp_path / "b.sofa", taps, 1.5 * unit(SPHERE) + [3, 2, 1], ListenerPosition=[[3, 2, 1]])
    with h5py.File(path, "r+") as file:
        label(file["SourcePosition"], "cartesian")
        label(file["ListenerPosition"], "cartesian")
    np.testing.assert_allclose(read_sofa(path).directions, spherical.directions, atol=1e-12)
    np.testing.assert_allclose(spherical.directions, unit(SPHERE), atol=1e-12)


def test_a_listener_that_turns_is_a_source_that_goes_round(tmp_path: Path) -> None:
    azimuths = np.arange(0, 360, 30)
    view = np.array([direction(-azimuth) for azimuth in azimuths])
    taps = np.ones((len(azimuths), 1, 4))
    path = write_sofa(tmp_path / "a.sofa", taps, [[0.0, 0.0, 1.5]], ListenerView=view, ListenerUp=[[0, 0, 1]])
    with h5py.File(path, "r+") as file:
        label(file["ListenerView"], "cartesian")
    np.testing.assert_allclose(read_sofa(path).directions, [direction(azimuth) for azimuth in azimuths], atol=1e-12)
    with h5py.File(path, "r+") as file:
        file["ListenerUp"][...] = [[0, 0, -1]]  # hanging head down: left is right
    np.testing.assert_allclose(read_sofa(path).directions, [direction(-azimuth) for azimuth in azimuths], atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000))
def test_the_nearest_measured_direction_answers(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / "nearest.sofa"
    if not path.exists():
        levels = np.arange(1, len(SPHERE) + 1)[:, None, None] * np.eye(8)[1]
        write_sofa(path, levels, SPHERE)
    wanted = np.random.default_rng(seed).standard_normal((5, 3))
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    answered = np.abs(SofaBody(path).transfer(wanted, np.array([1000.0])))[:, 0, 0].round().astype(int) - 1
    chord = np.linalg.norm(wanted[:, None] - unit(SPHERE), axis=2)
    np.testing.assert_array_equal(answered, chord.argmin(axis=1))


# --- what is refused ----------------------------------------------------------------------------------------


def replace(name: str, values: ArrayLike, **how: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        file.create_dataset(name, data=values, **how).attrs.update(attributes)

    return change


def huge(shape: tuple[int, ...], chunks: tuple[int, ...] | None = None) -> Callable[[h5py.File], None]:
    """Declares a variable whose numbers take no room in the file."""

    def change(file: h5py.File) -> None:
        del file["Data.IR"]
        largest = None if chunks is None else (None, None, None)
        file.create_dataset("Data.IR", shape, dtype="f8", chunks=chunks, maxshape=largest)

    return change


def elsewhere(file: h5py.File) -> None:
    del file["Data.IR"]
    file["Data.IR"] = h5py.ExternalLink("other.h5", "/x")


def raw_file(file: h5py.File) -> None:
    del file["Data.IR"]
    file.create_dataset("Data.IR", (2, 2, 8), dtype="f8", external=[("/etc/hostname", 0, 256)])


def composed(file: h5py.File) -> None:
    del file["Data.IR"]
    layout = h5py.VirtualLayout((2, 2, 8), dtype="f8")
    layout[...] = h5py.VirtualSource("other.h5", "x", (2, 2, 8))
    file.create_virtual_dataset("Data.IR", layout)


def attribute(node: str, name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file[node].attrs.__setitem__(name, value)


def without(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


TAPS = np.random.default_rng(1).standard_normal((2, 2, 8))
NAN = np.where(np.arange(8) == 3, np.nan, TAPS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (attribute("/", "Conventions", np.bytes_("HDF")), "expected Conventions SOFA, got HDF"),
        (attribute("/", "DataType", np.bytes_("TF")), "expected DataType FIR, got TF"),
        (lambda file: file.attrs.__delitem__("DataType"), "expected DataType FIR, got none"),
        (attribute("/", "DataType", "FIR"), "expected text of fixed length in DataType, got object"),
        (attribute("/", "DataType", np.bytes_("x" * 5000)), "expected text of fixed length in DataType, got .S5000"),
        (without("Data.IR"), "expected the variable Data.IR in the file"),
        (without("Data.SamplingRate"), "expected the variable Data.SamplingRate in the file"),
        (without("SourcePosition"), "expected the variable SourcePosition in the file"),
        (lambda file: (without("Data.IR")(file), file.create_group("Data.IR")), "expected the variable Data.IR"),
        (elsewhere, "expected the variable Data.IR in the file"),
        (raw_file, "expected Data.IR inside the file, got one whose numbers are in another"),
        (composed, "expected Data.IR inside the file, got one whose numbers are in another"),
        (huge((1 << 20, 2, 1 << 20)), f"expected at most {MAX_VALUES} numbers in Data.IR, got shape .1048576, 2"),
        (huge((2, 2, 8), (1, 1, 1 << 28)), f"expected at most {MAX_VALUES} numbers in Data.IR"),
        (replace("Data.IR", NAN), "expected finite numbers in Data.IR, got 4 NaN"),
        (replace("Data.IR", 1e30 * TAPS), "expected finite numbers in Data.IR, got 32 NaN, infinite or beyond 1e"),
        (replace("Data.IR", TAPS[0]), "expected numbers with 3 axes in Data.IR, got float64 of shape .2, 8"),
        (replace("Data.IR", TAPS[..., :0]), "expected numbers with 3 axes in Data.IR, got float64 of shape .2, 2, 0"),
        (replace("Data.IR", TAPS.astype("S8")), "expected numbers with 3 axes in Data.IR, got .S8"),
        (replace("Data.IR", TAPS * [[1.0], [0.0]]), "got silence at receiver 1 of measurement 0"),
        (replace("Data.IR", np.ones((2, 2, 4000))), "at most 0.1 s, got 0.25 s: of a room?"),
        (replace("Data.SamplingRate", [0.0]), "expected one Data.SamplingRate above 0 Hz"),
        (replace("Data.SamplingRate", [16000.0, 44100.0]), "expected one Data.SamplingRate above 0 Hz"),
        (replace("Data.Delay", np.zeros((3, 2))), "expected Data.Delay for 2 x 2 responses, got shape .3, 2"),
        (replace("Data.Delay", np.full((1, 2), 1e9)), "expected responses of a body, at most 0.1 s"),
        (replace("SourcePosition", np.ones((3, 3))), "expected SourcePosition of shape .2, 3. or .1, 3., got .3, 3"),
        (replace("SourcePosition", np.ones((2, 2))), "expected SourcePosition of shape .2, 3. or .1, 3., got .2, 2"),
        (replace("SourcePosition", [[np.nan, 0, 1], [0, 0, 1]]), "expected finite numbers in SourcePosition"),
        (replace("SourcePosition", [[0.0, 0, 1], [9, 0, 0]]), "expected SourcePosition to give a direction, .* row 1"),
        (attribute("SourcePosition", "Type", np.bytes_("polar")), "expected SourcePosition of Type .* got Type polar"),
        (attribute("SourcePosition", "Units", np.bytes_("radian")), "spherical in degrees, got Type spherical, Units"),
        (replace("ListenerView", [[1.0, 0, 0]]), "expected ListenerView of Type .* got Type none"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = write_sofa(tmp_path / "wrong.sofa", TAPS, [[0, 0, 1], [90, 0, 1]])
    read_sofa(path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message) as caught:
        read_sofa(path)
    assert str(caught.value).startswith(f"{path}: expected")


def test_damaged_files_are_refused_or_read_but_never_more(tmp_path: Path) -> None:
    whole = write_sofa(tmp_path / "whole.sofa", TAPS, [[0, 0, 1], [90, 0, 1]]).read_bytes()
    rng, path, messages = np.random.default_rng(2), tmp_path / "damaged.sofa", []
    for number in range(150):
        damaged = bytearray(whole if number % 3 else whole[: rng.integers(len(whole))])
        for place in rng.integers(0, max(len(damaged), 1), 4 if len(damaged) else 0):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            SofaBody(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all(message.startswith(f"{path}: expected") for message in messages)


def test_the_number_of_receivers_is_that_of_the_array(tmp_path: Path) -> None:
    path = write_sofa(tmp_path / "a.sofa", TAPS, [[0, 0, 1], [90, 0, 1]])
    with pytest.raises(ValueError, match=r"a\.sofa: expected 5 receivers \(Data.IR\), got 2"):
        SofaBody(path, n_mics=5)
    assert SofaBody(path).n_mics == 2


def test_what_the_file_does_not_reach_is_not_answered(tmp_path: Path) -> None:
    body = SofaBody(write_sofa(tmp_path / "a.sofa", TAPS, [[0, 0, 1], [90, 0, 1]], rate=8000))
    front = np.array([[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match=r"a\.sofa: expected a Data.SamplingRate for sound up to 8000 Hz, got 8000 Hz"):
        body.transfer(front, np.array([100.0, 8000.0]))
    with pytest.raises(ValueError, match="directions: expected unit vectors"):
        body.transfer(2 * front, np.array([100.0]))
    with pytest.raises(ValueError, match=r"predelay: expected at most 0\.1 s, got nan s"):
        SofaBody(body.path, predelay=float("nan"))


def test_no_file_and_no_hdf5_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"none\.sofa: expected a SOFA file, got none there"):
        SofaBody(tmp_path / "none.sofa")
    (tmp_path / "text.sofa").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text\.sofa: expected a readable SOFA file \(HDF5\)"):
        SofaBody(tmp_path / "text.sofa")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'arrayse\[sofa\]'"):
        SofaBody(tmp_path / "text.sofa")
