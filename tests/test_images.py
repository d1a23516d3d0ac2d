"""Tables of images along an axis against mirrors, one by one, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.images import check_places, checked_walls, image_orders, image_places, image_products


@given(st.floats(2, 9), st.floats(0.05, 0.95), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 40))
def test_the_tables_hold_every_mirror_image_within_reach(
    side: float, share: float, low: float, high: float, reach: float
) -> None:
    orders = image_orders(side, reach)
    places = image_places(share * side, side, orders)
    products = image_products(np.array([[low, high], [high, low]]), orders)
    assert products.shape == (len(places), 2)
    assert (np.diff(places) > 0).all()
    assert len(orders) % 2 == 1
    assert places[len(orders)] == pytest.approx(share * side)  # the source itself
    assert products[len(orders)].tolist() == [1, 1]
    for walls, wall_first in (((0.0, side), 0), ((side, 0.0), 1)):  # the mirror of the first wall, then the second, …
        place, product = share * side, 1.0
        for bounce in range(200):
            wall = walls[bounce % 2]
            place, product = 2 * wall - place, product * (low, high)[(bounce + wall_first) % 2]
            if abs(place) > reach:
                break
            found = int(np.abs(places - place).argmin())
            assert places[found] == pytest.approx(place)
            assert products[found, 0] == pytest.approx(product, rel=1e-5, abs=1e-30)


def test_what_is_refused() -> None:
    room_dim = np.array([4.0, 3.0, 2.5])
    with pytest.raises(ValueError, match=r"^reflection: expected \(1, 6\) numbers from -1 to 1, got \[\[2\.0"):
        checked_walls(np.full(6, 2.0), None)
    with pytest.raises(ValueError, match=r"^reflection: expected \(2, 6\) numbers"):
        checked_walls(np.ones(6), np.array([500.0, 1000.0]))
    with pytest.raises(ValueError, match=r"^bands: expected ascending centre frequencies"):
        checked_walls(np.ones((2, 6)), np.array([500.0, 250.0]))
    with pytest.raises(ValueError, match=r"^mics: expected shape \(n, 3\), got \(3,\)$"):
        check_places("mics", np.ones(3), room_dim)
    for place in ([1, 1, 2.5], [0, 1, 1], [np.nan, 1, 1]):
        with pytest.raises(ValueError, match=r"^mics: expected places inside the room \[4\.0, 3\.0, 2\.5\] m, got"):
            check_places("mics", np.array([place]), room_dim)
