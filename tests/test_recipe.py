"""Recipes: good for JSON and back with all their parts, and errors that name the part they are in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from arrayse.schema.base import schema_of
from simulate.devices import DeviceRecipe
from simulate.recipe import Background, Carrier, Motion, Recipe, from_plain, recipe_from
from simulate.room import Acoustics

FULL = Recipe(
    seconds=2.5,
    rt60=[0.3, 0.4],
    n_interferers=[2, 2],
    early_ms=20.0,
    acoustics=Acoustics(walls=[1.0, 2.0, 1.0, 1.0, 0.5, 1.0], band_rt60=[[125, 1.5], [8000, 0.5]]),
    background=Background("cylindrical", "babble", 5, [-20.0, -10.0], [1.0, 2.0]),
    motion=Motion(0.5, 0.25, [0.1, 0.2], 1.0, [5.0, 6.0]),
    device=DeviceRecipe(1.0, 2.0, 0.0, 30.0, [60.0, 65.0], 80.0, -6.0, 16, 0.1, 0.2, 5.0),
    carrier=Carrier(sphere_radius=0.09),
)
"""Nothing as it is by default but what the engine of a carrier demands."""

PLANNED = Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=[[0, 0], [5, 0], [5, 4]], directivity="cardioid")


# --- to plain numbers and back ------------------------------------------------------------------------------


def through_json(recipe: Recipe) -> Recipe:
    return recipe_from(json.loads(json.dumps(asdict(recipe), allow_nan=False)))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        FULL,
        replace(FULL, carrier=Carrier(sofa="head.sofa")),
        Recipe(acoustics=PLANNED),
        Recipe(acoustics=Acoustics(threshold=1e-4, tail_density=4.0)),
    ],
)
def test_a_recipe_survives_plain_numbers_and_json(recipe: Recipe) -> None:
    assert recipe_from(asdict(recipe)) == recipe
    assert through_json(recipe) == recipe
    assert repr(through_json(recipe)) == repr(recipe)
    for part in fields(Recipe):
        built = getattr(through_json(recipe), part.name)
        assert is_dataclass(built) == is_dataclass(getattr(recipe, part.name))


def test_the_full_recipe_leaves_no_default() -> None:
    """Else the round trip would not tell whether a number is passed on."""
    for part in ("background", "motion"):
        kept, default = asdict(getattr(FULL, part)), asdict(getattr(Recipe(), part))
        assert [name for name in kept if kept[name] == default[name]] == []


@settings(max_examples=30)
@given(
    st.builds(
        Motion,
        target_share=st.floats(0, 1),
        interferer_share=st.floats(0, 1),
        speed=st.floats(0, 2).map(lambda low: [low, low + 1]),
        turn_share=st.floats(0, 1),
    ),
    st.lists(st.sampled_from([125, 250, 500, 1000, 2000, 4000, 8000]), unique=True),
    st.floats(0.1, 10),
)
def test_any_numbers_survive_json(motion: Motion, bands: list[int], factor: float) -> None:
    acoustics = Acoustics(band_rt60=[[band, factor] for band in bands])
    recipe = Recipe(motion=motion, acoustics=acoustics)
    assert through_json(recipe) == recipe


def test_what_is_left_out_is_as_by_default() -> None:
    assert recipe_from({}) == Recipe()
    assert recipe_from({"background": {"n_voices": 3}}) == Recipe(background=Background(n_voices=3))


def test_two_recipes_share_no_list() -> None:
    first, second = Recipe(), Recipe()
    for part in (first, first.acoustics, first.motion, first.background, first.device):
        for name in get_type_hints(type(part)):
            value = getattr(part, name)
            assert not isinstance(value, list) or value is not getattr(second, name, None)
    assert first.acoustics.walls is not second.acoustics.walls


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"acoustics": {"band_rt60": [[300, 1.0]]}}, r"^acoustics\.band_rt60: expected octave bands of .*, got 300$"),
        ({"acoustics": {"ray_tracing": True}}, r"^acoustics\.engine: expected pyroomacoustics, which has ray_tracing"),
        ({"background": {"wind_db": [0.0, -5.0]}}, r"^background\.wind_db: expected \[lowest, highest\], got"),
        ({"background": {"wind_speed": [5.0, 2.0]}}, r"^background\.wind_speed: expected \[lowest, highest\], got"),
        ({"motion": {"speed": [1.0, 0.5]}}, r"^motion\.speed: expected \[lowest, highest\], got \[1\.0, 0\.5\]$"),
        ({"background": {"wind_speed": [0.0, 2.0]}}, r"^background\.wind_speed: expected values above 0, got"),
        ({"motion": {"speed": [-1.0, 0.5]}}, r"^motion\.speed: expected values of 0 or more, got"),
        ({"motion": {"turn_deg": [90.0, 20.0]}}, r"^motion\.turn_deg: expected \[lowest, highest\]"),
        ({"device": {"speech_spl_db": [70.0, 60.0]}}, r"^device\.speech_spl_db: expected \[lowest, highest\]"),
        ({"carrier": {"sphere_radius": 0.1, "sofa": "a.sofa"}}, r"^carrier\.sphere_radius: expected this or sofa"),
        ({"rt60": [0.5, 0.2]}, r"^rt60: expected \[lowest, highest\], got \[0\.5, 0\.2\]$"),
    ],
)
def test_errors_start_with_the_name_of_the_part(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe_from(numbers)


@dataclass
class Inner:
    size: int = 0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size: expected 0 or more, got {self.size}")


@dataclass
class Middle:
    inner: Inner = field(default_factory=Inner)


@dataclass
class Outer:
    middle: Middle
    other: Middle | None = None


def test_a_part_of_a_part_is_named_by_the_whole_way() -> None:
    outer = Outer(Middle(Inner(2)), Middle(Inner(3)))
    assert from_plain(Outer, asdict(outer)) == outer
    assert from_plain(Outer, {"middle": {}, "other": None}) == Outer(Middle(), None)
    with pytest.raises(ValueError, match=r"^other\.inner\.size: expected 0 or more, got -1$"):
        from_plain(Outer, {"middle": {}, "other": {"inner": {"size": -1}}})


@pytest.mark.parametrize("carrier", [Carrier(sphere_radius=0.09), Carrier(sofa="head.sofa")])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"acoustics": Acoustics("pyroomacoustics")}, "^carrier: expected the engine ism without threshold and"),
        ({"acoustics": Acoustics(threshold=1e-4)}, "^carrier: expected the engine ism without threshold and"),
        ({"acoustics": Acoustics(tail_density=2.0)}, "^carrier: expected the engine ism without threshold and"),
        ({"device": DeviceRecipe(position_mm=1.0)}, r"^carrier: expected device\.position_mm of 0 with it, got 1\.0"),
    ],
)
def test_what_a_carrier_cannot_be_joined_with(carrier: Carrier, part: dict[str, Any], message: str) -> None:
    Recipe(**part)
    with pytest.raises(ValueError, match=message):
        Recipe(carrier=carrier, **part)


@pytest.mark.parametrize("moves", [{"target_share": 0.1}, {"interferer_share": 0.1}, {"turn_share": 0.1}])
@pytest.mark.parametrize(
    ("acoustics", "message"),
    [
        (Acoustics(tail_density=4.0), r"^motion: expected no acoustics\.tail_density with it, got 4\.0$"),
        (
            Acoustics("pyroomacoustics", ray_tracing=True),
            r"^motion: expected no acoustics\.ray_tracing with it, got True",
        ),
    ],
)
def test_who_moves_does_not_get_another_tail_at_every_place(
    moves: dict[str, Any], acoustics: Acoustics, message: str
) -> None:
    Recipe(acoustics=acoustics, motion=Motion(speed=[0.1, 0.2]))
    with pytest.raises(ValueError, match=message):
        Recipe(acoustics=acoustics, motion=Motion(**moves))


@pytest.mark.parametrize("name", ["wall_distance", "target_distance", "interferer_distance"])
def test_nothing_has_its_place_inside_the_carrier(name: str) -> None:
    value = 0.2 if name == "wall_distance" else [0.2, 1.0]
    Recipe(carrier=Carrier(sphere_radius=0.15), **{name: value})
    with pytest.raises(ValueError, match=rf"^carrier\.sphere_radius: expected less than {name}, 0\.2 m, got"):
        Recipe(carrier=Carrier(sphere_radius=0.2), **{name: value})


def test_a_body_is_one_or_the_other() -> None:
    with pytest.raises(ValueError, match=r"^sphere_radius: expected this or sofa, got both"):
        Carrier(sphere_radius=0.09, sofa="head.sofa")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        (Background, {"n_voices": 0}),
        (Background, {"source": "silence"}),
        (Motion, {"target_share": 1.1}),
        (Motion, {"speed": [1.0]}),
        (Carrier, {"sphere_radius": 0.0}),
        (Recipe, {"wall_distance": 0.0}),
        (Recipe, {"motion": {"turn_share": -0.1}}),
        (Recipe, {"acoustics": {"walls": [1.0, 1.0, 1.0, 1.0, 1.0, -1.0]}}),
    ],
)
def test_values_out_of_range_in_a_config(part: type, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema_of(part)(**values)
