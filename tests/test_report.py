"""The report page: what goes in comes out, nothing is loaded from elsewhere, and no name becomes markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.geometry import ArrayGeometry
from arrayse.report.audio import read_waves
from arrayse.report.build import build_report
from arrayse.report.curves import curve_figure
from arrayse.report.evaluation import read_evaluation
from arrayse.report.figures import array_figure, colour_index
from arrayse.report.results import parse_results
from arrayse.report.spectrograms import spectrogram
from tests.report_example import EVIL, GAIN, MEANS, SAMPLE_RATE, SNRS, cell_of, make_summary, write_evaluation

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    return write_evaluation(tmp_path / "eval")


class Page(HTMLParser):
    """Checks the nesting while it collects what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.text += data
        if any(tag in ("td", "th") for tag in self.open):
            self.rows[-1][-1] += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folders: list[Path], out: Path) -> Page:
    return Page(build_report(folders, out).read_text(encoding="utf-8"))


def test_the_page_holds_every_system_and_value_and_loads_nothing(evaluation: Path, tmp_path: Path) -> None:
    page = page_of([evaluation], tmp_path / "report.html")
    summary = json.loads((evaluation / "summary.json").read_text())
    for system in GAIN:
        cells = next(row for row in page.rows if row[0] == system and len(row) == 4 + 9)
        expected = [cell_of(summary, system, snr, metric)["mean"] for metric in MEANS for snr in SNRS]
        digits = [2] * 3 + [3] * 3 + [1] * 3
        written = [f"{value:.{places}f}".replace("-", "−") for value, places in zip(expected, digits, strict=True)]
        assert [cell.split("±")[0] for cell in cells[4:]] == written
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
    assert "url(http" not in (tmp_path / "report.html").read_text()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_names_stay_text_and_only_our_script_may_run(evaluation: Path, tmp_path: Path) -> None:
    text = build_report([evaluation], tmp_path / "report.html").read_text()
    page = Page(text)
    assert text.count("<script>") == 1
    assert page.find("u") == []
    assert EVIL in page.text
    assert "data/<i>office</i>" in page.text
    assert "runs: [a, <b>]" in page.text
    assert "1 × student, WB-PESQ: no <utterance> found" in page.text
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = next(entry["content"] for entry in page.find("meta") if "http-equiv" in entry)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_players_hold_every_wave_bit_for_bit_up_to_one_gain(evaluation: Path, tmp_path: Path) -> None:
    page = page_of([evaluation], tmp_path / "report.html")
    sounds = page.find("audio")
    assert len(sounds) == len([image for image in page.find("img") if image["class"] == "spectrum"]) == 2 * 5
    assert len([image for image in page.find("img") if image["class"] == "mask"]) == 2 * 4  # not of the noisy input
    assert len(page.find("fieldset")) == 2
    decoded = []
    for sound in sounds[:5]:
        content = base64.b64decode((sound["src"] or "").partition(",")[2])
        wave, rate = soundfile.read(io.BytesIO(content))
        assert rate == SAMPLE_RATE
        decoded.append(wave)
    order = [3, 1, 4, 0, 2]  # noisy, target, then the systems as in the table
    originals = [soundfile.read(evaluation / f"audio/test-1-{place}.wav")[0] for place in order]
    gain = 0.97 / max(np.abs(wave).max() for wave in originals)
    for wave, original in zip(decoded, originals, strict=True):
        np.testing.assert_allclose(wave, gain * original, atol=1.5 / 32768)
    assert "SI‑SDR −3.2 dB" in page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_same_folder_same_bytes_and_several_follow_each_other(evaluation: Path, tmp_path: Path) -> None:
    first = build_report([evaluation], tmp_path / "a.html").read_bytes()
    assert first == build_report([evaluation], tmp_path / "b.html").read_bytes()
    page = page_of([evaluation, evaluation], tmp_path / "c.html")
    assert len(page.find("section")) == 2
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(link["href"] or "")[1:] for link in page.find("a") if "download" not in link} <= set(ids)


@pytest.mark.parametrize("names", [("noisy",), ("student",), ("noisy", "student"), ("noisy", "teacher")])
def test_few_systems_one_snr_missing_values_and_no_examples(names: tuple[str, ...], tmp_path: Path) -> None:
    summary = make_summary((0,), names) | {"array": None, "differences": [], "provenance": {}}
    for row in summary["table"]:
        if row["metric"] == "estoi":
            row |= {"mean": None, "low": None, "high": None, "n": 0, "n_failed": 60}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of([tmp_path], tmp_path / "report.html")
    _, row, *_ = [row for row in page.rows if row[0] == names[-1]]  # after the overview
    assert row[-2] == "–†"
    assert page.find("audio") == []
    assert not re.search(r"\b(nan|none)\b", page.text.lower().replace("failed scores: none", ""))
    assert EVIL not in page.text
    assert "60 of 60" in page.text


def test_what_is_missing_or_broken_is_named(evaluation: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(ValueError, match=r"evaluations: expected at least one folder, got none"):
        build_report([], out)
    with pytest.raises(ValueError, match=rf"evaluation: expected summary.json in {tmp_path}/no, got none"):
        build_report([tmp_path / "no"], out)
    (evaluation / "audio/test-2-3.wav").unlink()
    with pytest.raises(ValueError, match=r"expected audio file .*test-2-3.wav, got none"):
        build_report([evaluation], out)
    outside = [{"scene": "a", "snr_db": 0, "waves": {"noisy": "../secret.wav"}}]
    soundfile.write(tmp_path / "secret.wav", np.zeros(100), SAMPLE_RATE)
    (evaluation / "examples.json").write_text(json.dumps(outside))
    with pytest.raises(ValueError, match=r"expected audio inside .*secret.wav"):
        build_report([evaluation], out)
    (evaluation / "summary.json").write_text("{")
    with pytest.raises(ValueError, match=r"expected JSON in .*summary.json"):
        read_evaluation(evaluation)
    (evaluation / "summary.json").write_text(json.dumps({"systems": []}))
    with pytest.raises(ValueError, match=r"summary.json: summary: expected 'metrics', got \['systems'\]"):
        read_evaluation(evaluation)
    assert not out.exists()


def test_waves_of_an_example_share_gain_and_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.5), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.wav", np.full(60, 0.25), SAMPLE_RATE)
    waves, rate = read_waves({"a": tmp_path / "a.wav", "b": tmp_path / "b.wav"})
    assert rate == SAMPLE_RATE
    assert waves["a"] == pytest.approx(np.full(100, 0.97))
    assert waves["b"] == pytest.approx(np.r_[np.full(60, 0.485), np.zeros(40)])
    soundfile.write(tmp_path / "c.wav", np.zeros((60, 2)), SAMPLE_RATE)
    with pytest.raises(ValueError, match="expected 1 channel, got 2"):
        read_waves({"a": tmp_path / "a.wav", "c": tmp_path / "c.wav"})
    soundfile.write(tmp_path / "d.wav", np.zeros(60), SAMPLE_RATE)
    silent, _ = read_waves({"d": tmp_path / "d.wav"})
    assert not silent["d"].any()


def test_curves_follow_the_page_colours_and_mark_each_system() -> None:
    results = parse_results(make_summary())
    assert list(colour_index(results).values()) == [0, 1, 2, 3]
    for metric in MEANS:
        figure = curve_figure(results, metric, "a")
        Page(figure)
        assert set(re.findall(r'data-system="(\d)"', figure)) == set("0123")
        assert {f"var(--s{index})" for index in range(4)} <= set(re.findall(r"var\(--s\d\)", figure))
        assert not re.search(r"#0[13]0[0-9a-f]{3}", figure)


def test_a_curve_goes_through_its_means() -> None:
    figure = curve_figure(parse_results(make_summary((-5, 0, 5), ("student",))), "si_sdr", "a")
    line = next(path for path in re.findall(r'd="([^"]*)" clip-path', figure) if path.count("L") == 2)
    x, y = np.array(re.findall(r"[\d.]+", line), dtype=float).reshape(3, 2).T
    assert np.diff(x) == pytest.approx([np.diff(x)[0]] * 2, abs=1e-3)  # equal steps in SNR
    assert np.diff(y) == pytest.approx([np.diff(y)[0]] * 2, abs=1e-3)  # and in the mean: 0.05 a step
    assert np.diff(y)[0] < 0  # upwards


def test_the_array_is_drawn_with_the_front_up_and_left_on_the_left() -> None:
    array = ArrayGeometry(np.array([[0.05, 0, 0], [0, 0.05, 0]]), ref_mic=0)
    figure = array_figure(array, "a")
    Page(figure)
    (x0, y0), (x1, y1) = [
        [float(place) for place in found]
        for colour in ("accent", "muted")
        for found in re.findall(rf' x="([\d.]+)" y="([\d.]+)" style="fill: var\(--{colour}', figure)
    ]
    assert y0 < y1  # SVG counts downwards: the front microphone is above
    assert x1 < x0  # the left one is left
    ticks = re.findall(r'text-anchor: middle; [^>]* x="([\d.]+)"[^>]*>(\d+)<', figure)
    across = {int(number): float(x) for x, number in ticks}
    assert across[40] < across[20] < across[0]  # y is positive on the left


def test_a_tone_is_brightest_at_its_frequency_whatever_the_length() -> None:
    for n_samples in (100, 4000, 16000, 400_000):
        levels = spectrogram(np.sin(2 * np.pi * 2000 * np.arange(n_samples) / SAMPLE_RATE))
        assert levels.shape[0] == 257
        assert levels.shape[1] <= 300
        assert levels[:, 0].argmax() == pytest.approx(2000 / SAMPLE_RATE * 512, abs=1)
