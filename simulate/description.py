"""What decides every byte of a dataset, written at its start, compared and read again later.

``dataset.json`` tells it in short, with fingerprints of the corpora; ``corpora.json`` lists their files, so that
workers need not look at each of them again.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arrayse.files import check_new_folder, read_json, remove_leftovers, sha256_of, write_json, write_text
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import SPLITS
from simulate.corpus import Corpus, CorpusFile, label_of, load_corpus
from simulate.measured import MeasuredRoom, RoomBank, load_rooms
from simulate.recipe import recipe_from
from simulate.scene import World

FILES = "corpora.json"
SOURCES = ("speech", "noise", "rooms")
"""Keys that tell where the corpora lie, which may change."""


def write_description(out: Path, world: World, n_scenes: dict[str, int]) -> None:
    """Writes ``dataset.json``, or checks that the one there tells of the same dataset.

    Raises:
        ValueError: another dataset, a folder with other files, or a file in place of the folder.
    """
    wanted = describe(world, n_scenes)
    path = out / "dataset.json"
    if path.is_file():
        # the files count, not the place where they lie or the name they were called by
        counts = {name: value for name, value in wanted.items() if name not in SOURCES}
        other = _differences(read_json(path, "dataset"), json.loads(json.dumps(counts)))
        if other:
            raise ValueError(
                f"{out}: expected an empty folder or the same dataset, got one with other {', '.join(other)}"
            )
        return
    check_new_folder(out, "a dataset")
    write_json(path, wanted)
    remove_leftovers(out)  # of a run that was killed while it wrote the description


def describe(world: World, n_scenes: dict[str, int]) -> dict[str, Any]:
    """What decides every byte of a dataset, as plain values."""
    return {
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
        "recipe": asdict(world.recipe),
        "sofa_file": _sofa_fingerprint(world.recipe.carrier.sofa),
    }


def _place_of(source: str) -> str:
    """What finds a corpus again, from whatever folder a program is started in."""
    return source if source == "builtin" else str(Path(source).expanduser().absolute())


def _sofa_fingerprint(sofa: str | None) -> str | None:
    """SHA-256 of the SOFA file of a carrier, which the recipe tells only by its name."""
    if sofa is None:
        return None
    path = Path(sofa).expanduser()
    if not path.is_file():
        raise ValueError(f"recipe.carrier.sofa: expected a SOFA file, got {sofa}: no such file")
    return sha256_of(path)


def write_files(out: Path, world: World) -> None:
    """Writes the files of the corpora, where they lie now for any process, into ``corpora.json``."""
    corpora = {"speech": world.speech, "noise": world.noise, "rooms": world.rooms}
    plain = {kind: None if corpus is None else asdict(corpus) for kind, corpus in corpora.items()}
    write_text(out / FILES, json.dumps(plain, default=lambda path: str(path.absolute())) + "\n")


def stored_world(folder: Path) -> World:
    """What the scenes of a dataset are drawn from, by what :func:`write_files` wrote last; corpora are not looked at.

    Raises:
        ValueError: no dataset there.
    """
    path = folder / FILES
    return _stored_world(folder, path.stat().st_mtime_ns if path.is_file() else 0)


@functools.lru_cache(maxsize=1)
def _stored_world(folder: Path, written: int) -> World:
    """Read once for all shards that a process makes; ``written`` tells that it is still the same."""
    there, files = read_json(folder / "dataset.json", "dataset"), read_json(folder / FILES, "dataset")
    speech, noise = (_corpus(files[kind]) for kind in ("speech", "noise"))
    rooms = None if files["rooms"] is None else _rooms(files["rooms"])
    geometry = ArrayGeometry(**there["array"])
    return World(recipe_from(there["recipe"]), geometry, speech, noise, there["seed"], rooms)


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
        ValueError: no dataset there, corpora that are gone or have changed since.
    """
    path = folder / "dataset.json"
    there = read_json(path, "dataset")
    try:
        geometry, rate = ArrayGeometry(**there["array"]), there["sample_rate"]
        speech, noise = (load_corpus(there[kind], kind, rate) for kind in ("speech", "noise"))
        channels = there["room_channels"]
        rooms = there["rooms"] and load_rooms(there["rooms"], rate, geometry.n_mics, channels)
        world = World(recipe_from(there["recipe"]), geometry, speech, noise, there["seed"], rooms)
        n_scenes: dict[str, int] = there["n_scenes"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected the description of a dataset, got {error!r}") from None
    changed = _differences(there, json.loads(json.dumps(describe(world, n_scenes))))
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
