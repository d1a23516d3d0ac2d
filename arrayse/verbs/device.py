"""Running networks on recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from arrayse.audio import read_audio
from arrayse.checkpoint import load_enhancer
from arrayse.frontend.channels import check_channels
from arrayse.verbs.recordings import look_at, write_estimate


def run_enhance(run: Path, source: Path, destination: Path, gain_db: float) -> None:
    """Enhances one audio file of any length and changes its level by ``gain_db``.

    Raises:
        ValueError: no run, wrong number of channels or rate, unreadable, silent or NaN audio, a result that would
            clip.
    """
    enhancer = load_enhancer(run)
    info = look_at(source, destination, enhancer.sample_rate)
    check_channels(info.n_channels, enhancer, str(source))
    heard_sound = False

    def read(start: int, n_samples: int) -> np.ndarray:
        nonlocal heard_sound
        piece = read_audio(source, enhancer.sample_rate, start, n_samples)
        heard_sound = heard_sound or bool(piece.any())
        return piece

    def estimates() -> Iterator[np.ndarray]:
        yield from enhancer.enhance_pieces(read, info.n_samples)
        if not heard_sound:
            raise ValueError(f"{source}: expected sound, got silence")

    write_estimate(destination, estimates(), enhancer.sample_rate, gain_db)
