"""Named features that a network leaves on its way, for whoever wants to look at them or match them."""

from __future__ import annotations

from torch import Tensor


class Taps(dict[str, Tensor]):
    """Features by name, each (batch, channel, freq, frame)."""

    def keep(self, name: str, feature: Tensor) -> None:
        """Leaves a feature.

        Raises:
            ValueError: the name is taken, or the feature is not (batch, channel, freq, frame).
        """
        if name in self:
            raise ValueError(f"tap {name}: expected a new name, got one that is taken")
        if feature.ndim != 4:
            shape = tuple(feature.shape)
            raise ValueError(f"tap {name}: expected (batch, channel, freq, frame), got {shape}")
        self[name] = feature
