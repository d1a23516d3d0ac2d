"""Arrays from names, files and values; everything that is wrong with one is told at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from arrayse.config import ConfigError, arrays, read_array
from arrayse.schema.data import ArrayKeys


def test_arrays() -> None:
    assert read_array("circular").n_mics == 5
    ring = read_array({"preset": "circular", "n_mics": 7, "mics": [6, 2], "ref_mic": 2})
    assert (ring.n_mics, ring.ref_mic) == (2, 1)
    assert read_array({"positions": [[0, 0, 0], [0, 0.02, 0]], "ref_mic": 1, "name": "mine"}).ref_mic == 1


def test_the_default_reference_is_stated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keys(ArrayKeys):
        ref_mic: int = 9

    monkeypatch.setattr(arrays, "ArrayKeys", Keys)
    with pytest.raises(ConfigError, match=r"^array\.ref_mic: expected 0 to 4, got 9$"):
        read_array({"preset": "circular"})


def test_a_preset_keeps_its_name_unless_it_is_given_one() -> None:
    assert read_array({"preset": "circular", "mics": [1, 0]}).name == "circular[1,0]"
    assert read_array({"preset": "circular", "name": "ring"}).name == "ring"


PAIR = [[0, 0, 0], [0, 0.02, 0]]
UNKNOWN = "expected a known key, got an unknown one"


@pytest.mark.parametrize(
    ("array", "told"),
    [
        ({"position": PAIR}, [f"position: {UNKNOWN}: did you mean positions?"]),
        (
            {"positons": [[0, 0, 0], [0, 0, 0]], "ref_mic": 5, "nam": "x"},
            [
                f"positons: {UNKNOWN}: did you mean positions?",
                "positions: expected microphones at least 0.5 mm apart, got the same place for 0 and 1",
                f"nam: {UNKNOWN}: did you mean name?",
                "ref_mic: expected 0 to 1, got 5",
            ],
        ),
        (
            {"positions": [[0, 0, 0], [12, 0, 0]], "ref_mic": 7, "mics": [0, 4]},
            [
                "positions: expected metres (microphones at most 2.0 m apart), got 12 m: are these millimetres or "
                "centimetres?",
                "ref_mic: expected 0 to 1, got 7",
                "mics: expected distinct channel numbers from 0 to 1, got [0, 4]",
            ],
        ),
        (
            {"positions": [[0, 0], [0, 0, 1]], "ref_mik": 1, "mics": ["a"]},
            [
                "mics.0: expected a valid integer, got 'a'",
                "positions: expected rows of 3 numbers (x, y, z in metres), got rows of [2, 3]",
                f"ref_mik: {UNKNOWN}: did you mean ref_mic?",
            ],
        ),
        ({"positions": [[0, 0, "a"]]}, ["positions.0.2: expected a valid number, got 'a'"]),
        ({"positions": []}, ["positions: expected rows of 3 numbers (x, y, z in metres), got rows of []"]),
        ({"positions": PAIR, "mics": [1], "ref_mic": 0}, ["ref_mic: expected one of the mics [1], got 0"]),
        (
            {"preset": "circular", "radios": 1, "ref_mic": -1},
            [
                "ref_mic: expected a value greater than or equal to 0, got -1",
                f"radios: {UNKNOWN}: did you mean radius?",
            ],
        ),
        (
            {"preset": "circular", "ref_mic": 5, "mics": [9]},
            [
                "ref_mic: expected 0 to 4, got 5",
                "mics: expected distinct channel numbers from 0 to 4, got [9]",
            ],
        ),
        (
            {"preset": "circular", "n_mics": 3, "raduis": 1, "ref_mic": 3},
            [f"raduis: {UNKNOWN}: did you mean radius?", "ref_mic: expected 0 to 2, got 3"],
        ),
        (
            {"preset": "circular", "radius": "wide", "ref_mic": 9},
            ["radius: expected a valid number, got 'wide'"],  # what does not build tells no number of channels
        ),
        (
            {"positions": PAIR, "preset": "square", "ref_mic": 2},
            [f"preset: {UNKNOWN}: known are mics, name, positions, ref_mic", "ref_mic: expected 0 to 1, got 2"],
        ),
        ({"positions": 3, "ref_mic": 2}, ["positions: expected a valid list, got 3"]),
        ({"preset": "phone", "n_mics": 5}, ["n_mics: expected 2 or 3 for a phone, got 5"]),
        ({"presett": "phone"}, [f"presett: {UNKNOWN}: did you mean preset?"]),
    ],
)
def test_everything_that_is_wrong_is_told_at_once(array: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        read_array(array)
    assert sorted(str(error.value).splitlines()) == sorted(f"array.{line}" for line in told)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            {"preset": "circlar"},
            "preset: expected one of compact_diamond, .*, got circlar: did you mean circular",
        ),
        ({"preset": ["circular"]}, "array.preset: expected one of"),
        ({"sounds": 1, "x": 2}, "^array: expected positions or preset, got sounds, x$"),
        ({}, "^array: expected positions or preset, got an empty file$"),
    ],
)
def test_what_is_no_array(array: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_array(array)


def test_a_file_is_named_where_it_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\npositions:\n  - [0, 0, 0\n  - [0, 0.02, 0]\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path} line 4: expected YAML, got '- [0, 0.02, 0]': ")):
        read_array(str(path))
