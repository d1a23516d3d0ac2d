"""What decides every byte of a dataset, written at its start, compared and read again later.

``dataset.json`` tells it in short, with fingerprints of the corpora, and what machine began it; ``corpora.json`` lists
files, so that workers need not look at each of them again.
"""

from __future__ import annotations

import functools
import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import llvmlite.binding

from arrayse.files import check_new_folder, read_json, remove_leftovers, sha256_of, write_json, write_text
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import SPLITS
from arrayse.provenance import installed
from simulate.corpus import Corpus, CorpusFile, label_of, load_corpus
from simulate.measured import MeasuredRoom, RoomBank, load_rooms
from simulate.recipe import Recipe, recipe_from
from simulate.scene import World

FORMAT = 2
"""Raised with every change of what the same description gives: other draws, other samples, other files."""

FILES = "corpora.json"
SOURCES = ("speech", "noise", "rooms", "recipe.carrier.sofa")
"""Names of what tells where files lie, which may change: their content counts."""

KEYS = (
    *("label", "sample_rate", "array", "speech", "noise", "rooms", "speech_files", "noise_files", "rooms_files"),
    *("room_channels", "n_scenes", "seed", "recipe", "sofa_file"),
)
"""What a description of any format has."""

MACHINE = "machine"
"""Key of what is noted, but not compared: see :func:`machine`."""

PACKAGES = ("numpy", "scipy", "numba", "pyroomacoustics", "soundfile")
"""Other versions may round otherwise."""


def write_description(out: Path, world: World, n_scenes: dict[str, int]) -> None:
    """Writes ``dataset.json``, or checks that the one there tells of the same dataset.

    Raises:
        ValueError: another dataset, one of another version of the simulator, a folder with other files, or a file in
            place of the folder.
    """
    wanted = describe(world, n_scenes)
    if (out / "dataset.json").is_file():
        there = read_description(out)
        _check_format(out, there)
        other = _changes(there, wanted)
        if other:
            raise ValueError(
                f"{out}: expected an empty folder or the same dataset, got one with other {', '.join(other)}"
            )
        return
    check_new_folder(out, "a dataset")
    write_json(out / "dataset.json", {**wanted, MACHINE: machine()})
    remove_leftovers(out)  # of a run that was killed while it wrote the description


def describe(world: World, n_scenes: dict[str, int]) -> dict[str, Any]:
    """What decides every byte of a dataset, as plain values."""
    return {
        "format": FORMAT,
        "label": label_of([world.speech, world.noise]),
        "sample_rate": world.speech.sample_rate,
        "array": world.geometry.to_dict(),
        "speech": _place_of(world.speech.source),
        "noise": _place_of(world.noise.source),
        "rooms": None if world.rooms is None else _place_of(world.rooms.source),
        "speech_files": world.speech.fingerprint(),
        "noise_files": world.noise.fingerprint(),
        "rooms_files": None if world.rooms is None else world.rooms.fingerprint(),
        "room_channels": None if world.rooms is None else world.rooms.channels,
        "n_scenes": n_scenes,
        "seed": world.seed,
        "recipe": asdict(_with_sofa(world.recipe, _sofa(world))),
        "sofa_file": _sofa_fingerprint(world),
    }


def machine() -> dict[str, str]:
    """Versions and type of CPU: with others, compiled code and libraries may round otherwise, in the last bits."""
    versions = {package: installed(package) or "absent" for package in PACKAGES}
    return {**versions, "cpu": llvmlite.binding.get_host_cpu_name()}


def warn_of_other_machine(out: Path) -> None:
    """Warns if other versions or another type of CPU began the dataset than what goes on with it."""
    there, here = read_description(out).get(MACHINE), machine()
    other = _differences(there, here)
    if other:
        told = [f"{name} {there.get(name) if isinstance(there, dict) else None} (now {here[name]})" for name in other]
        warnings.warn(
            f"{out}: was begun with {', '.join(told)}: what is made now may differ in its last bits from what that "
            "would have given",
            stacklevel=3,
        )


def _place_of(source: str) -> str:
    """What finds a corpus again, from whatever folder a program is started in."""
    return source if source == "builtin" else _absolute(source)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _sofa(world: World) -> str | None:
    """The SOFA file of the carrier, where any process finds it."""
    sofa = world.recipe.carrier.sofa
    return None if sofa is None else _absolute(sofa)


def _with_sofa(recipe: Recipe, sofa: str | None) -> Recipe:
    return replace(recipe, carrier=replace(recipe.carrier, sofa=sofa))


def _sofa_fingerprint(world: World) -> str | None:
    """SHA-256 of the SOFA file, which the recipe tells only by its name."""
    sofa = _sofa(world)
    if sofa is None:
        return None
    if not Path(sofa).is_file():
        raise ValueError(f"recipe.carrier.sofa: expected a SOFA file, got {world.recipe.carrier.sofa}: no such file")
    return sha256_of(Path(sofa))


def write_files(out: Path, world: World) -> None:
    """Writes the files that scenes are made of, where they lie now for any process, into ``corpora.json``."""
    corpora = {"speech": world.speech, "noise": world.noise, "rooms": world.rooms}
    plain: dict[str, Any] = {kind: None if corpus is None else asdict(corpus) for kind, corpus in corpora.items()}
    plain["sofa"] = _sofa(world)
    write_text(out / FILES, json.dumps(plain, default=lambda path: str(path.absolute())) + "\n")


def read_description(folder: Path) -> dict[str, Any]:
    """What ``dataset.json`` tells, of whatever version of the simulator.

    Raises:
        ValueError: no dataset there, or keys are missing.
    """
    path = folder / "dataset.json"
    there = read_json(path, "dataset")
    if not isinstance(there, dict):
        raise ValueError(f"{path}: expected the description of a dataset, got a {type(there).__name__}")
    missing = [key for key in KEYS if key not in there]
    if missing:
        raise ValueError(f"{path}: expected the description of a dataset, got none of its keys {', '.join(missing)}")
    return there


def _check_format(folder: Path, there: dict[str, Any]) -> None:
    """Raises ValueError if the simulator would no longer make the scenes that ``there`` tells of."""
    found = there.get("format", 1)
    if found != FORMAT:
        raise ValueError(
            f"{folder}: expected a dataset of format {FORMAT}, got format {found}: it was made by another version of "
            "the simulator, which this one cannot go on for; its scenes can still be read"
        )


def stored_world(folder: Path) -> World:
    """What the scenes of a dataset are drawn from, by what :func:`write_files` wrote last; corpora are not looked at.

    Raises:
        ValueError: no dataset there, one of another version of the simulator, files that do not tell of one.
    """
    paths = (folder / "dataset.json", folder / FILES)
    return _stored_world(folder, tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths))


@functools.lru_cache(maxsize=1)
def _stored_world(folder: Path, written: tuple[int, ...]) -> World:
    """Read once for all shards that a process makes; ``written`` tells that it is still the same."""
    there, files = read_description(folder), read_json(folder / FILES, "dataset")
    _check_format(folder, there)
    recipe, geometry = _plain_parts(folder, there)
    try:
        speech, noise = (_corpus(files[kind]) for kind in ("speech", "noise"))
        rooms = None if files["rooms"] is None else _rooms(files["rooms"])
        recipe = _with_sofa(recipe, files["sofa"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{folder / FILES}: expected the files of a dataset, got {error!r}") from None
    return World(recipe, geometry, speech, noise, there["seed"], rooms)


def _plain_parts(folder: Path, there: dict[str, Any]) -> tuple[Recipe, ArrayGeometry]:
    """The parts of a world that are plain numbers."""
    try:
        return recipe_from(there["recipe"]), ArrayGeometry(**there["array"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        path = folder / "dataset.json"
        raise ValueError(f"{path}: expected the description of a dataset, got {error!r}") from None


def stored_recipe(folder: Path) -> Recipe:
    """The recipe of a dataset; corpora are not looked at.

    Raises:
        ValueError: no dataset there, or keys that are missing or wrong.
    """
    return _plain_parts(folder, read_description(folder))[0]


def _corpus(plain: dict[str, Any]) -> Corpus:
    splits = {
        split: [CorpusFile(**file | {"path": Path(file["path"])}) for file in files]
        for split, files in plain["splits"].items()
    }
    return Corpus(**plain | {"splits": splits})


def _rooms(plain: dict[str, Any]) -> RoomBank:
    splits = {
        split: [MeasuredRoom(room["name"], [(Path(path), sha256) for path, sha256 in room["files"]]) for room in rooms]
        for split, rooms in plain["splits"].items()
    }
    left_out = {int(n_channels): n_files for n_channels, n_files in plain["left_out"].items()}
    return RoomBank(**plain | {"splits": splits, "left_out": left_out})


def open_world(folder: Path) -> tuple[World, dict[str, int]]:
    """What the scenes of a dataset were drawn from, and how many each split has.

    Raises:
        ValueError: no dataset there, one of another version of the simulator, corpora that are gone or have changed.
    """
    there = read_description(folder)
    _check_format(folder, there)
    recipe, geometry = _plain_parts(folder, there)
    rate, n_scenes = there["sample_rate"], there["n_scenes"]
    try:
        speech, noise = (load_corpus(there[kind], kind, rate) for kind in ("speech", "noise"))
        rooms = there["rooms"] and load_rooms(there["rooms"], rate, geometry.n_mics, there["room_channels"])
        world = World(recipe, geometry, speech, noise, there["seed"], rooms)
        changed = _changes(there, describe(world, n_scenes))
    except (TypeError, AttributeError) as error:
        path = folder / "dataset.json"
        raise ValueError(f"{path}: expected the description of a dataset, got {error!r}") from None
    except ValueError as error:  # the paths are those of the dataset, not of whoever reads the message
        raise ValueError(f"{folder}: {error}") from None
    if changed:
        raise ValueError(f"{folder}: expected the corpora that it was made from, got other {', '.join(changed)}")
    return world, n_scenes


def wanted_splits(n_scenes: dict[str, int]) -> dict[str, int]:
    """The splits that are to have scenes, in their order."""
    unknown = sorted(set(n_scenes) - set(SPLITS))
    if unknown:
        raise ValueError(f"n_scenes: expected splits of {', '.join(SPLITS)}, got {', '.join(unknown)}")
    splits = {split: n_scenes[split] for split in SPLITS if n_scenes.get(split, 0) != 0}
    if not splits or min(splits.values()) < 0:
        raise ValueError(f"n_scenes: expected one scene or more, got {n_scenes}")
    return splits


def _changes(there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Names of what differs and counts."""
    return [name for name in _differences(there, json.loads(json.dumps(wanted))) if name not in SOURCES]


def _differences(there: Any, wanted: dict[str, Any]) -> list[str]:
    """Names of what differs from ``wanted``, with dots for what lies within parts of it."""
    names = []
    for name, value in wanted.items():
        other = there.get(name) if isinstance(there, dict) else None
        if isinstance(value, dict) and isinstance(other, dict):
            parts = {key: value.get(key) for key in value | other}
            names += [f"{name}.{part}" for part in _differences(other, parts)]
        elif value != other:
            names.append(name)
    return names
