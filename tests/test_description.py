"""What a dataset tells of its world: the same scenes come back from it, and what has changed since is named."""

from __future__ import annotations

import shutil
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from arrayse.files import read_json, write_json
from arrayse.geometry import ArrayGeometry, glasses
from arrayse.mixture import SPLITS
from simulate.corpus import load_corpus
from simulate.description import open_world, stored_world, write_description, write_files
from simulate.devices import DeviceRecipe
from simulate.generate import generate
from simulate.measured import load_rooms
from simulate.recipe import Background, Carrier, Motion, Recipe
from simulate.room import Acoustics
from simulate.scene import World, draw_scene
from tests.tiny_scenes import RATE, hashes

N_SCENES = {"train": 3, "test": 2}


@pytest.fixture
def corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    """A corpus of one's own, whose files may be changed."""
    return Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Three files of four channels in a room of each split, and one of one; nothing reads what they hold."""
    rng, rows = np.random.default_rng(0), ["path,split,kind,speaker_or_type"]
    for split in SPLITS:
        for k in range(3):
            path = tmp_path / "rooms" / f"{split}_{k}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, rng.uniform(-1, 1, (100, 4)), RATE, "PCM_16")
            rows.append(f"{path.name},{split},rir,hall of {split}")
    soundfile.write(tmp_path / "rooms" / "mono.wav", rng.uniform(-1, 1, 100), RATE, "PCM_16")
    rows.append("mono.wav,train,rir,closet")
    (tmp_path / "rooms" / "MANIFEST.csv").write_text("\n".join(rows))
    return tmp_path / "rooms"


BASE = Recipe(
    seconds=0.25,
    room_min=[3.1, 3.0, 2.4],
    room_max=[3.6, 3.4, 2.6],
    rt60=[0.15, 0.2],
    wall_distance=0.41,
    target_distance=[0.4, 1.0],
    target_azimuth_deg=[-40.0, 20.0],
    height=[1.1, 1.3],
    n_interferers=[1, 2],
    interferer_distance=[0.8, 1.4],
    interferer_angle_deg=10.0,
    interferer_db=[-4.0, 3.0],
    diffuse_db=[-9.0, -1.0],
    sensor_db=[-39.0, -26.0],
    early_ms=20.0,
    snr_db=[-3.0, 12.0],
    level_dbfs=[-33.0, -25.0],
    acoustics=Acoustics("ism", 1e-3, 0.0, [1.0, 2.0, 1.0, 0.5, 1.0, 1.5], [[125, 1.3], [4000, 0.8]]),
    background=Background("cylindrical", "babble", 3, [-10.0, -5.0], [3.0, 4.0]),
    motion=Motion(0.5, 0.6, [0.3, 0.5], 0.7, [30.0, 40.0]),
    device=DeviceRecipe(1.0, 3.0, 1.5, 28.0, [56.0, 66.0], 80.0, -3.0, 12, 0.5, 0.4, 20.0),
)
"""No value is the default, but for parts that cannot go together with others."""

FLOOR_PLAN = [[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [0.0, 4.0]]
RECIPES = {
    "everything": BASE,
    "tail": replace(BASE, acoustics=replace(BASE.acoustics, tail_density=4.0), motion=Motion()),
    "sphere": replace(BASE, acoustics=Acoustics(), device=DeviceRecipe(gain_db=1.0), carrier=Carrier(0.05)),
    "sofa": replace(BASE, acoustics=Acoustics(), device=DeviceRecipe(), carrier=Carrier(sofa="head.sofa")),
    "floor plan": replace(
        BASE,
        acoustics=Acoustics("pyroomacoustics", ray_tracing=True, directivity="cardioid", floor_plan=FLOOR_PLAN),
        motion=Motion(),
    ),
}


def build(corpus: Path, recipe: Recipe, rooms: Path | None = None, **changed: Any) -> World:
    """A world of an array with a reference of its own; with rooms one that takes some of their channels."""
    speech, noise = (load_corpus(str(corpus), kind, RATE) for kind in ("speech", "noise"))
    geometry = ArrayGeometry(glasses().positions[:3], 2, "three of glasses")
    bank = load_rooms(str(rooms), RATE, 3, [3, 0, 1]) if rooms else None
    return replace(World(recipe, geometry, speech, noise, 11, bank), **changed)


def write(out: Path, world: World, n_scenes: dict[str, int] | None = None) -> Path:
    write_description(out, world, n_scenes or N_SCENES)
    write_files(out, world)
    return out


def draws(world: World) -> list[Any]:
    """Scenes of the dataset and fresh ones."""
    wanted = [("train", 0, None), ("train", 2, None), ("test", 1, None), ("train", 1, 4)]
    return [draw_scene(world, *which).to_dict() for which in wanted]


def plain(world: World) -> dict[str, Any]:
    return {**asdict(replace(world, geometry=None)), "geometry": world.geometry.to_dict()}  # type: ignore[arg-type]


# --- what comes back ----------------------------------------------------------------------------------------


def test_the_recipes_of_these_tests_leave_nothing_at_its_default() -> None:
    def values(part: Any, name: str = "") -> dict[str, Any]:
        told: dict[str, Any] = {}
        for field in fields(part):
            value = getattr(part, field.name)
            make: Any = field.default_factory
            default = make() if field.default is MISSING else field.default
            inner = values(value, f"{field.name}.") if is_dataclass(value) else {field.name: value != default}
            told |= {f"{name}{key}": changed for key, changed in inner.items()}
        return told

    changed = [values(recipe) for recipe in RECIPES.values()]
    assert [name for name in changed[0] if not any(recipe[name] for recipe in changed)] == []


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("opened", [open_world, stored_world])
def test_the_same_scenes_are_drawn(
    opened: Any, recipe: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "head.sofa").write_bytes(b"a head")
    world = build(corpus, RECIPES[recipe])
    out = write(tmp_path / "data", world)
    if recipe == "sofa":  # found from everywhere
        world = replace(world, recipe=replace(world.recipe, carrier=Carrier(sofa=str(tmp_path / "head.sofa"))))
        monkeypatch.chdir("/")
    there = opened(out)
    again, n_scenes = there if isinstance(there, tuple) else (there, N_SCENES)
    assert n_scenes == N_SCENES
    assert plain(again) == plain(world)
    assert again.recipe == world.recipe
    assert draws(again) == draws(world)


@pytest.mark.parametrize("opened", [open_world, stored_world])
def test_the_same_measured_rooms_are_drawn(opened: Any, corpus: Path, rooms: Path, tmp_path: Path) -> None:
    world = build(corpus, BASE, rooms)
    there = opened(write(tmp_path / "data", world))
    again = there[0] if isinstance(there, tuple) else there
    assert again.rooms == world.rooms
    assert draws(again) == draws(world)
    assert draws(again)[0]["measured"]["channels"] == [3, 0, 1]


def test_what_is_stored_needs_no_corpus(corpus: Path, rooms: Path, tmp_path: Path) -> None:
    world = build(corpus, BASE, rooms)
    out = write(tmp_path / "data", world)
    shutil.rmtree(corpus)
    shutil.rmtree(rooms)
    stored = stored_world(out)
    assert plain(stored) == plain(world)
    assert (stored.speech, stored.noise, stored.rooms) == (world.speech, world.noise, world.rooms)
    with pytest.raises(ValueError, match="speech corpus: expected builtin, a folder or a manifest CSV, got"):
        open_world(out)


def test_it_does_not_matter_where_a_program_is_started(
    corpus: Path, rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = write(tmp_path / "data", build(Path("corpus"), BASE, Path("rooms")))
    monkeypatch.chdir("/")
    elsewhere = build(corpus, BASE, rooms)
    assert draws(open_world(out)[0]) == draws(elsewhere)
    assert draws(stored_world(out)) == draws(elsewhere)


def test_corpora_that_were_moved_are_those_that_a_run_goes_on_with(
    corpus: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out, moved = tmp_path / "data", tmp_path / "moved"
    generate(out, build(corpus, recipe), {"train": 2}, 1)
    waves = {path.name: path.read_bytes() for path in out.rglob("*.wav")}
    shutil.rmtree(out / "train" / "shard-00000")
    corpus.rename(moved)
    generate(out, build(moved, recipe), {"train": 2}, 1)
    assert {path.name: path.read_bytes() for path in out.rglob("*.wav")} == waves
    assert str(moved) in (out / "train" / "shard-00000" / "manifest.jsonl").read_text()


# --- what is refused ----------------------------------------------------------------------------------------


def change_sample(path: Path) -> None:
    """Other content under the same name, as long as before."""
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (["corpus/speech/ann_0.wav"], "speech_files"),
        (["corpus/noise/valid_1.wav"], "noise_files"),
        (["rooms/test_2.wav"], "rooms_files"),
        (["corpus/noise/train_0.wav", "corpus/speech/gus_1.wav"], "speech_files, noise_files"),
    ],
)
def test_a_file_with_other_content_is_told(
    changed: list[str], names: str, corpus: Path, rooms: Path, tmp_path: Path
) -> None:
    out = write(tmp_path / "data", build(corpus, BASE, rooms))
    for name in changed:
        change_sample(tmp_path / name)
    before = hashes(out)
    with pytest.raises(ValueError, match=f"data: expected the corpora that it was made from, got other {names}$"):
        open_world(out)
    with pytest.raises(ValueError, match=f"expected an empty folder or the same dataset, got one with other {names}$"):
        write_description(out, build(corpus, BASE, rooms), N_SCENES)
    assert hashes(out) == before


def test_a_sofa_file_that_is_not_there(corpus: Path, tmp_path: Path) -> None:
    world = build(corpus, replace(RECIPES["sofa"], carrier=Carrier(sofa=str(tmp_path / "no.sofa"))))
    with pytest.raises(ValueError, match=r"carrier\.sofa: expected a SOFA file, got .*no\.sofa: no such file"):
        write_description(tmp_path / "new", world, N_SCENES)
    assert not (tmp_path / "new").exists()


def test_parts_of_the_recipe_are_told_with_dots(corpus: Path, tmp_path: Path) -> None:
    out = write(tmp_path / "data", build(corpus, BASE))
    changes: dict[str, Recipe] = {
        "recipe.seconds": replace(BASE, seconds=0.3),
        "recipe.acoustics.threshold": replace(BASE, acoustics=replace(BASE.acoustics, threshold=0.0)),
        "recipe.acoustics.band_rt60": replace(BASE, acoustics=replace(BASE.acoustics, band_rt60=[])),
        "recipe.background.n_voices": replace(BASE, background=replace(BASE.background, n_voices=4)),
        "recipe.background.wind_db": replace(BASE, background=replace(BASE.background, wind_db=None)),
        "recipe.motion.speed": replace(BASE, motion=replace(BASE.motion, speed=[0.3, 0.6])),
        "recipe.device.bits, recipe.device.clip_dbfs": replace(
            BASE, device=replace(BASE.device, bits=None, clip_dbfs=None)
        ),
        "recipe.early_ms, recipe.motion.turn_share": replace(
            BASE, early_ms=0.0, motion=replace(BASE.motion, turn_share=0.0)
        ),
    }
    for names, recipe in changes.items():
        with pytest.raises(ValueError, match=r"got one with other (.*)$") as caught:
            write_description(out, build(corpus, recipe), N_SCENES)
        assert sorted(str(caught.value).partition("other ")[2].split(", ")) == sorted(names.split(", "))


def test_another_array_seed_or_choice_of_channels_is_told(corpus: Path, rooms: Path, tmp_path: Path) -> None:
    world = build(corpus, BASE, rooms)
    out = write(tmp_path / "data", world)
    positions = world.geometry.positions
    bank = load_rooms(str(rooms), RATE, 3, [0, 1, 3])
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 12},
        r"array\.ref_mic": {"geometry": ArrayGeometry(positions, 1, world.geometry.name)},
        r"array\.positions": {"geometry": ArrayGeometry(positions + 1e-6, 2, world.geometry.name)},
        "rooms_files, room_channels": {"rooms": bank},
    }
    for name, change in changes.items():
        with pytest.raises(ValueError, match=f"got one with other {name}$"):
            write_description(out, replace(world, **change), N_SCENES)
    with pytest.raises(ValueError, match=r"got one with other n_scenes\.valid, n_scenes\.test$"):
        write_description(out, world, {"train": 3, "valid": 1})


@pytest.mark.parametrize(
    "there", [[], {}, {"recipe": []}, {"recipe": {"loud": 1}}, {"array": 3}, {"array": {}}, {"speech": 5}]
)
def test_what_is_no_description(there: Any, corpus: Path, tmp_path: Path) -> None:
    out = write(tmp_path / "data", build(corpus, BASE))
    whole = read_json(out / "dataset.json", "dataset")
    write_json(out / "dataset.json", {**whole, **there} if there else there)
    with pytest.raises(ValueError, match=r"dataset\.json: expected the description of a dataset, got "):
        open_world(out)


def test_a_folder_without_a_dataset(tmp_path: Path) -> None:
    for opened in (open_world, stored_world):
        with pytest.raises(ValueError, match=r"dataset: expected a file .*dataset\.json, got none"):
            opened(tmp_path)
