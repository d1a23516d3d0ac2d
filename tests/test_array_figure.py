"""The array figure: a PNG of known size for any array, and what is drawn agrees with the array."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from arrayse.geometry import ArrayGeometry, circular, compact_diamond, glasses, linear, phone
from arrayse.report.array_figure import FLOOR_DB, draw_array, spacings
from arrayse.report.array_style import DOTS_PER_INCH, SIZE_INCHES

Draw = Callable[[ArrayGeometry], dict[str, Axes]]
RNG = np.random.default_rng(0)
ARRAYS = [
    *(linear(n_mics) for n_mics in (1, 2, 3, 16)),
    circular(5),
    ArrayGeometry(np.array([[0, 0, 0], [0, 0, 0.05]]), ref_mic=1, name="on top of each other"),
    ArrayGeometry(np.array([[0, 0, 0], [0.05, 0, 0]]), name=r"$\no maths$"),
    ArrayGeometry(RNG.uniform(-0.1, 0.1, (16, 3)), ref_mic=7, name="cloud " * 30),
]


def curve(line: Line2D) -> np.ndarray:
    """What a line shows: (2, n_points)."""
    return np.array([line.get_xdata(), line.get_ydata()], dtype=float)


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draws an array, without the slow step to pixels, and gives the panels by title."""
    figures: list[Figure] = []

    def keep(self: Figure, path: Path, format: str) -> None:
        figures.append(self)
        path.write_text(format)

    monkeypatch.setattr(Figure, "savefig", keep)

    def call(geometry: ArrayGeometry) -> dict[str, Axes]:
        draw_array(geometry, tmp_path / "array.png")
        return {panel.get_title(loc="left"): panel for panel in figures[-1].axes}

    return call


@pytest.mark.parametrize("geometry", ARRAYS, ids=lambda geometry: f"{geometry.n_mics}-{geometry.name[:9]}")
def test_writes_a_png_of_the_expected_size_with_ink_in_every_panel(geometry: ArrayGeometry, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "array.png"
    assert draw_array(geometry, path) == path
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int(inches * DOTS_PER_INCH) for inches in SIZE_INCHES)
    assert struct.unpack(">II", head[16:24]) == (width, height)
    assert [file.name for file in path.parent.iterdir()] == ["array.png"]
    grey = imread(path)[..., :3].mean(-1)
    for part in (grey[: height // 2], grey[height // 2 :]):
        for third in np.array_split(part, 3, axis=1):
            assert 0.005 < (third < 0.9).mean() < 0.4
    assert (grey[:, -4:] == 1).all()  # nothing runs over the right edge
    assert (grey[:, :4] == 1).all()


def test_the_title_tells_name_number_aperture_and_aliasing(draw: Draw) -> None:
    def title(geometry: ArrayGeometry) -> tuple[str, str, str]:
        name, facts, aliasing = draw(geometry)["Directivity index"].figure.texts
        return name.get_text(), facts.get_text(), aliasing.get_text()

    name, facts, aliasing = title(compact_diamond())
    assert name == "compact_diamond"
    assert facts.split("   ·   ")[:2] == ["5 microphones", "aperture 12 mm"]
    assert "the widest pair (12 mm) 14.3 kHz, the closest pair (3.5 mm) 49 kHz" in aliasing
    assert "the only pair (50 mm) 3.43 kHz" in title(linear(2, 0.05))[2]
    corners = [[0, 0, 0], [0.05, 0, 0], [0.025, 0.05 * np.sqrt(3) / 2, 0]]
    assert "all pairs (50 mm) 3.43 kHz" in title(ArrayGeometry(np.array(corners)))[2]
    assert "1 microphone   ·   aperture 0 mm" in title(linear(1))[1]
    assert title(linear(1))[2] == "no spatial aliasing"
    assert title(ArrayGeometry(np.zeros((1, 3)), name="long" * 30))[0] == ("long" * 30)[:69] + "…"


def test_both_aliasing_frequencies_are_those_of_the_distances() -> None:
    geometry = ArrayGeometry(np.array([[0, 0, 0], [0.02, 0, 0], [0, 0.1, 0]]))
    widest, closest = spacings(geometry)
    assert widest.metres == pytest.approx(geometry.aperture) == pytest.approx(np.hypot(0.02, 0.1))
    assert closest.aliasing_hz == pytest.approx(geometry.aliasing_hz) == pytest.approx(343 / 0.04)
    assert widest.aliasing_hz == pytest.approx(343 / 2 / np.hypot(0.02, 0.1))


def test_the_side_view_is_drawn_only_if_heights_differ(draw: Draw) -> None:
    flat = {"Layout from above", "Delay-and-sum beampattern", "Superdirective beampattern"}
    flat |= {"Directivity index", "White-noise gain"}
    assert set(draw(compact_diamond())) == flat
    assert set(draw(phone())) == flat | {"Layout from behind"}
    standing = ArrayGeometry(np.array([[0, 0, 0], [0.1, 0, 0.02], [-0.1, 0.03, 0]]))
    assert set(draw(standing)) == flat | {"Layout from the right"}
    tilted_by_rounding = ArrayGeometry(circular().positions + [[0, 0, 1e-17 * mic] for mic in range(5)])
    assert set(draw(tilted_by_rounding)) == flat


def test_layout_shows_front_up_left_on_the_left_every_number_and_the_reference(draw: Draw) -> None:
    geometry = ArrayGeometry(compact_diamond().positions, ref_mic=3)
    panel = draw(geometry)["Layout from above"]
    assert panel.xaxis_inverted()
    assert not panel.yaxis_inverted()
    assert panel.get_xlabel().split("   ") == ["left  ←", "y (mm)", "→  right"]
    assert panel.get_ylabel().split("   ") == ["back  ←", "x (mm)", "→  front"]
    at = {text.get_text(): text.get_position() for text in panel.texts}
    for mic, (x, y, _) in enumerate(geometry.positions * 1e3):
        np.testing.assert_allclose(at[str(mic)], (y, x), atol=1e-9)
    assert "front" in at
    squares = [line for line in panel.lines if line.get_marker() == "s" and np.size(line.get_xdata())]
    np.testing.assert_allclose([curve(line)[:, 0] for line in squares], [[3.5, 0]])


def test_hidden_microphones_share_a_label(draw: Draw) -> None:
    column = ArrayGeometry(np.array([[0, 0, 0], [0, 0, 0.05], [0.1, 0, 0], [0, 0, 0.1]]))
    panels = draw(column)
    assert {"0, 1, 3", "2"} <= {text.get_text() for text in panels["Layout from above"].texts}
    assert {"0", "1", "2", "3"} <= {text.get_text() for text in panels["Layout from the right"].texts}


@pytest.mark.parametrize("geometry", [linear(1), circular(), glasses()], ids=lambda geometry: geometry.name)
def test_beampatterns_pass_0_db_at_the_front_and_stop_at_the_floor(geometry: ArrayGeometry, draw: Draw) -> None:
    panels = draw(geometry)
    for title in ("Delay-and-sum beampattern", "Superdirective beampattern"):
        assert [line.get_label() for line in panels[title].lines] == ["500 Hz", "1 kHz", "2 kHz", "4 kHz"]
        for line in panels[title].lines:
            angle, level = curve(line)
            assert level[np.argmin(np.abs(angle))] == pytest.approx(0, abs=1e-6)
            assert level.min() >= FLOOR_DB
        assert panels[title].get_ylim() == (FLOOR_DB, 0)


def test_a_response_above_0_db_is_shown_and_not_cut(draw: Draw) -> None:
    panel = draw(phone(3))["Superdirective beampattern"]
    peak = max(curve(line)[1].max() for line in panel.lines)
    assert 0.1 < peak < panel.get_ylim()[1]


def test_gains_and_the_aliasing_line(draw: Draw) -> None:
    geometry = circular()
    panels = draw(geometry)
    for title in ("Directivity index", "White-noise gain"):
        simple, sharp, _, widest, closest = panels[title].lines
        np.testing.assert_allclose(curve(widest)[0], 343 / 2 / geometry.aperture)
        np.testing.assert_allclose(curve(closest)[0], geometry.aliasing_hz)
        assert widest.get_label() == "Aliasing of the widest pair, 1.8 kHz"
        assert closest.get_label() == "Aliasing of the closest pair, 2.92 kHz"
        assert widest.get_linestyle() != closest.get_linestyle()
        assert panels[title].get_xlim() == (100, 8000)
    np.testing.assert_allclose(curve(simple)[1], 10 * np.log10(5))
    assert (curve(sharp)[1] <= 10 * np.log10(5) + 1e-9).all()
    assert len(draw(linear(1))["Directivity index"].lines) == 3  # one microphone has no aliasing
    beyond = draw(compact_diamond())["Directivity index"]
    labels = [text.get_text() for legend in beyond.figure.legends for text in legend.texts]
    assert labels == ["500 Hz", "1 kHz", "2 kHz", "4 kHz", "Delay-and-sum", "Superdirective (loading 0.01)"]


@pytest.mark.parametrize("sample_rate", [8000, 48000])
def test_other_sample_rates(sample_rate: int, tmp_path: Path) -> None:
    assert draw_array(compact_diamond(), tmp_path / "a.png", sample_rate).stat().st_size > 20000


def test_a_hopeless_sample_rate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sample_rate: expected more than 400 Hz, got 100"):
        draw_array(compact_diamond(), tmp_path / "a.png", 100)
    assert not list(tmp_path.iterdir())


def test_drawing_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import arrayse.report.array_figure as it\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from arrayse.geometry import circular; import matplotlib; before = matplotlib.rcParams.copy()\n"
        f"it.draw_array(circular(), Path({str(tmp_path / 'a.png')!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert all(before[key] == matplotlib.rcParams[key] for key in before if key != 'backend')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
