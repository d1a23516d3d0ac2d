"""The first scenes of a dataset as a page to look at before the long run."""

from arrayse.preview.build import build_preview

__all__ = ["build_preview"]
