"""Recordings on their way through a network: what is checked before, and how the result is written, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from arrayse.audio import AudioInfo, audio_info, check_finite, check_rate, check_suffix
from arrayse.files import one_line, remove_unfinished, write_whole


def look_at(source: Path, destination: Path, sample_rate: int) -> AudioInfo:
    """What a recording has, before anything is computed.

    Raises:
        ValueError: unreadable audio, another rate, a result that is neither WAV nor FLAC, or would take the place of
            the recording.
    """
    check_suffix(destination)
    if destination.exists() and source.exists() and destination.samefile(source):
        raise ValueError(f"{destination}: expected another file than the recording, got the recording itself")
    info = audio_info(source)
    check_rate(info.sample_rate, sample_rate, str(source))
    return info


def write_estimate(destination: Path, pieces: Iterable[np.ndarray], sample_rate: int, gain_db: float) -> None:
    """Writes 16 bits of one channel in memory that does not depend on the length; nothing stays of one that would clip.

    Args:
        destination: its ending decides the format.
        pieces: (n_samples,) each.
        sample_rate: Hz.
        gain_db: change of level.

    Raises:
        ValueError: the result would clip or is not finite, or what ``pieces`` raises.
    """
    kind, gain = destination.suffix[1:].upper(), 10 ** (gain_db / 20)

    def write(temporary: Path) -> None:
        peak = 0.0
        with soundfile.SoundFile(str(temporary), "w", sample_rate, 1, "PCM_16", format=kind) as file:
            for piece in pieces:
                scaled = gain * piece
                check_finite(scaled, f"estimate for {destination}")
                peak = max(peak, float(np.abs(scaled).max(initial=0.0)))
                file.write(scaled.clip(-1, 1))
        if peak > 1:
            above_db = 20 * np.log10(peak)
            hint = f"gain_db={np.floor(gain_db - above_db):g} lowers it"
            raise ValueError(f"{destination}: expected samples within [-1, 1], got {above_db:.1f} dB above: {hint}")

    remove_unfinished(destination)
    try:
        write_whole(destination, write)
    except soundfile.LibsndfileError as error:
        # libsndfile does not tell why
        raise OSError(f"{destination}: expected to be written, got {one_line(error)} Is the disk full?") from None
