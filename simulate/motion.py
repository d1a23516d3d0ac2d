"""Moving sources and turning arrays: paths through the room, and convolution with a response that changes.

A path is (n_waypoints, 3) in metres, reached at equal time steps over the scene and straight in between; the
turning of an array is a path (n_waypoints,) in degrees. One waypoint stands still.

The room is simulated at points equally spaced in time, and between two of them the response is faded linearly
from one to the next. A tone of f Hz whose way to the microphone changes by ``step`` metres from point to point
then gets an image beside it, 40 log10((1 - a) / a) dB weaker, a = f step / c, and a dip of 20 log10 cos(pi a) dB
in the middle of each fade. Measured on a sine at steps of 1 cm: 2 kHz -49 dB, 4 kHz -35 dB (dip 0.6 dB), 8 kHz
-21 dB. The image lies speed / step Hz from its tone (100 Hz at 1 m/s), within the critical band that the tone
masks. A raised cosine makes the phase hurry in the middle of each fade: -40, -24 and -15 dB, so it is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import scipy.fft

from simulate.convolution import check_shapes

STEP = 0.01
"""Metres that a source or microphone may move between two points: images of 4 kHz stay 35 dB down."""

MAX_TURN_DEG = 90.0
"""Most degrees that a walk turns from its start to its end."""

N_WAYPOINTS = 9
"""Corners of a drawn walk, its ends included."""

MAX_TRIES = 200


def sample_path(path: np.ndarray, n_points: int) -> np.ndarray:
    """Places at ``n_points`` moments equally spaced from the start of the scene to its end.

    Args:
        path: (n_waypoints, 3) metres, or (n_waypoints,) degrees, which are not wrapped: 350 to 370 turns by 20.
        n_points: how many; 1 gives the first waypoint.

    Returns:
        (n_points, 3) or (n_points,).

    Raises:
        ValueError: a path without waypoints, no points.
    """
    waypoints = np.asarray(path, dtype=np.float64)
    if len(waypoints) == 0:
        raise ValueError("path: expected at least one waypoint, got none")
    if n_points < 1:
        raise ValueError(f"n_points: expected at least 1, got {n_points}")
    moments = np.linspace(0, len(waypoints) - 1, n_points)
    columns = waypoints.reshape(len(waypoints), -1).T
    places = [np.interp(moments, np.arange(len(waypoints)), column) for column in columns]
    return np.stack(places, axis=-1).reshape(n_points, *waypoints.shape[1:])


def n_points_for(path: np.ndarray, yaw_path_deg: np.ndarray, mic_radius: float) -> int:
    """Points at which the room is to be simulated so that no way of the sound changes by more than :data:`STEP`.

    The way to an image source changes by no more than source and microphone move together.

    Args:
        path: of the source, (n_waypoints, 3) metres.
        yaw_path_deg: of the array, (n_waypoints,) degrees.
        mic_radius: metres from the axis that the array turns about to its farthest microphone.

    Returns:
        The number of points; 1 if nothing moves.
    """
    moves = np.linalg.norm(np.diff(path, axis=0), axis=1)
    turns = mic_radius * np.abs(np.diff(np.deg2rad(yaw_path_deg)))
    # metres in the whole scene at the fastest pace of each
    metres = sum(float(pace.max(initial=0.0)) * len(pace) for pace in (moves, turns))
    return 1 + math.ceil(metres / STEP - 1e-9)  # rounding is no reason for one point more


def draw_walk(
    start: np.ndarray,
    room_dim: np.ndarray,
    wall_distance: float,
    speed: float,
    seconds: float,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Draws a walk at constant speed and height that turns gently to one side.

    The first heading is uniform; the whole turn is uniform within 90 degrees to either side.

    Args:
        start, room_dim: (3,) metres.
        wall_distance: least distance in metres from the four walls.
        speed: metres per second.
        seconds: length of the scene.
        rng: draws the headings.

    Returns:
        (N_WAYPOINTS, 3) metres from ``start`` on; None if no walk that long was found.

    Raises:
        ValueError: no such speed or length of time.
    """
    if not (0 <= speed < np.inf and 0 < seconds < np.inf):
        raise ValueError(f"walk: expected speed >= 0 and seconds > 0, got {speed} and {seconds}")
    for _ in range(MAX_TRIES):
        path = start + speed * seconds * _draw_bend(rng)
        if (np.minimum(path, room_dim - path)[:, :2] >= wall_distance).all():
            return path
    return None


def _draw_bend(rng: np.random.Generator) -> np.ndarray:
    """A level way (N_WAYPOINTS, 3) of length 1 from the origin, in equal strides that turn by equal angles."""
    heading, turn = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(-MAX_TURN_DEG, MAX_TURN_DEG))
    headings = heading + turn * np.linspace(0, 1, N_WAYPOINTS - 1)
    strides = np.stack([np.cos(headings), np.sin(headings), 0 * headings], axis=1) / (N_WAYPOINTS - 1)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(strides, axis=0)])


def convolve_moving(
    dry: np.ndarray,
    blocks: Iterable[np.ndarray],
    n_points: int,
    lead: int = 0,
    switch_at: Literal["emission", "reception"] = "emission",
) -> np.ndarray:
    """Convolution of a source with responses at points equally spaced in time over [0, n_samples].

    Which response counts for a sound under way depends on who moves. Once emitted, it does not know where its
    source goes: each dry sample is radiated through the response of the moment of its emission, exact for a
    moving source and a still array. When the array turns and the source stands still, each output sample is
    heard through the response of the moment of its reception. When both move, neither is exact: the
    microphones are where they were when the sound left (``emission``), or the source is where it is when it
    arrives.

    Args:
        dry: (n_samples,).
        blocks: responses (n, n_mics, n_taps) of n consecutive points, the whole in any number of blocks. Each is
            used as it comes, so that a generator need not hold them all. The full and the direct responses of one
            source, beside each other on the microphone axis, share its transforms.
        n_points: points of all blocks.
        lead: see :func:`simulate.convolution.convolve`, which equal responses give.
        switch_at: the moment whose response counts.

    Returns:
        (n_mics, n_samples) float32.

    Raises:
        ValueError: shapes that do not belong together, another number of points, a lead outside the response,
            another ``switch_at``.
    """
    if switch_at not in ("emission", "reception"):
        raise ValueError(f"switch_at: expected emission or reception, got {switch_at}")
    if dry.ndim != 1:
        raise ValueError(f"dry: expected shape (n_samples,), got {dry.shape}")
    dry = dry.astype(np.float32, copy=False)
    wave: np.ndarray | None = None
    done = 0
    for block in blocks:
        if block.ndim != 3 or len(block) == 0:
            raise ValueError(f"blocks: expected responses of shape (n, n_mics, n_taps), got {block.shape}")
        check_shapes(dry[None], block[:1], lead)
        heard = block[..., : len(dry) + lead].astype(np.float32, copy=False)  # what comes later is cut off
        n_mics, n_taps = heard.shape[1:]
        wave = np.zeros((n_mics, len(dry) + n_taps - 1), np.float32) if wave is None else wave
        if done + len(block) > n_points or wave.shape != (n_mics, len(dry) + n_taps - 1):
            raise ValueError(f"blocks: expected {n_points} points of one shape, got {block.shape} after {done}")
        for start, part in _parts(dry, heard, done, n_points, lead, switch_at):
            wave[:, start : start + part.shape[1]] += part
        done += len(block)
    if wave is None or done < n_points:
        raise ValueError(f"blocks: expected {n_points} points, got {done}")
    return wave[:, lead : lead + len(dry)]


def _parts(
    dry: np.ndarray, responses: np.ndarray, first: int, n_points: int, lead: int, switch_at: str
) -> Iterator[tuple[int, np.ndarray]]:
    """What the points from the ``first`` on add to a wave whose sample ``lead`` is the start of the scene.

    At emission the sum over them of (dry faded in and out around the point) convolved with the response there, at
    reception that of (dry convolved with the response there) faded in and out.

    Yields:
        First sample, and part (n_mics, n_part) of the wave.
    """
    n_taps = responses.shape[-1]
    padded = np.pad(dry, (n_taps - 1 - lead, lead))
    for here, start, fades, n_fft in _groups(len(dry), n_taps, first, len(responses), n_points):
        n_faded = fades.shape[1]
        spectra = scipy.fft.rfft(responses[here], n_fft)  # p m f
        if switch_at == "emission":
            spectra *= scipy.fft.rfft(fades * dry[start : start + n_faded], n_fft)[:, None]
            yield start, scipy.fft.irfft(spectra.sum(axis=0), n_fft)[:, : n_faded + n_taps - 1]
        else:
            spectra *= scipy.fft.rfft(padded[start : start + n_faded + n_taps - 1], n_fft)
            waves = scipy.fft.irfft(spectra, n_fft)[..., n_taps - 1 : n_taps - 1 + n_faded]  # p m n
            yield start + lead, np.einsum("pn,pmn->mn", fades, waves)


def _groups(
    n_samples: int, n_taps: int, first: int, n_here: int, n_points: int
) -> Iterator[tuple[slice, int, np.ndarray, int]]:
    """Points that share their transforms: which of those here, first sample of their fades, fades (n, samples), n_fft.

    The fade of a point falls linearly from 1 at its moment to 0 at those of its neighbours; at every sample
    the fades of all points sum to 1. A group spans about sqrt(n_taps / interval) points: more would make the
    transforms longer, fewer would make more of them.
    """
    interval = n_samples / (n_points - 1) if n_points > 1 else math.inf
    n_groups = math.ceil(n_here / max(1, round(math.sqrt(n_taps / interval))))
    size = math.ceil(n_here / n_groups)
    longest = math.ceil(min(n_samples, (size + 1) * interval))
    n_fft = scipy.fft.next_fast_len(longest + n_taps, real=True)
    for begin in range(0, n_here, size):
        points = first + np.arange(begin, min(begin + size, n_here))
        start = int(max(0, (points[0] - 1) * interval))
        stop = int(min(n_samples, (points[-1] + 1) * interval + 1))
        fades = np.maximum(0, 1 - np.abs(np.arange(start, stop) / interval - points[:, None])).astype(np.float32)
        yield slice(begin, begin + size), start, fades, n_fft
