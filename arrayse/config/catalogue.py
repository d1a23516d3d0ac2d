"""The distillation losses for people: formulas, taps, papers, and the named configs that use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arrayse.config import named_configs
from arrayse.kd.methods import METHODS


@dataclass(frozen=True)
class Method:
    """A distillation loss.

    Attributes:
        name: in a config.
        formulas: in each of its forms.
        taps: that it compares unless told otherwise, each once.
        paper: where it was published.
        configs: named distill configs with a term of it, or of another loss around it.
    """

    name: str
    formulas: tuple[str, ...]
    taps: str
    paper: str
    configs: tuple[str, ...]


def catalogue() -> list[Method]:
    """All losses."""
    uses = {name: _losses(config) for name, config in named_configs("distill").items()}
    return [
        Method(
            name,
            tuple(f"{form}: {text}" if form else text for form, text in method.formulas.items()),
            ", ".join(dict.fromkeys(method.taps)),
            method.paper,
            tuple(config for config, losses in uses.items() if name in losses),
        )
        for name, method in METHODS.items()
    ]


def _losses(config: dict[str, Any]) -> set[str]:
    """Names of the losses of a distill config, those inside others too."""
    losses = [term["loss"] for term in config["distill"]["terms"].values()]
    return {each["name"] for loss in losses for each in (loss, loss.get("inner", loss))}
