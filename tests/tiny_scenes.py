"""What the tests of datasets share beside the fixtures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.geometry import ArrayGeometry, circular
from arrayse.mixture import STEMS, Mixture, mean_power
from simulate.corpus import Corpus
from simulate.generate import SHARD_SCENES, generate
from simulate.recipe import Recipe
from simulate.render import render
from simulate.scene import Place, Scene, World, draw_scene

Corpora = tuple[Corpus, Corpus]
"""Speech and noise."""

RATE = 16000
N_SCENES = {"train": SHARD_SCENES + 2, "valid": 2, "test": 2}


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones and manifests included."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tiny_world(corpora: Corpora, recipe: Recipe, geometry: ArrayGeometry | None = None, seed: int = 5) -> World:
    """Scenes of a circular array."""
    return World(recipe, geometry or circular(), *corpora, seed)


def make(
    out: Path,
    corpora: Corpora,
    recipe: Recipe,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    generate(out, tiny_world(corpora, recipe), N_SCENES, workers, progress)


GEOMETRY = ArrayGeometry(circular(4, 0.05).positions, ref_mic=2)
"""Of scenes that are rendered: its reference is not the first microphone."""


def drawn(corpora: Corpora, recipe: Recipe, index: int = 0, **changes: Any) -> Scene:
    """A scene of a changed recipe at GEOMETRY."""
    return draw_scene(tiny_world(corpora, replace(recipe, **changes), GEOMETRY), "train", index)


def rendered(scene: Scene) -> Mixture:
    """Its stems at GEOMETRY."""
    return render(scene, GEOMETRY)[0]


def bytes_of(scene: Scene) -> list[bytes]:
    """Of its stems."""
    mixture = rendered(scene)
    return [getattr(mixture, stem).tobytes() for stem in STEMS]


def placed(scene: Scene) -> Place:
    """Its place, of a scene that is in a simulated room."""
    assert scene.place is not None
    return scene.place


def power_db(wave: np.ndarray) -> float:
    """Mean power in dB."""
    return float(10 * np.log10(mean_power(wave)))
