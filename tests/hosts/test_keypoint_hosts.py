"""The script that chooses the hosts of RadioGalaxyNET's sources."""

import keypoint_hosts
import numpy as np
import pytest
from keypoint_hosts import OFFSET, Places

from claran.fields.field import Field
from claran.sky.images import SkyImage


def field_with(stars):
    """Returns a compact source in the center, and an infrared picture, y down."""
    rows, columns = np.mgrid[:60, :60] + 0.5

    def blob(x, y, peak, width):
        return peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))

    infrared = sum(blob(x, y, 200, 1.5) for x, y in stars).astype(np.uint8)
    image = SkyImage(
        values=blob(30, 30, 50.0, 3.0).astype("f4"), pixel_arcsec=2.0,
        beam=(14.0, 14.0, 0.0),
    )  # fmt: skip
    return Field(
        "f", image=image, picture=np.repeat(infrared[::-1, :, None], 3, 2), noise=1.0
    )


@pytest.mark.parametrize("centered", [True, False])
def test_places_are_stars_the_radio_place_and_the_center(centered):
    field = field_with([(31.5, 29.5), (33.5, 34.5), (2.5, 2.5)])
    (found,) = keypoint_hosts.places(
        field, [np.array([0])], field.islands.boxes, centered=centered
    )
    stars = np.array([(31.5, 29.5), (33.5, 34.5)]) + OFFSET  # The third is too far.
    assert np.sort(found.points[:2], axis=0) == pytest.approx(np.sort(stars, axis=0))
    assert len(found.points) == (4 if centered else 3)
    assert found.points[2] == pytest.approx([30, 30], abs=0.5)
    assert np.isfinite(found.features).all()


def test_weights_are_those_under_which_the_hosts_are_most_probable():
    rng = np.random.default_rng(0)
    sources, hosts = [], []
    for _ in range(100):
        points = rng.uniform(0, 100, (6, 2))
        features = rng.normal(size=(6, 2))
        sources.append(Places(points, features))
        hosts.append(points[features[:, 1].argmin()])
    hosts[0] = np.array([1e3, 1e3])  # Near none of them.
    weights = keypoint_hosts.fit(sources, np.array(hosts))
    assert weights[1] < -5 * abs(weights[0])
    right = [
        (keypoint_hosts.choose(source, weights) == host).all()
        for source, host in zip(sources, hosts, strict=True)
    ]
    assert np.mean(right) > 0.9
