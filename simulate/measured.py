"""Measured room impulse responses as rooms: one file per source position, one channel per microphone of an array."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal

from arrayse.audio import check_rate, read_audio
from simulate.corpus import find_files
from simulate.known_files import known_files
from simulate.rir import RoomResponse

LEAD_SECONDS = 1e-3
"""Kept before the first arrival: band limits make a response ring before it."""

DIRECT_SECONDS = 2.5e-3
"""Length of the direct sound after its arrival at the last microphone, as in Zahorik, "Direct-to-reverberant energy
ratio sensitivity", JASA 112 (2002): longer than the response of a head, shorter than the way of most reflections."""

FADE_SECONDS = 0.5e-3
END_FADE_SECONDS = 5e-3

ONSET_AMPLITUDE = 0.1
"""A response begins where it first rises above its noise and -20 dB of its peak (ISO 3382-1)."""

NOISE_PEAK = 5.0
"""Amplitude, over the rms of noise, that noise alone hardly ever reaches; a response must reach twice as much."""

LOWEST_HZ = 88.0
"""Arrivals and decays are measured without rumble below the octave of 125 Hz, the lowest of ISO 3382-1."""

BLOCK_SECONDS = 5e-3
FIT_DB = (25.0, 5.0)
"""Over the noise: levels between which the late decay is taken as a straight line."""

LEAST_DECAY_DB = 15.0
"""A decay that has not fallen so far when it nears the noise gives no reverberation time."""


@dataclass(frozen=True)
class MeasuredRoom:
    """One room: a file for each source position and the SHA-256 of its bytes, sorted by path."""

    name: str
    files: list[tuple[Path, str]]


@dataclass(frozen=True)
class RoomBank:
    """Measured rooms by split.

    Attributes:
        source: what the user named.
        splits: rooms by split, sorted by name.
        sample_rate: Hz of every file.
        channels: of the files, one for each microphone.
        left_out: number of files that lack them, by number of channels.
    """

    source: str
    splits: dict[str, list[MeasuredRoom]]
    sample_rate: int
    channels: list[int]
    left_out: dict[int, int]

    def rooms(self, split: str, n_sources: int) -> list[MeasuredRoom]:
        """The rooms of a split that have so many source positions.

        Raises:
            ValueError: none has.
        """
        rooms = [room for room in self.splits[split] if len(room.files) >= n_sources]
        if not rooms:
            largest = max((len(room.files) for room in self.splits[split]), default=0)
            there = f"the largest has {largest}" if largest else "got no room"
            wanted = f"a room with {n_sources} source positions in split {split}"
            raise ValueError(f"rooms {self.source}: expected {wanted}, {there}")
        return rooms

    def describe(self) -> str:
        """What it holds and what was left out, in one line for people."""
        parts = []
        for split, rooms in self.splits.items():
            n_files = [len(room.files) for room in rooms]
            most = f", at most {max(n_files)} in one" if len(rooms) > 1 else ""
            parts.append(f"{split} {len(rooms)} rooms, {sum(n_files)} source positions{most}")
        parts += [f"{count} files of {n} channels left out" for n, count in self.left_out.items()]
        return f"rooms: {self.source}, channels {', '.join(map(str, self.channels))}: {'; '.join(parts)}"

    def fingerprint(self) -> str:
        """SHA-256 over the channels and over split, room, name and content of every file, wherever the folder lies."""
        rows = [(s, room.name, f.name, h) for s, rooms in self.splits.items() for room in rooms for f, h in room.files]
        return hashlib.sha256(json.dumps([self.channels, rows]).encode()).hexdigest()


def load_rooms(
    source: str,
    sample_rate: int,
    n_mics: int,
    channels: list[int] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RoomBank:
    """Opens a folder of measured responses.

    Args:
        source: a manifest CSV (rows of kind ``rir``, ``speaker_or_type`` being the room), a folder that holds
            ``MANIFEST.csv``, or any folder of audio files: its first level of folders are the rooms, split 80/10/10.
        sample_rate: Hz that every file must have.
        n_mics: microphones of the array.
        channels: of the files, one for each microphone; files that have them are kept. None: files of exactly
            ``n_mics`` channels are kept.
        progress: called with files looked at and files in all.

    Raises:
        ValueError: nothing there, no file with these channels, another rate, a room or file in two splits, channels
            that are not ``n_mics`` different ones.
    """
    if channels is not None and (len(channels) != n_mics or len(set(channels)) != n_mics or min(channels) < 0):
        raise ValueError(f"room_channels: expected {n_mics} different channels counted from 0, got {channels}")

    def fits(n_channels: int) -> bool:
        return n_channels == n_mics if channels is None else n_channels > max(channels)

    rooms, left_out = _rooms(source, sample_rate, fits, progress)
    if not any(rooms.values()):
        wanted = f"{n_mics} channels" if channels is None else f"more than {max(channels)} channels"
        got = ", ".join(f"{count} of {n}" for n, count in sorted(left_out.items())) or "no files"
        raise ValueError(f"room_channels: expected files of {wanted} in {source}, got {got}")
    return RoomBank(source, rooms, sample_rate, channels or list(range(n_mics)), dict(sorted(left_out.items())))


def _rooms(
    source: str, sample_rate: int, fits: Callable[[int], bool], progress: Callable[[int, int], None]
) -> tuple[dict[str, list[MeasuredRoom]], Counter[int]]:
    """The files whose number of channels fits, by split and room, and how many others there are of each number."""
    path, splits, _ = find_files(source, "rir")
    total, done = sum(map(len, splits.values())), 0
    rooms, left_out = dict[str, list[MeasuredRoom]](), Counter[int]()
    with known_files(path, "rir") as look:
        for split, rows in splits.items():
            files: dict[str, list[tuple[Path, str]]] = {}
            for file, room in sorted(rows):
                info, sha256 = look(file)
                if fits(info.n_channels):
                    check_rate(info.sample_rate, sample_rate, str(file))
                    files.setdefault(room, []).append((file, sha256))
                else:
                    left_out[info.n_channels] += 1
                done += 1
                progress(done, total)
            rooms[split] = [MeasuredRoom(room, files[room]) for room in sorted(files)]
    return rooms, left_out


def draw_positions(bank: RoomBank, split: str, n_sources: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """Draws a room, each being as likely, and for every source, target first, ``room``, ``path``, ``sha256`` of a file.

    Raises:
        ValueError: no room of the split has so many source positions.
    """
    rooms = bank.rooms(split, n_sources)
    room = rooms[rng.integers(len(rooms))]
    files = [room.files[i] for i in rng.permutation(len(room.files))[:n_sources]]
    return [{"room": room.name, "path": str(path), "sha256": sha256} for path, sha256 in files]


def measured_responses(picks: list[dict[str, str]], channels: list[int], sample_rate: int) -> RoomResponse:
    """Reads the responses of drawn positions and takes them apart.

    A file knows neither the moment of emission nor its gain. Here a source reaches its first microphone at the moment
    of emission: what lies before in the file is a delay of the measurement and goes, delays between microphones
    stay. One factor for all sources gives the direct sound of the first source the energy 1 in the mean of the
    microphones, as at 1 m; levels between sources are those of the files. A response ends where it sinks into its
    noise or its decay has 60 dB behind it.

    The direct path is all until ``DIRECT_SECONDS`` after the arrival at the last microphone, one window for all of
    them: the array should not measure more than a few decimetres. ``rt60`` is the mean T30 of what follows the direct
    path, without sources whose decay is hidden by noise; None if there is none, as without reverberation.

    Args:
        picks: of :func:`draw_positions`.
        channels: of the files, one for each microphone.
        sample_rate: Hz.

    Raises:
        ValueError: a file that cannot be read, lacks a channel, is silent or mere noise, or ends in the direct sound.
    """
    pieces = [_take_apart(Path(pick["path"]), channels, sample_rate) for pick in picks]
    full, direct = np.zeros((2, len(picks), len(channels), max(piece.shape[-1] for piece, _, _ in pieces)))
    for number, (piece, window, _) in enumerate(pieces):
        full[number, :, : piece.shape[-1]] = piece
        direct[number, :, : piece.shape[-1]] = window * piece
    gain = 1 / np.sqrt(np.mean(np.sum(direct[0] ** 2, axis=-1)))
    decays = [rt60 for _, _, rt60 in pieces if rt60 is not None]
    full, direct = ((gain * part).astype(np.float32) for part in (full, direct))
    rt60 = float(np.mean(decays)) if decays else None
    return RoomResponse(full, direct, rt60, engine="measured", lead=round(LEAD_SECONDS * sample_rate))


def _take_apart(path: Path, channels: list[int], sample_rate: int) -> tuple[np.ndarray, np.ndarray, float | None]:
    """The response (n_mics, n_taps), the first arrival after its lead; the window of its direct path; T30 or None."""
    wave = _read_response(path, channels, sample_rate)
    heard = scipy.signal.sosfilt(scipy.signal.butter(2, LOWEST_HZ, "high", fs=sample_rate, output="sos"), wave)
    arrivals = [_arrival(mic, f"{path} channel {channel}") for channel, mic in zip(channels, heard, strict=True)]
    lengths = (LEAD_SECONDS, DIRECT_SECONDS, FADE_SECONDS, END_FADE_SECONDS)
    lead, n_direct, fade, end_fade = (round(seconds * sample_rate) for seconds in lengths)
    begin, end = min(arrivals), max(arrivals) + n_direct + fade  # of the direct path
    if end > wave.shape[-1]:
        there = wave.shape[-1] - max(arrivals)
        raise ValueError(f"{path}: expected {n_direct + fade} samples or more from the direct sound on, got {there}")
    late = heard[:, end:] ** 2
    cut = end + _useful_length(late.mean(axis=0), sample_rate)
    response = np.pad(wave, ((0, 0), (lead, 0)))[:, begin : lead + cut]
    response[:, :fade] *= _fade_in(fade)
    if cut < wave.shape[-1]:
        end_fade = min(end_fade, cut - end + fade)
        response[:, -end_fade:] *= _fade_in(end_fade)[::-1]
    window = np.zeros(response.shape[-1])
    window[: lead + end - begin] = 1
    window[: lead + end - begin][-fade:] = _fade_in(fade)[::-1]
    return response, window, _late_t30(late[0], sample_rate)


def _read_response(path: Path, channels: list[int], sample_rate: int) -> np.ndarray:
    """The channels (n_mics, n_taps) of a file, without the zeros that fill it up."""
    wave = read_audio(path, sample_rate)
    if max(channels) >= len(wave):
        raise ValueError(f"room_channels: expected channels below {len(wave)}, those of {path}, got {channels}")
    wave = wave[channels].astype(np.float64)
    for channel, mic in zip(channels, wave, strict=True):
        if not mic.any():
            raise ValueError(f"{path} channel {channel}: expected an impulse response, got silence")
    return wave[:, : np.flatnonzero(wave.any(axis=0))[-1] + 1]


def _arrival(heard: np.ndarray, what: str) -> int:
    """First sample of a response (n_taps,) above its noise, which is looked for in its last tenth, and -20 dB."""
    peak, noise = np.abs(heard).max(), np.sqrt(np.mean(heard[-(len(heard) // 10 + 1) :] ** 2))
    if peak < 2 * NOISE_PEAK * noise:
        least, got = 20 * np.log10([2 * NOISE_PEAK, peak / noise])
        raise ValueError(f"{what}: expected a peak {least:.0f} dB above the noise at its end, got {got:.1f} dB")
    return int(np.argmax(np.abs(heard) >= max(ONSET_AMPLITUDE * peak, NOISE_PEAK * noise)))


def _fade_in(n_samples: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_samples) + 0.5) / n_samples)


def _useful_length(late: np.ndarray, sample_rate: int) -> int:
    """Samples of a decay, given as power (n_taps,), until it meets its noise or has 60 dB behind it."""
    decay, _ = _decay(late, sample_rate)
    faint = decay < 1e-6
    return int(faint.argmax()) if faint.any() else len(decay)


def _late_t30(late: np.ndarray, sample_rate: int) -> float | None:
    """T30 in seconds of a decay, given as power (n_taps,); the line ends earlier near noise. None: there is no line."""
    decay, after = _decay(late, sample_rate)
    if after == 0:
        return None
    lowest = max(10**-3.5, after * 10 ** (FIT_DB[1] / 10))
    start, stop = (int(np.argmax(decay <= level)) for level in (10**-0.5, lowest))
    if lowest > 10 ** (-LEAST_DECAY_DB / 10) or stop - start < 2:
        return None
    return float(-60 / np.polyfit(np.arange(start, stop) / sample_rate, 10 * np.log10(decay[start:stop]), 1)[0])


def _decay(late: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Share of the energy that is still to come, (n,) up to where the noise is met, and the share that comes after.

    Noise is subtracted and what it hides is added: the method with the least error in Guski and Vorländer, "Comparison
    of noise compensation methods for room acoustic impulse response evaluations", Acta Acustica 100 (2014). Where it
    is met, the knee, is found as Lundeby et al., "Uncertainties of measurements in room acoustics", Acustica 81 (1995),
    begin: noise in the last tenth, a line through the decay above it. The share after the knee is 0 if there is no
    straight decay: noise, or less than ten blocks of anything.
    """
    block = round(BLOCK_SECONDS * sample_rate)
    n_blocks = len(late) // block
    if n_blocks < 10:
        return np.cumsum(late[::-1])[::-1] / late.sum(), 0.0
    levels_db = 10 * np.log10(late[: n_blocks * block].reshape(n_blocks, block).mean(axis=1) + 1e-30)
    centres = (np.arange(n_blocks) + 0.5) * block
    noise = late[len(late) * 9 // 10 :].mean()
    noise_db = 10 * np.log10(noise + 1e-30)
    loudest = int(levels_db.argmax())
    start, stop = (loudest + int(np.argmax(levels_db[loudest:] < noise_db + above)) for above in FIT_DB)
    knee, tail = stop * block if stop > loudest else 0, 0.0
    if stop - start > 2:
        slope, level = np.polyfit(centres[start:stop], levels_db[start:stop], 1)
        if slope < 0:
            knee, tail = int((noise_db - level) / slope), 10 ** (noise_db / 10) / (-slope * np.log(10) / 10)
    energy = np.cumsum((late[:knee] - noise)[::-1])[::-1] + tail
    return energy / energy[:1], float(tail / energy[0]) if tail else 0.0
