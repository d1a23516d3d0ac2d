"""Running networks on recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arrayse.audio import audio_info, check_rate, check_suffix, read_audio, write_audio
from arrayse.checkpoint import load_enhancer
from arrayse.models.enhancer import check_channels


def run_enhance(run: Path, source: Path, destination: Path, gain_db: float) -> None:
    """Enhances one audio file and changes its level by ``gain_db``.

    Raises:
        ValueError: no run, wrong number of channels or rate, unreadable, silent or NaN audio, a result that would
            clip.
    """
    enhancer = load_enhancer(run)
    check_suffix(destination)
    if destination.exists() and destination.samefile(source):
        raise ValueError(f"{destination}: expected another file than the recording, got the recording itself")
    info = audio_info(source)
    check_rate(info.sample_rate, enhancer.sample_rate, str(source))
    check_channels(info.n_channels, enhancer, str(source))
    noisy = read_audio(source, enhancer.sample_rate)
    if not noisy.any():
        raise ValueError(f"{source}: expected sound, got silence")
    wave = 10 ** (gain_db / 20) * enhancer.enhance(noisy, enhancer.sample_rate)
    peak = float(np.abs(wave).max())
    if peak > 1:
        above_db = 20 * np.log10(peak)
        hint = f"gain_db={np.floor(gain_db - above_db):g} lowers it"
        raise ValueError(f"{destination}: expected samples within [-1, 1], got {above_db:.1f} dB above: {hint}")
    write_audio(destination, wave, enhancer.sample_rate)
