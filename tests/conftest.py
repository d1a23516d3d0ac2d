"""What tests share: a tiny corpus, a tiny dataset made from it, and the real audio pack where there is one.

The shared folders are made once a session: a test that changes files copies them first.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

from arrayse.geometry import circular
from simulate.corpus import load_corpus
from simulate.generate import generate
from simulate.recipe import Recipe
from simulate.scene import World
from tests.tiny_corpus import SAMPLE_RATE, write_corpus
from tests.tiny_scenes import Corpora

settings.register_profile("arrayse", deadline=None)  # no test depends on the speed of the machine
settings.load_profile("arrayse")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script, which child processes inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """Scenes of one second in small dry rooms: a few hundredths of a second of work each."""
    return Recipe(
        seconds=1.0,
        room_min=[3.0, 3.0, 2.4],
        room_max=[3.6, 3.4, 2.6],
        rt60=[0.15, 0.2],
        target_distance=[0.4, 1.0],
        interferer_distance=[0.8, 1.4],
        n_interferers=[1, 2],
    )


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 kHz mono WAVs with MANIFEST.csv: 14 utterances of 7 speakers, 7 noises, 3 splits."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tiny_dataset(tiny_corpus: Path, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder for ``circular()`` (5 mics): 6 train, 2 valid and 2 test scenes of one second."""
    out = tmp_path_factory.mktemp("dataset") / "tiny"
    speech, noise = (load_corpus(str(tiny_corpus), kind, SAMPLE_RATE) for kind in ("speech", "noise"))
    n_scenes = {"train": 6, "valid": 2, "test": 2}
    generate(out, World(tiny_recipe, circular(), speech, noise, 7), n_scenes, workers=1)
    return out


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real audio pack; a test that asks for it carries the marker ``real`` and is skipped without it."""
    named = os.environ.get("ARRAYSE_REAL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"no real audio pack in {folder}: set ARRAYSE_REAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def corpora(tiny_corpus: Path) -> Corpora:
    speech, noise = (load_corpus(str(tiny_corpus), kind, SAMPLE_RATE) for kind in ("speech", "noise"))
    return speech, noise


@pytest.fixture(scope="session")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """A few milliseconds of work a scene."""
    return replace(tiny_recipe, seconds=0.25, rt60=[0.1, 0.11], n_interferers=[1, 1])
