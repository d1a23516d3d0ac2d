"""Files of datasets, runs, evaluations and exports, spoiled or forged: no code runs, nothing is written elsewhere."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.stress.common import Limits, Row, World, contents, run, succeed

LIMITS = Limits(seconds=120.0, megabytes=1500)
OUTSIDE = Path(tempfile.gettempdir()) / "arrayse-outside"
FORGED = (
    "../../outside",
    str(OUTSIDE),
    "..",
    "a/../../b",
    "<script>alert(1)</script>",
    "\x00",
    "",
    "é" * 300,
)
"""Names that lead elsewhere, or into a page."""


def spoil_bytes(path: Path, draw: random.Random) -> None:
    """Flips bytes, or cuts the file off."""
    content = bytearray(path.read_bytes())
    if not content:
        return
    if draw.random() < 0.3:
        del content[draw.randrange(len(content)) :]
    for _ in range(draw.randint(1, 10) if content else 0):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(bytes(content))


def forge(path: Path, draw: random.Random) -> None:
    """Puts a forged name, or a number that cannot be, somewhere into JSON or JSON lines."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text("utf-8")]
    number = draw.randrange(len(lines))
    tree = json.loads(lines[number])
    nodes: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        node = todo.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            nodes.append((node, key))
            if isinstance(value, (dict, list)):
                todo.append(value)
    node, key = draw.choice(nodes)
    node[key] = draw.choice((*FORGED, None, -1, 10**12, [], {}, "5"))
    lines[number] = json.dumps(tree)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def kinds(world: World) -> dict[str, tuple[Callable[[Path], Path], Callable[[Path, Path], list[Any]]]]:
    """By name: what makes or finds the files, in a folder; the command that reads a copy, which may write beside it."""

    def onnx(folder: Path) -> Path:
        succeed(["export", world.student, folder / "student.onnx"], folder / "log.txt")
        return folder / "student.onnx"

    def enhance(place: Path, beside: Path) -> list[Any]:
        return ["enhance", place, world.short, beside / "out.wav"]

    return {
        "runs (weights, descriptions)": (lambda _: world.student, enhance),
        "datasets (manifests, audio)": (lambda _: world.data, lambda place, _: ["verify", place, "workers=1"]),
        "datasets, repaired": (lambda _: world.data, lambda place, _: ["verify", place, "workers=1", "--repair"]),
        "evaluations": (lambda _: world.evaluation, lambda place, out: ["report", place, f"out={out / 'page.html'}"]),
        "ONNX files": (onnx, lambda place, out: ["stream", place, world.short, out / "out.wav", "backend=onnx"]),
    }


def check(world: World, name: str, n_files: int, folder: Path) -> Iterator[Row]:
    """Spoils a file of a copy again and again, and lets the command that reads it look at it."""
    find, command = kinds(world)[name]
    inside = folder / "inside"
    inside.mkdir(parents=True, exist_ok=True)
    source = find(folder)
    draw, codes, broken = random.Random(0), Counter[int](), list[str]()
    place = inside / "copy.onnx" if source.is_file() else inside / "copy"
    succeed(command(source, inside), folder / "log.txt")  # else it would be refused for something else
    _remove_results(inside)
    others = contents(folder, ("log.txt",))
    for _ in range(n_files):
        shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
        files = [path for path in sorted(place.rglob("*")) if path.is_file()] if source.is_dir() else [place]
        victim = draw.choice(files)
        is_json = victim.suffix in (".json", ".jsonl")
        (forge if is_json and draw.random() < 0.7 else spoil_bytes)(victim, draw)
        outcome = run(command(place, inside), folder / "log.txt", LIMITS)
        codes[outcome.code] += 1
        page = inside / "page.html"
        unescaped = page.is_file() and "<script>alert(1)" in page.read_text(encoding="utf-8")
        found_bad = name.startswith("datasets") and outcome.code == 1 and "Traceback" not in outcome.output
        if unescaped or not (outcome.is_documented or found_bad):
            broken.append(f"{victim.name}: {outcome.code} {outcome.output[-200:]}")
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        _remove_results(inside)
    if contents(folder, ("log.txt",)) != others or OUTSIDE.exists():
        broken.append("files outside were changed")
    told = ", ".join(f"{codes[code]} with {code}" for code in sorted(codes))
    yield Row("untrusted files", name, n_files, len(broken), f"exit codes: {told} {broken[0] if broken else ''}")


def _remove_results(folder: Path) -> None:
    for name in ("page.html", "out.wav"):
        (folder / name).unlink(missing_ok=True)
