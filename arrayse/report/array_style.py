"""What the parts of the picture of an array share: its size, colours, and the look of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (15.0, 11.0)
DOTS_PER_INCH = 120

# Told apart with the common colour vision deficiencies: two of Okabe and Ito's colours.
INK, MUTED, GRID = "#1f2933", "#5f6b76", "#dfe4e8"
BLUE, ORANGE = "#0072b2", "#d55e00"
GAP, TOP_GAP = 14, 34  # points from panel to title; in the top row the polar plots have a label in between
LEGEND = {"frameon": False, "fontsize": 11, "labelcolor": INK, "columnspacing": 2.2}


def style_panel(panel: Axes, title: str, gap: float) -> None:
    """Title ``gap`` points above the panel, a light grid, no frame."""
    panel.set_title(title, loc="left", y=1.0, pad=gap, size=13, weight="bold", color=INK)
    panel.grid(color=GRID, lw=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=MUTED, length=0, labelsize=10, pad=6)
    panel.spines[:].set_visible(False)
