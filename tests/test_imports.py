"""The import rule, read off the syntax trees: a file imports only lower layers or its own package."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = {
    0: ("geometry", "files", "audio", "converter", "manifest", "mixture", "cluster", "parallel", "provenance", "sizes"),
    1: ("taps",),
    2: ("frontend", "losses", "metrics", "statistics", "objectives"),
    3: ("models", "kd"),
    4: (*("data", "checkpoint", "stream", "export", "training", "profile", "evaluation", "report"),),
    5: (
        *("sweep", "schema", "config", "fresh", "teachers", "phases"),
        *("preview", "verbs"),
        *("patches", "benchmark", "ui", "quickstart", "doctor", "cli", "__main__"),
    ),
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names}
CONFIG_ONLY = {"config", "cli"}


def sources() -> list[Path]:
    return sorted(path for folder in ("arrayse", "simulate") for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of every import anywhere in a file, those for type checkers included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    """The module or package directly below arrayse/ that a file belongs to."""
    return path.relative_to(ROOT / "arrayse").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_lower_layers(path: Path) -> None:
    names = imported(path)
    assert not any(name.split(".")[0] == "experiments" for name in names)
    if path.is_relative_to(ROOT / "simulate"):
        assert not any(name.split(".")[0] == "torch" for name in names), "simulate never imports torch"
        rooms = {name.split(".")[1] for name in names if name.startswith("arrayse.")}
        assert {LAYER[room] for room in rooms} <= {0}
        return
    room = room_of(path)
    if room == "__init__":
        return
    for name in names:
        if name.startswith("simulate"):
            assert LAYER[room] == 5, f"{path} imports {name}"
        if not name.startswith("arrayse.") or name == "arrayse.__version__":
            continue
        other = name.split(".")[1]
        assert other == room or LAYER[other] < LAYER[room] or _same_layer_but_ordered(room, other), f"{path}: {name}"


def _same_layer_but_ordered(room: str, other: str) -> bool:
    """Inside a layer the order above counts: a file imports only what stands before it. kd and models are strangers."""
    if LAYER[room] != LAYER[other] or {room, other} == {"kd", "models"}:
        return False
    order = LAYERS[LAYER[room]]
    return order.index(other) < order.index(room)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_omegaconf_and_pydantic_stay_in_the_configuration(path: Path) -> None:
    heads = {name.split(".")[0] for name in imported(path)}
    allowed = path.is_relative_to(ROOT / "arrayse") and room_of(path) in {*CONFIG_ONLY, "schema", "keys"}
    assert allowed or not heads & {"omegaconf", "pydantic", "yaml"}


def test_every_module_has_a_layer() -> None:
    rooms = {room_of(path) for path in sources() if path.is_relative_to(ROOT / "arrayse")} - {"__init__"}
    assert rooms <= set(LAYER)


def test_no_pickle_anywhere() -> None:
    for path in sources():
        names = imported(path)
        assert not {"pickle", "cPickle", "dill", "joblib"} & {name.split(".")[0] for name in names}, path
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not calls & {"torch.load", "np.load", "eval", "exec"}, path


def test_importing_arrayse_is_light() -> None:
    code = "import sys, arrayse; print([m for m in ('torch', 'scipy', 'matplotlib', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_simulator_does_not_import_torch() -> None:
    code = "import sys, simulate.generate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"
