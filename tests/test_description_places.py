"""What made a dataset and where its files lie: another version is refused, another machine told, places may change."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arrayse.files import read_json, write_json
from simulate import description
from simulate.description import machine, open_world, stored_world, write_description
from simulate.generate import generate
from simulate.recipe import Carrier, Recipe
from simulate.scene import World
from tests.tiny_scenes import Corpora, hashes, tiny_world


@pytest.fixture
def world(corpora: Corpora, recipe: Recipe) -> World:
    return tiny_world(corpora, recipe)


@pytest.fixture
def data(world: World, tmp_path: Path) -> Path:
    generate(tmp_path / "data", world, {"train": 1}, 1)
    return tmp_path / "data"


def edit(data: Path, **changes: Any) -> None:
    """Other values in the description; ``...`` takes them out."""
    numbers = {**read_json(data / "dataset.json", "dataset"), **changes}
    write_json(data / "dataset.json", {key: value for key, value in numbers.items() if value is not ...})


# --- versions of the simulator ------------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "told"), [(..., 1), (1, 1), (3, 3), ("2", "2")])
def test_another_version_of_the_simulator_is_told_in_plain_words(
    changed: Any, told: Any, data: Path, world: World
) -> None:
    edit(data, format=changed, seed=99)  # the version is told first: it explains all else
    before = hashes(data)
    message = (
        f"data: expected a dataset of format 2, got format {told}: it was made by another version of the simulator"
    )
    for call in (
        lambda: open_world(data),
        lambda: stored_world(data),
        lambda: generate(data, world, {"train": 1}, 1),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert hashes(data) == before


# --- machines -----------------------------------------------------------------------------------------------


def test_the_machine_is_noted_but_does_not_make_another_dataset(data: Path, world: World) -> None:
    assert read_json(data / "dataset.json", "dataset")["machine"] == machine()
    assert {"numpy", "scipy", "numba", "cpu"} <= machine().keys()
    assert all(machine().values())
    for noted in ({**machine(), "cpu": "pdp11"}, ..., 5):
        edit(data, machine=noted)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            generate(data, world, {"train": 1}, 1)  # nothing is missing: nothing can differ
            open_world(data)


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ({**machine(), "cpu": "pdp11", "numpy": "1.0"}, rf"numpy 1\.0 \(now {machine()['numpy']}\), cpu pdp11 \(now "),
        (..., "numpy None"),
        (5, "numpy None"),
        (machine(), None),
    ],
)
def test_a_warning_tells_that_another_machine_goes_on(noted: Any, told: str | None, data: Path, world: World) -> None:
    edit(data, machine=noted)
    before = hashes(data)
    shutil.rmtree(data / "train")
    if told is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            generate(data, world, {"train": 1}, 1)
    else:
        with pytest.warns(UserWarning, match=f"data: was begun with {told}.*: what is made now may differ"):
            generate(data, world, {"train": 1}, 1)
    assert hashes(data) == before


# --- SOFA files ---------------------------------------------------------------------------------------------


def with_sofa(world: World, sofa: str) -> World:
    return replace(world, recipe=replace(world.recipe, carrier=Carrier(sofa=sofa)))


def sofa_of(world: World) -> str | None:
    return world.recipe.carrier.sofa


def test_a_sofa_file_is_found_from_everywhere_and_may_be_moved(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "head.sofa").write_bytes(b"a head")
    out = tmp_path / "data"
    write_description(out, with_sofa(world, "head.sofa"), {"train": 1})
    description.write_files(out, with_sofa(world, "head.sofa"))
    monkeypatch.chdir("/")
    assert sofa_of(open_world(out)[0]) == sofa_of(stored_world(out)) == str(tmp_path / "head.sofa")
    moved = (tmp_path / "head.sofa").rename(tmp_path / "same_head.sofa")
    write_description(out, with_sofa(world, str(moved)), {"train": 1})  # the same dataset
    description.write_files(out, with_sofa(world, str(moved)))
    assert sofa_of(stored_world(out)) == str(moved)
    with pytest.raises(ValueError, match=r"sofa: expected a SOFA file, got .*/head\.sofa: no such file"):
        open_world(out)
    moved.write_bytes(b"a hand")
    with pytest.raises(ValueError, match=r"got one with other sofa_file$"):
        write_description(out, with_sofa(world, str(moved)), {"train": 1})
    with pytest.raises(ValueError, match=r"got one with other sofa_file$"):
        write_description(out, world, {"train": 1})
