"""Configurations nobody meant: each is taken or refused with the documented error, and none reads, runs or imports."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from arrayse.config import ConfigError, config_root, read_config
from arrayse.schema import SCHEMAS
from tests.stress.common import Limits, Row, World, run

LIMITS = Limits(seconds=60.0, megabytes=1000)
SECRET = "what-no-config-may-see"
"""Value of an environment variable that interpolations ask for."""

ATTACKS = (
    "${oc.env:ARRAYSE_SECRET}",
    "${env:ARRAYSE_SECRET}",
    "${oc.decode:'${oc.env:ARRAYSE_SECRET}'}",
    "${oc.create:{a: 1}}",
    "${seed}",
    "!!python/object/apply:os.system ['touch MARKER']",
    "!!python/name:os.system",
    "__import__('os').system('touch MARKER')",
    "$(touch MARKER)",
    "file:///etc/passwd",
    "&a [*a]",
)
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**63, 10**400, 1e308, float("nan"), float("-inf"), "", " ", "5", "ä\x00", "a" * 10000),
    *([], {}, [[]], {"name": "x"}, [1, "a", None], {"": 1}, {"name": []}),
)
NUMBERS = (
    "1e999",
    "0x10",
    "1_000",
    "-0",
    ".5",
    "1:30",
    "2001-01-01",
    "yes",
    "~",
    "[1,",
    "{a: ",
    '"',
    "#",
    "%",
    "@",
    "`",
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and list element of a configuration."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def spoil(tree: Any, draw: random.Random) -> None:
    """Changes one place of a configuration: another value, another name, gone, or nested far too deep."""
    where = draw.choice(list(places(tree)) or [()])
    if not where:
        return
    for key in where[:-1]:
        tree = tree[key]
    how, last = draw.randrange(5), where[-1]
    if how == 0:
        del tree[last]
    elif how == 1 and isinstance(tree, dict):
        tree[draw.choice((f"{last}x", "name", "", "a.b", 3))] = tree.pop(last)
    elif how == 2:
        value: Any = 1
        for _ in range(draw.choice((2, 60))):
            value = {"a": value} if draw.random() < 0.5 else [value]
        tree[last] = value
    else:
        tree[last] = draw.choice((*JUNK, *ATTACKS))


def cases(n: int, folder: Path, marker: Path, seed: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Verbs with their arguments: spoiled files of the named configs, spoiled text, spoiled overrides."""
    draw, root, place = random.Random(seed), config_root(), folder / "spoiled.yaml"
    named = {verb: sorted((root / verb).glob("*.yaml")) for verb in ("simulate", "train", "distill", "evaluate")}
    for number in range(n):
        verb = draw.choice(list(named))
        source = draw.choice(named[verb])
        text = source.read_text(encoding="utf-8")
        if number % 3 == 0:
            content = bytearray(text.encode())
            for _ in range(draw.randint(1, 6)):
                content[draw.randrange(len(content))] = draw.randrange(256)
            place.write_bytes(bytes(content))
        else:
            tree = yaml.safe_load(text)
            for _ in range(draw.randint(1, 3)):
                spoil(tree, draw)
            place.write_text(yaml.safe_dump(tree), encoding="utf-8")
        arguments = ["student", str(place)] if verb == "distill" else [str(place)]
        if number % 3 == 2:
            value = draw.choice((*ATTACKS, *NUMBERS, *map(str, JUNK))).replace("MARKER", str(marker))
            keys = list(SCHEMAS[verb].model_fields)
            arguments.append(f"{draw.choice([*keys, 'model.name', 'fit.', '.', 'a..b', 'loss.name'])}={value}")
        yield verb, [*arguments, "out=unused", "data=unused"] if verb != "simulate" else [*arguments, "out=unused"]


def check(world: World, n_configs: int, folder: Path) -> Iterator[Row]:
    """Reads spoiled configurations, and gives a twentieth of them to the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    marker, os.environ["ARRAYSE_SECRET"] = folder / "marker", SECRET
    counts, broken = Counter[str](), []
    for verb, arguments in cases(n_configs, folder, marker):
        try:
            values = read_config(verb, arguments)
        except ConfigError as error:
            counts["refused"] += 1
            leaks = SECRET in str(error)
        except Exception as error:  # whatever else comes is what this looks for
            broken.append(f"{type(error).__name__} {str(error)[:100]}: {verb} {arguments[-3:]}")
            continue
        else:
            counts["taken"] += 1
            leaks = SECRET in str(values)
        if leaks or marker.exists():
            broken.append(f"read or ran something: {arguments}")
    note = f"{counts['taken']} taken, {counts['refused']} refused {broken[0] if broken else ''}"
    yield Row("bad configs", "spoiled files and overrides", n_configs, len(broken), note)
    n_commands, wrong, codes = max(1, n_configs // 20), [], Counter[int]()
    for verb, arguments in cases(n_commands, folder, marker, seed=1):
        missing = [argument.replace("=unused", f"={folder / 'nowhere'}") for argument in arguments]
        outcome = run([verb, *missing, *(["array=none"] if verb == "simulate" else [])], folder / "log.txt", LIMITS)
        codes[outcome.code] += 1
        if not outcome.is_documented:
            wrong.append(f"{outcome.code} {outcome.output[-200:]}: {verb} {arguments}")
    told = ", ".join(f"{codes[code]} with {code}" for code in sorted(codes))
    note = f"exit codes: {told} {wrong[0] if wrong else ''}"
    yield Row("bad configs", "given to the command line", n_commands, len(wrong), note)
