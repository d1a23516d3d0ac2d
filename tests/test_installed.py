"""Classes that installed packages add: found by their entry points, refused where they are no such classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrayse.installed import with_installed

CLASSES = """
from collections import OrderedDict

class Loud(OrderedDict):
    pass

quiet = 3
"""
GROUP = "arrayse.tests"


def install(folder: Path, name: str, code: str, groups: dict[str, dict[str, str]]) -> Path:
    """Puts a package of one module into a folder as pip does, and returns the folder."""
    module, about = name.replace("-", "_"), folder / f"{name.replace('-', '_')}-0.1.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    lines = [
        line for group, told in groups.items() for line in (f"[{group}]", *(f"{key} = {told[key]}" for key in told))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_a_table_grows_by_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"plain": dict}
    assert with_installed(table, GROUP, dict) == table
    monkeypatch.syspath_prepend(
        install(tmp_path, "of-a-friend", CLASSES, {GROUP: {"loud": "of_a_friend:Loud"}, "others": {"x": "nowhere:X"}})
    )
    grown = with_installed(table, GROUP, dict)
    assert list(grown) == ["plain", "loud"]
    assert issubclass(grown["loud"], dict)
    assert list(table) == ["plain"]


@pytest.mark.parametrize(
    ("name", "place", "told"),
    [
        ("plain", "broken:Loud", "expected a name other than plain, got plain"),
        ("loud", "broken:Quiet", "expected a class, got AttributeError: module 'broken' has no attribute 'Quiet'"),
        ("loud", "not_there:Loud", "expected a class, got ModuleNotFoundError: No module named 'not_there'"),
        ("loud", "broken:quiet", "expected a class that derives from dict, got 3"),
        ("loud", "pathlib:Path", "expected a class that derives from dict, got <class 'pathlib.Path'>"),
    ],
)
def test_what_is_no_such_class_is_refused_with_its_package(
    name: str, place: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "broken", CLASSES, {GROUP: {name: place}}))
    with pytest.raises(ValueError, match="of the installed package broken") as error:
        with_installed({"plain": dict}, GROUP, dict)
    assert str(error.value) == f"{GROUP}: {name} = {place}, of the installed package broken: {told}"
