"""The images of a source in a shoebox room, as one table per axis, after Allen and Berkley, JASA 65 (1979).

All triples of images, one along each axis, are images of the room: squared distances are sums, amplitudes products.
Along an axis they are in ascending order, two of each order n: the source mirrored, 2 n L - x, and moved, 2 n L + x.
"""

from __future__ import annotations

import numpy as np

from simulate.bands import checked_centres


def image_orders(side: float, reach: float) -> np.ndarray:
    """Orders of the images within ``reach`` metres along an axis, ascending: -n to n."""
    count = int(np.ceil(reach / (2 * side))) + 1
    return np.arange(-count, count + 1)


def image_places(source: float, side: float, orders: np.ndarray) -> np.ndarray:
    """Where the images of a source lie along an axis in metres, (2 x n_orders,) ascending."""
    return (2 * side * orders[:, None] + (-source, source)).ravel()


def image_products(walls: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Products of the reflections (n_bands, 2) of two walls for each image: (2 x n_orders, n_bands) float32."""
    low, high = walls.T
    number = orders[:, None]
    mirrored = low ** np.abs(number - 1) * high ** np.abs(number)
    moved = low ** np.abs(number) * high ** np.abs(number)
    return np.stack([mirrored, moved], axis=1).reshape(-1, len(walls)).astype(np.float32)


def checked_walls(reflection: np.ndarray, bands: np.ndarray | None) -> np.ndarray:
    """Reflection coefficients as (n_bands, 6), from (6,) without ``bands``.

    Raises:
        ValueError: another shape, coefficients beyond -1 to 1, bands that are not ascending.
    """
    walls = np.atleast_2d(np.asarray(reflection, dtype=np.float64))
    expected = (1 if bands is None else len(checked_centres(bands)), 6)
    if walls.shape != expected or not (np.abs(walls) <= 1).all():
        raise ValueError(f"reflection: expected {expected} numbers from -1 to 1, got {walls.tolist()}")
    return walls


def check_places(what: str, places: np.ndarray, room_dim: np.ndarray) -> None:
    """Raises ValueError unless ``places`` are (n, 3), inside the room."""
    if places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"{what}: expected shape (n, 3), got {places.shape}")
    if not ((places > 0) & (places < room_dim)).all():
        raise ValueError(f"{what}: expected places inside the room {room_dim.tolist()} m, got {places.tolist()}")
