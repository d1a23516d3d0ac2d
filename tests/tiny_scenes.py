"""What the tests of datasets share beside the fixtures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from arrayse.geometry import ArrayGeometry, circular
from simulate.corpus import Corpus
from simulate.generate import SHARD_SCENES, generate
from simulate.recipe import Recipe
from simulate.scene import World

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
