"""Classes that installed packages add: found by their entry points, refused where they are no such classes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arrayse import installed
from arrayse.installed import Table

CLASSES = """
from collections import OrderedDict

class Loud(OrderedDict):
    level = 3
    def __init__(self, mics, db: int = 3):
        pass

class Mute(OrderedDict):
    def __init__(self, db: int = 3):
        pass

class Untyped(Loud):
    def __init__(self, mics, db):
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


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    installed._entries.cache_clear()
    yield
    installed._entries.cache_clear()


def table() -> Table:
    return Table({"plain": dict}, GROUP, dict, ("level",), ("mics",))


def test_a_table_grows_by_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(table()) == {"plain": dict}
    groups = {GROUP: {"loud": "of_a_friend:Loud"}, "others": {"x": "nowhere:X"}}
    monkeypatch.syspath_prepend(install(tmp_path, "of-a-friend", CLASSES, groups))
    installed._entries.cache_clear()
    grown = table()
    assert "loud" in grown
    assert "of_a_friend" not in sys.modules  # not before it is asked for
    assert issubclass(grown["loud"], dict)
    assert list(grown) == ["plain", "loud"]
    assert len(grown) == 2
    assert "x" not in grown


@pytest.mark.parametrize(
    ("name", "place", "told"),
    [
        ("plain", "broken:Loud", "expected another name, got one that is taken"),
        ("loud", "broken:Quiet", "expected a class, got AttributeError: module 'broken' has no attribute 'Quiet'"),
        ("loud", "not_there:Loud", "expected a class, got ModuleNotFoundError: No module named 'not_there'"),
        ("loud", "broken:quiet", "expected a class that derives from dict, got 3"),
        ("loud", "pathlib:Path", "expected a class that derives from dict, got <class 'pathlib.Path'>"),
        ("loud", "broken:Mute", "expected level, got none of level"),
        ("loud", "broken:Untyped", "expected a type for every argument, got none for db"),
    ],
)
def test_what_is_no_such_class_is_left_out_with_a_warning(
    name: str, place: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "broken", CLASSES, {GROUP: {name: place}}))
    whole = f"{GROUP}: {name} = {place}, of the installed package broken: {told}"
    with pytest.warns(UserWarning, match="of the installed package broken") as warned:
        assert list(table()) == ["plain"]
    assert {str(each.message) for each in warned} == {whole}
    if name != "plain":
        with pytest.raises(ValueError, match="of the installed package broken"):
            table()[name]
    assert table()["plain"] is dict


def test_what_lies_in_the_current_folder_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, "evil", "raise SystemExit('run')", {GROUP: {"evil": "evil:Loud"}})
    monkeypatch.chdir(package)
    monkeypatch.syspath_prepend("")
    assert "evil" not in table()
    install(package / "site", "evil", CLASSES, {GROUP: {"evil": "evil:Loud"}})  # as if it was installed from here
    monkeypatch.syspath_prepend(str(package / "site"))
    installed._entries.cache_clear()
    assert "evil" in table()


@pytest.mark.parametrize(
    "first", ["import mine", "import arrayse.models", "import arrayse.kd", "import arrayse.schema"]
)
def test_a_package_that_imports_this_one_can_be_imported_first_or_last(first: str, tmp_path: Path) -> None:
    code = "from arrayse.kd.base import MapLoss\nfrom arrayse.models.ft_jnf import FTJNF\n"
    code += "class Net(FTJNF):\n    pass\nclass Loss(MapLoss):\n    paper, formulas, taps = 'mine', {}, ()\n"
    groups = {"arrayse.networks": {"mine": "mine:Net"}, "arrayse.distillation_losses": {"mine": "mine:Loss"}}
    folder = install(tmp_path, "mine", code, groups)
    program = f"{first}\nfrom arrayse.models import NETS\nfrom arrayse.kd import METHODS\n"
    program += "print(NETS['mine'].__module__, METHODS['mine'].__module__)"
    paths = os.pathsep.join([str(Path(installed.__file__).parents[1]), str(folder)])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.stdout == "mine mine\n", done.stderr
