"""Files of datasets, runs, evaluations and exports, spoiled or forged: no code runs, nothing is written elsewhere."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.stress.common import Limits, Row, World, contents, run, succeed

LIMITS = Limits(seconds=120.0, megabytes=1500)
FORGED = (
    "../../outside",
    "/tmp/arrayse-outside",
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


def check(world: World, n_files: int, folder: Path) -> Iterator[Row]:
    """Spoils a file of a copy, and lets every command that reads it look at it."""
    inside = folder / "inside"
    inside.mkdir(parents=True)
    evaluation, onnx = folder / "evaluation", folder / "student.onnx"
    succeed([*world.evaluate(evaluation), "workers=1"], folder / "log.txt")
    succeed(["export", world.student, onnx], folder / "log.txt")
    sound = next((world.data / "test").rglob("*.wav"))
    wave = inside / "in.wav"
    shutil.copy(sound, wave)

    def enhance(place: Path) -> list[Any]:
        return ["enhance", place, world.corpus / "speech" / "fay_0.wav", inside / "out.wav"]

    kinds: list[tuple[str, Path, Callable[[Path], list[Any]]]] = [
        ("runs (weights, descriptions)", world.student, enhance),
        ("datasets (manifests, audio)", world.data, lambda place: ["verify", place, "workers=1"]),
        ("evaluations", evaluation, lambda place: ["report", place, f"out={inside / 'page.html'}"]),
        ("ONNX files", onnx, lambda place: ["stream", place, sound, inside / "out.wav", "backend=onnx"]),
    ]
    for name, source, command in kinds:
        yield _spoil_one_by_one(name, source, command, n_files, inside)


def _spoil_one_by_one(name: str, source: Path, command: Callable[[Path], list[Any]], n_files: int, inside: Path) -> Row:
    draw, codes, broken = random.Random(0), Counter[int](), []
    place = inside / "copy.onnx" if source.is_file() else inside / "copy"
    others = contents(inside.parent, ("log.txt",))
    for _ in range(n_files):
        shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
        files = [path for path in sorted(place.rglob("*")) if path.is_file()] if source.is_dir() else [place]
        victim = draw.choice(files)
        is_json = victim.suffix in (".json", ".jsonl")
        (forge if is_json and draw.random() < 0.7 else spoil_bytes)(victim, draw)
        outcome = run(command(place), inside.parent / "log.txt", LIMITS)
        codes[outcome.code] += 1
        page = inside / "page.html"
        unescaped = page.is_file() and "<script>alert(1)" in page.read_text(encoding="utf-8")
        found_broken = name.startswith("datasets") and outcome.code == 1 and "Traceback" not in outcome.output
        if unescaped or not (outcome.is_documented or found_broken):
            broken.append(f"{victim.name}: {outcome.code} {outcome.output[-200:]}")
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        for left in (page, inside / "out.wav"):
            left.unlink(missing_ok=True)
    if contents(inside.parent, ("log.txt",)) != others:
        broken.append("files outside were changed")
    return Row("untrusted files", name, n_files, len(broken), f"exit codes {dict(codes)} {broken[:1] or ''}")
