"""A training that begins with the weights of another one: more epochs, other rooms, another array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arrayse.checkpoint import MODEL, is_finished, read_training_state
from arrayse.config import ConfigError, check_values, flatten, read_yaml
from arrayse.files import read_json
from arrayse.models import Enhancer
from arrayse.provenance import ABOUT, training_of
from arrayse.schema import SCHEMAS
from arrayse.teachers import open_run
from arrayse.verbs.common import CONFIG, NETWORK_KEYS, Values

Origin = dict[str, Any]
"""What is kept of the run that a training began with: ``fingerprint``, ``objectives``, and whether it ``distilled``."""


def network_of(arguments: list[str]) -> Values | None:
    """The network of the run that ``init=RUN`` names among arguments, with its loss; None where none is named.

    Raises:
        ConfigError: no such run.
    """
    runs = [argument.partition("=")[2] for argument in arguments if argument.startswith("init=")]
    if not runs or runs[-1] == "null":
        return None
    path = Path(runs[-1]).expanduser() / CONFIG
    if not path.is_file():
        wanted = "expected a folder that arrayse train or distill wrote"
        raise ConfigError(f"init: {wanted}, got {path.parent} without {CONFIG}")
    values = read_yaml(path)
    return {key: values[key] for key in (*NETWORK_KEYS, "loss") if key in values}


def begin_with(run: Path, network: Enhancer, description: Values) -> Origin:
    """Gives a network the best weights of a run.

    Args:
        run: folder of the training that was before.
        network: new one.
        description: of the new one, see :func:`arrayse.verbs.nets.describe`.

    Raises:
        ConfigError: no such run, an unfinished one, or one of another network, rate, number of microphones or reference
            among them.
    """
    found, trained = open_run("init", run)
    if read_training_state(run) is not None and not is_finished(run):
        raise ConfigError(f"init: expected a run that is finished, got {run}, whose weights still change")
    theirs, ours = _form(trained, read_json(run / MODEL, "run")), _form(network, description)
    keys = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if keys:
        told = ", ".join(f"{key} {theirs.get(key, 'not set')} (now {ours.get(key, 'not set')})" for key in keys)
        hint = "without a config that names a network it is that of the run"
        raise ConfigError(f"init: expected a run of the same network, got {run} with {told}: {hint}")
    network.load_state_dict(trained.state_dict())
    about = read_json(run / ABOUT, "run") if (run / ABOUT).is_file() else {}
    return {"fingerprint": found, **training_of(about)}


def _form(network: Enhancer, description: Values) -> Values:
    """All that weights depend on, with every default filled in; which array it is does not count."""
    sections = {"model": description["net"]}
    if network.net.domain != "time":
        sections |= {"stft": description["stft"], "features": description["features"]}
    filled = check_values(SCHEMAS["train"], {"data": ".", "out": ".", **sections})
    return {
        **flatten({key: filled[key] for key in sections}),
        "sample_rate": network.sample_rate,
        "number of mics": len(network.mics),
        "reference among them": network.mics.index(network.ref_mic),
    }
