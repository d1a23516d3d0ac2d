"""The scenes of a sweep on disk: datasets like any other, made once, the same bytes as those they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arrayse.mixture import open_dataset
from arrayse.sweep import Variant, draw_variants, render_variant
from simulate.description import open_world
from simulate.generate import SHARD_SCENES
from simulate.scene import World
from simulate.verify import verify


@pytest.fixture(scope="module")
def world(tiny_dataset: Path) -> World:
    return open_world(tiny_dataset)[0]


def variants(world: World, name: str, values: list[Any], n_scenes: int = 2) -> list[Variant]:
    return draw_variants(name, values, world, "test", n_scenes)


ABOUT: dict[str, Any] = {"label": "test sounds", "sample_rate": 16000, "sweep": {"condition": "gain_error"}}


def test_a_variant_that_changes_nothing_has_the_bytes_of_the_dataset(
    world: World, tiny_dataset: Path, tmp_path: Path
) -> None:
    same, other = variants(world, "gain_error", [0.0, 3.0])
    told: list[tuple[int, int]] = []
    for variant in (same, other):
        render_variant(variant, tmp_path / variant.folder, ABOUT, "test", 1, lambda *state: told.append(state))
    assert told == [(0, 2), (2, 2)] * 2
    own, mine, changed = (
        [entry.numbers["sha256"] for entry in open_dataset(folder).entries("test")]
        for folder in (tiny_dataset, tmp_path / "0", tmp_path / "3")
    )
    assert mine == own
    assert not set(changed) & set(own)


def test_what_is_there_is_kept_and_what_is_lost_is_made_again(world: World, tmp_path: Path) -> None:
    (variant,) = variants(world, "gain_error", [1.0])
    render_variant(variant, tmp_path / "a", ABOUT, "test", 1)
    (wave,) = (tmp_path / "a").rglob("test-000001.wav")
    before, when = wave.read_bytes(), wave.stat().st_mtime_ns
    told: list[tuple[int, int]] = []
    render_variant(variant, tmp_path / "a", ABOUT, "test", 1, lambda *state: told.append(state))
    assert told == [(2, 2)]
    assert wave.stat().st_mtime_ns == when
    wave.parent.rename(tmp_path / "gone")
    render_variant(variant, tmp_path / "a", ABOUT, "test", 1)
    assert wave.read_bytes() == before


def test_a_variant_of_several_shards_is_whole(world: World, tmp_path: Path) -> None:
    (variant,) = variants(world, "n_interferers", [0], n_scenes=SHARD_SCENES + 1)
    render_variant(variant, tmp_path / "a", ABOUT, "test", 1)
    entries = open_dataset(tmp_path / "a").entries("test")
    assert [entry.id for entry in entries] == [scene.id for scene in variant.scenes]
    assert len(list((tmp_path / "a" / "test").iterdir())) == 2
    findings, statistics = verify(tmp_path / "a", 1)
    assert findings == []
    assert statistics.n_scenes == SHARD_SCENES + 1


def test_another_sweep_in_the_folder_is_refused(world: World, tmp_path: Path) -> None:
    one, three = variants(world, "gain_error", [1.0, 3.0])
    render_variant(one, tmp_path, ABOUT, "test", 1)
    with pytest.raises(ValueError, match=r"or the same sweep, got one with other sweep"):
        render_variant(three, tmp_path, ABOUT, "test", 1)
