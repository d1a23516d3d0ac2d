"""A training that begins with the weights of another one: more epochs, other rooms, another array."""

from __future__ import annotations

from pathlib import Path

from arrayse.checkpoint import MODEL, fingerprint, load_enhancer
from arrayse.config import ConfigError, check_values, flatten
from arrayse.files import read_json
from arrayse.models import Enhancer
from arrayse.schema import SCHEMAS
from arrayse.verbs.common import CONFIG, Values


def begin_with(run: Path, network: Enhancer, description: Values) -> str:
    """Gives a network the best weights of a run, and returns the fingerprint of that run.

    Args:
        run: folder of the training that was before.
        network: new one.
        description: of the new one, see :func:`arrayse.verbs.nets.describe`.

    Raises:
        ConfigError: no such run, or one of another network, rate, number of microphones or reference among them.
    """
    if not run.is_dir():
        raise ConfigError(f"init: expected a folder that arrayse train or distill wrote, got {run}: no such folder")
    try:
        found, trained = fingerprint(run), load_enhancer(run)
    except ValueError as error:
        raise ConfigError(f"init: {str(error).removeprefix('run: ')}") from None
    theirs, ours = _form(trained, read_json(run / MODEL, "run")), _form(network, description)
    keys = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if keys:
        told = ", ".join(f"{key} {theirs.get(key, 'not set')} (now {ours.get(key, 'not set')})" for key in keys)
        hint = f"{run / CONFIG} in place of a named config brings its network"
        raise ConfigError(f"init: expected a run of the same network, got {run} with {told}: {hint}")
    network.load_state_dict(trained.state_dict())
    return found


def _form(network: Enhancer, description: Values) -> Values:
    """All that weights depend on, with every default filled in; which array it is does not count."""
    sections = {"model": description["net"], "stft": description["stft"], "features": description["features"]}
    filled = check_values(SCHEMAS["train"], {"data": ".", "out": ".", **sections})
    return {
        **flatten({key: filled[key] for key in sections}),
        "sample_rate": network.sample_rate,
        "number of mics": len(network.mics),
        "reference among them": network.mics.index(network.ref_mic),
    }
