"""The import rule, read off the syntax trees: a file imports only lower layers or its own package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = {
    0: ("geometry", "files", "audio", "converter", "manifest", "mixture", "cluster", "parallel", "provenance", "sizes"),
    1: ("taps", "installed"),
    2: ("frontend", "losses", "metrics", "statistics", "objectives"),
    3: ("models", "kd"),
    4: (*("data", "checkpoint", "stream", "export", "training", "profile", "evaluation", "report"),),
    5: (
        *("sweep", "schema", "config", "fresh", "teachers", "phases"),
        *("preview", "ui", "verbs"),
        *("benchmark", "doctor", "cli", "__main__"),
    ),
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names}
CONFIG_ONLY = {"config", "schema"}

PIPES = {"arrayse/cluster.py", "arrayse/evaluation/scoring.py", "arrayse/parallel.py", "simulate/benchmark.py"}
"""They send tasks and results between own processes, which pickles them: nothing of it is ever read from a file."""
PICKLING = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "copyreg"),
    *("multiprocessing", "concurrent", "distributed", "dask"),
}
RUNS_OR_UNPICKLES = {
    *("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "builtins.compile"),
    *("numpy.load", "numpy.lib.npyio.load", "torch.load", "torch.serialization.load", "torch.jit.load"),
}
"""By their real names; ``tests/test_stress_security.py`` looks for more of them, as they are usually called."""


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
    allowed = path.is_relative_to(ROOT / "arrayse") and room_of(path) in CONFIG_ONLY
    assert allowed or not heads & {"omegaconf", "pydantic", "yaml"}


def test_every_module_has_a_layer_and_every_name_is_one() -> None:
    rooms = [room_of(path) for path in sources() if path.is_relative_to(ROOT / "arrayse")]
    assert {*rooms} - {"__init__"} == {*LAYER}
    assert len(LAYER) == sum(map(len, LAYERS.values()))
    assert {*LAYER} >= CONFIG_ONLY


def test_the_page_on_architecture_shows_these_layers() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([^|]*) \|", page, re.MULTILINE)
    assert {int(layer): tuple(names.replace("`", "").split(", ")) for layer, names in rows} == LAYERS


def test_pickles_only_go_through_pipes_between_own_processes() -> None:
    heads = {path.relative_to(ROOT).as_posix(): {name.split(".")[0] for name in imported(path)} for path in sources()}
    assert {path for path, names in heads.items() if names & PICKLING} == PIPES
    assert not any(names & PICKLING - {"multiprocessing", "concurrent", "distributed"} for names in heads.values())


def mentioned(text: str) -> set[str]:
    """Everything that a source mentions, called or not, by its real name: ``np.load`` is ``numpy.load``."""
    tree, real = ast.parse(text), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            real |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            real |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)}
    parts = {name.partition(".") for name in dotted}
    return {*real.values(), *(real.get(head, head) + dot + rest for head, dot, rest in parts)}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_unpickled_and_no_text_is_run(path: Path) -> None:
    assert not mentioned(path.read_text(encoding="utf-8")) & RUNS_OR_UNPICKLES


@pytest.mark.parametrize(
    "text",
    [
        *("from numpy import load", "from torch import load as f", "import numpy as n; n.load(p)"),
        *("run = eval", "map(exec, texts)", "import builtins as b; b.eval(x)", "from builtins import eval as e"),
        *("import torch.jit as j; j.load(p)", "re.match(torch.load, p)"),
    ],
)
def test_other_names_hide_nothing(text: str) -> None:
    assert mentioned(text) & RUNS_OR_UNPICKLES


def test_importing_arrayse_is_light() -> None:
    code = "import sys, arrayse; print([m for m in ('torch', 'scipy', 'matplotlib', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_simulator_does_not_import_torch() -> None:
    code = "import sys, simulate.generate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"
