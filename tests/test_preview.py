"""The preview page: what is on it is what the dataset will hold, nothing is loaded, no name becomes markup."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from arrayse.geometry import ArrayGeometry, circular, glasses
from arrayse.preview import build_preview
from arrayse.preview.build import preview_scene
from arrayse.preview.facts import critical_distance
from arrayse.report.preview import scene_view, write_preview
from arrayse.report.preview_room import room_figure
from arrayse.report.preview_scene import Preview, PreviewScene
from simulate.corpus import load_corpus
from simulate.devices import DeviceRecipe
from simulate.measured import load_rooms
from simulate.recipe import Background, Motion, Recipe
from simulate.render import render
from simulate.respond import responder_of
from simulate.room import Acoustics, Room
from simulate.scene import World, draw_scene
from tests.test_report import Page
from tests.tiny_scenes import RATE, Corpora, tiny_world

EVIL = "<script>alert(1)<u>"
STEMS = ("noisy", "speech", "target", "noise")


def everything(recipe: Recipe) -> Recipe:
    """All that a recipe can ask for of the fast engine, in scenes of a quarter of a second."""
    return replace(
        recipe,
        acoustics=Acoustics(walls=[1, 1, 3, 1, 2, 1.5], band_rt60=[[500, 1.2]]),
        background=Background("cylindrical", "babble", n_voices=2, wind_db=[-10.0, 0.0]),
        motion=Motion(target_share=1.0, interferer_share=1.0, turn_share=1.0),
        device=DeviceRecipe(
            1.0,
            3.0,
            1.0,
            self_noise_dba=30.0,
            high_pass_hz=80.0,
            clip_dbfs=-6.0,
            bits=16,
            dead_share=1.0,
            swap_share=1.0,
            clock_ppm=20.0,
        ),
        early_ms=50.0,
    )


@pytest.fixture(scope="module")
def worlds(corpora: Corpora, recipe: Recipe) -> dict[str, World]:
    still = tiny_world(corpora, recipe, ArrayGeometry(glasses().positions, 2, EVIL))
    return {"still": still, "moving": tiny_world(corpora, everything(recipe), circular())}


@pytest.fixture(scope="module")
def pages(worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    texts = {}
    for name, world in worlds.items():
        n_scenes = {"train": 1200, "valid": 0, "test": 34}
        path = build_preview(world, 2, folder / name / "preview.html", dataset_scenes=n_scenes)
        texts[name] = path.read_text(encoding="utf-8")
    return texts


def preview_of(world: World, index: int = 0) -> PreviewScene:
    return preview_scene(draw_scene(world, "train", index), world.geometry)


@pytest.mark.parametrize("name", ["still", "moving"])
def test_a_page_holds_every_scene_with_its_sounds_and_loads_nothing(pages: dict[str, str], name: str) -> None:
    text = pages[name]
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"s1", "s2", "s1-title", "summary"} <= set(ids)
    assert len(page.find("audio")) == len(page.find("fieldset")) * len(STEMS) == 2 * len(STEMS)
    assert len(page.find("svg")) == 3 + 2 * 6  # array, sources, glance; room and five figures a scene
    for scene in ("train-000000", "train-000001"):
        assert page.text.count(scene) >= 2  # at a glance, and as a heading
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
    links = {(link.get("href") or link.get("xlink:href") or "")[1:] for link in page.find("a")}
    assert links <= set(ids)
    assert "url(http" not in text
    assert not re.search(r"#0[13]0[0-9a-f]{3}", text)  # every colour is one of the page


def test_only_the_page_script_may_run_and_names_stay_text(pages: dict[str, str]) -> None:
    text = pages["still"]
    page = Page(text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    assert text.count("<script>") == 1
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = next(entry["content"] or "" for entry in page.find("meta") if "http-equiv" in entry)
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert EVIL in page.text


def test_names_of_folders_and_speakers_stay_text(tiny_corpus: Path, recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / EVIL
    for speaker in ("a", "b", "c"):
        shutil.copytree(tiny_corpus / "noise", folder / f"<u>{speaker}$^$")
    speech, noise = (load_corpus(str(folder), kind, RATE) for kind in ("speech", "noise"))
    geometry = ArrayGeometry([[0.0, 0, 0]])
    out = build_preview(World(recipe, geometry, speech, noise, 0), 1, tmp_path / "<u>" / "preview.html")
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.find("u") == []
    assert text.count("<script>") == 1
    assert f"speech: {folder}" in page.text
    assert page.text.count("<u>") >= 3  # the title, the target, the path of the corpus
    assert "Coherence" not in page.text  # with one microphone there is none


def test_sounds_are_the_stems_at_the_reference_up_to_one_gain(worlds: dict[str, World], pages: dict[str, str]) -> None:
    world = worlds["moving"]
    mixture, _ = render(draw_scene(world, "train", 0), world.geometry)
    sounds = Page(pages["moving"]).find("audio")[: len(STEMS)]
    waves = [mixture.noisy, mixture.speech, mixture.target, mixture.noise]
    gain = 0.97 / max(np.abs(wave[0]).max() for wave in waves)
    for sound, wave in zip(sounds, waves, strict=True):
        decoded, rate = soundfile.read(io.BytesIO(base64.b64decode((sound["src"] or "").partition(",")[2])))
        assert rate == RATE
        np.testing.assert_allclose(decoded, gain * wave[0], atol=1.5 / 32768)


def test_the_same_world_gives_the_same_page(worlds: dict[str, World], pages: dict[str, str], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "still" / "preview.html"
    n_scenes = {"train": 1200, "valid": 0, "test": 34}
    build_preview(worlds["still"], 2, out, lambda done, total: steps.append((done, total)), dataset_scenes=n_scenes)
    assert out.read_text(encoding="utf-8") == pages["still"]
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_sizes_recipe_and_what_is_special_are_told(pages: dict[str, str]) -> None:
    still, moving = (" ".join(Page(pages[name]).text.split()) for name in ("still", "moving"))
    for told in ["1,234 scenes: train 1,200, test 34", "RT60 0.1 to 0.11 s", "148 MB on disk", "nothing moves"]:
        assert told in still.replace("\N{NO-BREAK SPACE}", " ")
    for told in ["target walks", "interferer 1 walks", "array turns", "cylindrical babble", " dead", " swapped"]:
        assert told in moving
    for told in ["Gains", "Phases", "Clocks", "Off their places", "Self-noise", "Converter", "×1.2 at 500 Hz", "×3"]:
        assert told in moving
        assert told not in still
    assert "Nothing stands out" in still


def test_distances_and_azimuths_are_those_the_scene_was_drawn_with(worlds: dict[str, World]) -> None:
    for world in worlds.values():
        scene = draw_scene(world, "train", 1)
        shown = preview_of(world, 1)
        assert scene.place is not None
        azimuths = [shown.azimuth_deg(source) for source in range(len(shown.sources))]
        assert azimuths == pytest.approx(scene.place.source_azimuths_deg)
        low, high = world.recipe.target_distance
        assert low <= (shown.distance(0) or 0) <= high
        room = Room(np.array(scene.place.room_dim), scene.place.rt60, scene.place.acoustics)
        assert critical_distance(room) == pytest.approx(0.057 * np.sqrt(np.prod(room.dim) / room.rt60))


def test_diffuse_noise_and_response_are_those_of_the_scene(worlds: dict[str, World]) -> None:
    for name, world in worlds.items():
        field = {"still": "spherical", "moving": "cylindrical"}[name]
        world = replace(world, recipe=replace(world.recipe, background=Background(field)))  # of one smooth spectrum
        drawn = [draw_scene(world, "train", index) for index in range(20)]
        swapped = [index for index, scene in enumerate(drawn) if scene.device.places[world.geometry.ref_mic]]
        scene, shown = drawn[swapped[0]], preview_of(world, swapped[0])
        assert shown.coherence is not None
        assert np.sqrt(np.mean((shown.coherence.measured - shown.coherence.theory) ** 2)) < 0.06
        heard = responder_of(scene, world.geometry).at_rest([0]).direct[0, scene.device.places[shown.ref_mic]]
        np.testing.assert_array_equal(shown.response.direct[0], heard)


def test_a_room_is_drawn_to_scale_with_everything_in_its_place(worlds: dict[str, World]) -> None:
    shown = preview_of(worlds["moving"])
    room, svg = shown.room, room_figure(shown, "a")
    assert room is not None
    Page(svg)
    paths = [source.path for source in shown.sources]
    discs = {fill: places(svg, fill) for fill in ("var(--s1)", "var(--s2)", "var(--card)")}
    for view, axes in enumerate(([0, 1], [0, 2])):  # plan, side
        metres = np.array([path[0, axes] for path in paths if path is not None] + [room.array_centre[axes]])
        drawn = np.array([discs[fill][view] for fill in discs])
        steps, ways = np.diff(drawn, axis=0) * [1, -1], np.diff(metres, axis=0)
        np.testing.assert_allclose(steps, ways * steps[0, 0] / ways[0, 0], atol=0.02)
        assert steps[0, 0] / ways[0, 0] > 20  # points a metre, to the right
    mics = np.array(places(svg, "var(--accent)")[:1] + places(svg, "currentColor")[: len(room.mics) - 1])
    steps, ways = (mics - mics[0])[1:] * [1, -1], (room.mics - room.mics[0])[1:, :2]
    np.testing.assert_allclose(steps, ways * steps[0, 0] / ways[0, 0], atol=0.05)


def places(svg: str, fill: str) -> list[tuple[float, float]]:
    """Of the marks of one colour, in their order."""
    found = re.findall(rf' x="([\d.]+)" y="([\d.]+)" style="fill: {re.escape(fill)}', svg)
    return [(float(x), float(y)) for x, y in found]


@pytest.fixture
def measured(corpora: Corpora, recipe: Recipe, tmp_path: Path) -> World:
    """A reverberant room and one that is dry, of five microphones; the split has both."""
    rng = np.random.default_rng(0)
    rows = "path,split,kind,speaker_or_type\n"
    for room, rt60 in (("hall", 0.3), ("booth", 0.0)):
        for position in range(2):
            wave = 1e-6 * rng.standard_normal((6000 if rt60 else 400, 5))
            wave[100] = 0.8
            if rt60:
                late = 10 ** (-3 * np.arange(5800) / RATE / rt60)
                wave[200:] = 0.05 * late[:, None] * rng.standard_normal((5800, 5))
            (tmp_path / room).mkdir(exist_ok=True)
            soundfile.write(tmp_path / room / f"{position}.wav", wave, RATE, "FLOAT")
            rows += f"{room}/{position}.wav,train,rir,{room}\n"
    (tmp_path / "MANIFEST.csv").write_text(rows)
    return replace(tiny_world(corpora, recipe), rooms=load_rooms(str(tmp_path), RATE, 5))


def test_measured_rooms_have_no_drawing_and_dry_ones_are_told(measured: World, tmp_path: Path) -> None:
    rooms = [(draw_scene(measured, "train", index).measured or {})["responses"][0]["room"] for index in range(8)]
    n_scenes = max(rooms.index("hall"), rooms.index("booth")) + 1
    page = Page(build_preview(measured, n_scenes, tmp_path / "preview.html").read_text(encoding="utf-8"))
    assert len(page.find("svg")) == 2 + 5 * n_scenes
    assert page.text.count("there is no drawing") == n_scenes
    assert "measured room hall" in page.text
    assert "Distance" not in page.text
    dry = rooms[:n_scenes].count("booth")
    assert page.text.count("no decay that could be measured") == 2 * dry  # in the summary and beside the scene
    assert page.text.count("T30 0.") == n_scenes - dry
    with pytest.raises(ValueError, match="expected a simulated room to draw, got a measured one"):
        room_figure(preview_of(measured), "a")


def test_what_clips_and_what_drowns_in_self_noise_is_told(worlds: dict[str, World]) -> None:
    device = DeviceRecipe(self_noise_dba=80.0, clip_dbfs=-40.0)
    shown = preview_of(replace(worlds["still"], recipe=replace(worlds["still"].recipe, device=device)))
    assert [finding.split(" ", 2)[2] for finding in shown.findings] == [
        f"of the samples clip at microphone {shown.findings[0][-2]}.",
        "is louder than the SNR allows: nothing else is left of the noise.",
    ]


def test_rooms_that_miss_their_rt60_are_told(worlds: dict[str, World], monkeypatch: pytest.MonkeyPatch) -> None:
    mixture, measured = render(draw_scene(worlds["still"], "train", 0), worlds["still"].geometry)
    monkeypatch.setattr("arrayse.preview.build.render", lambda *scene: (mixture, measured | {"rt60_measured": 0.2}))
    shown = preview_of(worlds["still"])
    assert shown.findings == (f"RT60 is 0.20 s where {shown.rt60_asked:.2f} s was asked.",)


def test_long_scenes_and_high_rates_are_heard_in_part_and_at_16_khz(worlds: dict[str, World]) -> None:
    shown = preview_of(worlds["still"])
    time = np.arange(25 * 48000) / 48000
    tone = np.sin(2 * np.pi * 1000 * time) + np.sin(2 * np.pi * 15000 * time)
    stems = dict.fromkeys(STEMS, np.tile(tone.astype(np.float32), (5, 1)))
    player = scene_view(replace(shown, stems=stems, sample_rate=48000), "a").player
    assert player.title == "Microphone 2, the first 20 s"
    wave, rate = soundfile.read(io.BytesIO(base64.b64decode(player.sources[0].audio.partition(",")[2])))
    assert (rate, len(wave)) == (16000, 20 * 16000)
    spectrum = np.abs(np.fft.rfft(wave[:16000]))
    assert spectrum.argmax() == 1000
    assert spectrum[1500:].max() < 1e-2 * spectrum[1000]


def test_what_cannot_be_previewed_is_named(worlds: dict[str, World], corpora: Corpora, tmp_path: Path) -> None:
    out = tmp_path / "preview.html"
    with pytest.raises(ValueError, match="n_scenes: expected one scene or more to preview, got 0"):
        build_preview(worlds["still"], 0, out)
    narrow = replace(worlds["still"].recipe, target_distance=[30.0, 40.0])
    with pytest.raises(ValueError, match="scene train-000000: source: expected places"):
        build_preview(tiny_world(corpora, narrow), 1, out)
    with pytest.raises(ValueError, match="scenes: expected at least one to preview, got none"):
        write_preview(Preview("a", "b", "train", circular(), (), (), (), {}), [], out)
    assert not out.exists()
