"""How the layers of a configuration become one: files from left to right, then ``key=value``.

A file changes the keys that it gives, and what it names it brings whole: nothing of one before is left of a network
(``model`` with its ``name``, and the ``stft``, ``features`` and ``loss`` that belong to it), of a loss, of a
distillation term with its loss, and of the sets of a loss. ``key=value`` changes that key alone; only where it names
another class than before, the arguments of that one go.
"""

from __future__ import annotations

from typing import Any

Layer = dict[str, Any]

NAMED = ("model", "loss", "inner")
"""Sections whose ``name`` says which class the others are arguments of."""

OF_NETWORK = ("stft", "features", "loss")
"""Sections that belong to a network."""

SETS = "sets"
"""A mapping that is one value: who gives it gives all of it."""


def merge_files(layers: list[tuple[str, Layer]]) -> Layer:
    """Files become one.

    Args:
        layers: their names and contents, the later ones on top.

    Raises:
        ValueError: a network after a file that only changes one, or a training with a network of its own after a file
            that is but a network: what stood there would be lost without a word.
    """
    merged: Layer = {}
    alone: str | None = None  # the last file that is a network and nothing else
    changes: dict[str, str] = {}  # key → the file that changes the network by it
    for name, layer in layers:
        if not names_network(layer):
            changes |= {key: name for key in ("model", *OF_NETWORK) if key in layer}
        elif changes:
            wanted = f"expected after {name}, whose network comes with its own"
            told = [f"{key}: {wanted}, got it before, in {other}: swap the two" for key, other in changes.items()]
            raise ValueError("\n".join(told))
        elif alone and not _is_network(layer):
            raise ValueError(f"model: expected {name} before {alone}, whose network it would replace, got it after")
        else:
            alone = name if _is_network(layer) else alone
            merged = {key: value for key, value in merged.items() if key not in ("model", *OF_NETWORK)}
        merged = _merge_file(merged, layer)
    return merged


def names_network(layer: Layer) -> bool:
    """Whether a layer says which network it is."""
    return _class_of(layer.get("model")) is not None


def _is_network(layer: Layer) -> bool:
    """Whether a file holds a network and nothing of a training."""
    return set(layer) <= {"model", *OF_NETWORK, "mics", "ref_mic"}


def merge_overrides(files: Layer, overrides: list[tuple[str, Layer]]) -> Layer:
    """What ``key=value`` makes of the files.

    Args:
        files: merged.
        overrides: keys with dots, and the mapping that each makes with its value, the later ones on top.
    """
    joined: Layer = {}
    for key, layer in overrides:
        for path in _paths_to_sets(layer):
            if len(path) >= len(key.split(".")):  # given whole; a longer key changes one of them
                files, joined = _without(files, path), _without(joined, path)
        joined = _merge_plain(joined, layer)
    names = [_class_of(layer.get("model")) for layer in (files, joined)]
    if None not in names and names[0] != names[1]:
        files = {key: value for key, value in files.items() if key not in OF_NETWORK}
    merged: Layer = _merge_override(files, joined)
    return merged


def _paths_to_sets(layer: Any) -> list[list[str]]:
    """The keys that lead to every mapping of sets."""
    if not isinstance(layer, dict):
        return []
    here = [[SETS]] if SETS in layer else []
    return here + [[name, *path] for name, value in layer.items() for path in _paths_to_sets(value)]


def _merge_plain(before: Any, after: Any) -> Any:
    """Key by key."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {**before, **{name: _merge_plain(before.get(name), value) for name, value in after.items()}}


def _merge_file(before: Any, after: Any, key: str = "", parent: str = "") -> Any:
    """Key by key, but what is named is taken whole."""
    if not isinstance(before, dict) or not isinstance(after, dict) or key == SETS:
        return after
    if (key in NAMED and "name" in after) or (parent == "terms" and _class_of(after.get("loss")) is not None):
        return after
    return {**before, **{name: _merge_file(before.get(name), value, name, key) for name, value in after.items()}}


def _merge_override(before: Any, after: Any, key: str = "") -> Any:
    """Key by key, but a section that names another class, which has other arguments, is replaced."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    if key in NAMED and "name" in before and after.get("name", before["name"]) != before["name"]:
        return after
    return {**before, **{name: _merge_override(before.get(name), value, name) for name, value in after.items()}}


def _class_of(section: Any) -> Any:
    """What a section names; None if it is none, or names nothing."""
    return section.get("name") if isinstance(section, dict) else None


def _without(layer: Any, path: list[str]) -> Any:
    """The same mapping but for what lies at a path."""
    if not isinstance(layer, dict) or path[0] not in layer:
        return layer
    if len(path) == 1:
        return {key: value for key, value in layer.items() if key != path[0]}
    return {**layer, path[0]: _without(layer[path[0]], path[1:])}
