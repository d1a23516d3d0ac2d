"""What is compared: forms of the same causal FT-JNF, by size, by structure, by front-end."""

from __future__ import annotations

from dataclasses import dataclass

FOLD = ["model.freq_fold=4", "model.time_fold=4"]


@dataclass(frozen=True)
class Variant:
    """One network.

    Attributes:
        title: as the table says it.
        arguments: what it has beside the common config.
    """

    title: str
    arguments: list[str]


def sizes(freq_hidden: int, time_hidden: int) -> list[str]:
    """Units of both LSTMs."""
    return [f"model.freq_hidden={freq_hidden}", f"model.time_hidden={time_hidden}"]


VARIANTS = {
    "base": Variant("64/32", sizes(64, 32)),
    "small": Variant("32/16", sizes(32, 16)),
    "shared": Variant("64/32, 4 bins share a step of the F-LSTM", [*sizes(64, 32), "model.freq_fold=4"]),
    "folded": Variant("64/32, 4 bins share both LSTMs", [*sizes(64, 32), *FOLD]),
    "folded_wide": Variant("96/64, 4 bins share both LSTMs", [*sizes(96, 64), *FOLD]),
    "low_latency": Variant("64/32, frames of 16 ms", ["model/low_latency"]),
    "asymmetric": Variant("64/32, asymmetric windows, 4 bins share both LSTMs", ["model/low_latency_asymmetric"]),
}
