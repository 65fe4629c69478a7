"""Measurements of sources and components brought from pixels to the sky.

The scale and the direction of north are those at each place: over a large mosaic both
change, and near a pole north turns within a few pixels. Positions are ICRS.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float

from claran.catalog.tables import to_icrs
from claran.photometry.pixel_beams import covariance, ellipse

__all__ = ["SkyPlaces", "sky_components", "sky_directions", "sky_places", "sky_sources"]

Columns = Mapping[str, np.ndarray]


class SkyPlaces(NamedTuple):
    """Where pixels are on the sky, and how the sky lies in them.

    Attributes:
        ra: Degrees, ICRS, NaN off the sky.
        dec: Degrees, ICRS, NaN off the sky.
        matrix: (n, 2, 2) from an offset `(x, y)` in pixels to that to the west and to
            the north, arcsec.
    """

    ra: Float[np.ndarray, "n"]
    dec: Float[np.ndarray, "n"]
    matrix: Float[np.ndarray, "n 2 2"]

    @property
    def scale(self) -> Float[np.ndarray, "n"]:
        """Side of a square as large as the pixel, arcsec."""
        (a, b), (c, d) = self.matrix.transpose(1, 2, 0)
        return np.sqrt(np.abs(a * d - b * c))


def sky_places(
    wcs: WCS | None, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]
) -> SkyPlaces:
    """Returns where pixels are on the sky.

    Args:
        wcs: Celestial WCS of the mosaic; without one, all is NaN.
        x: Pixel edges, as everywhere.
        y: Pixel edges, as everywhere.
    """
    if wcs is None:
        nothing = np.full(len(x), np.nan)
        return SkyPlaces(nothing, nothing, np.full((len(x), 2, 2), np.nan))
    # A call of a WCS takes as long for five places as for one.
    steps = np.array([[0, 0], [0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    places = np.stack([x, y], axis=1) + steps[:, None]
    ra, dec = _sky_positions(wcs, *places.reshape(-1, 2).T).reshape(2, 5, -1)
    directions = _unit_vectors(ra, dec)
    ra, dec = ra[0], dec[0]
    lon, lat = np.radians(ra), np.radians(dec)
    west = np.stack([np.sin(lon), -np.cos(lon), np.zeros(len(lon))], axis=1)
    north = np.stack(
        [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1
    )
    matrix = np.empty((len(x), 2, 2))
    for axis, (ahead, behind) in enumerate(directions[1:].reshape(2, 2, -1, 3)):
        step = (ahead - behind) * np.degrees(1) * 3600
        matrix[:, 0, axis] = (step * west).sum(axis=1)
        matrix[:, 1, axis] = (step * north).sum(axis=1)
    return SkyPlaces(ra, dec, matrix)


def sky_sources(sources: Columns, wcs: WCS | None) -> dict[str, np.ndarray]:
    """Returns the columns of sources that need the sky; NaN without a WCS.

    Args:
        sources: Columns of `claran.photometry.source_measures.measure_sources`.
        wcs: Celestial WCS of the mosaic.

    Returns:
        `ra`, `dec`, degrees, ICRS; `e_ra`, `e_dec`, angles on the sky; `width` and
        `height` of the box along the axes of the array; `las`, `e_las`: arcsec; `pa`,
        degrees from north through east.
    """
    places = sky_places(wcs, sources["x"], sources["y"])
    scale_x, scale_y = np.hypot(places.matrix[:, 0], places.matrix[:, 1]).T
    turn = np.radians(sources["angle"])
    line = np.stack([-np.sin(turn), np.cos(turn)], axis=1)
    west, north = np.einsum("nij,nj->in", places.matrix, line)
    # Without an angle, the size is an upper limit.
    along = np.where(np.isnan(turn), places.scale, np.hypot(west, north))
    boxes = sources["boxes"]
    return {
        **_positions(places, sources),
        "width": (boxes[:, 2] - boxes[:, 0]) * scale_x,
        "height": (boxes[:, 3] - boxes[:, 1]) * scale_y,
        "las": sources["las"] * along,
        "e_las": sources["e_las"] * along,
        "pa": np.degrees(np.arctan2(-west, north)) % 180 % 180,
    }


def sky_components(components: Columns, wcs: WCS | None) -> dict[str, np.ndarray]:
    """Returns the columns of components that need the sky; NaN without a WCS.

    Args:
        components: Columns of `claran.photometry.components.Components`.
        wcs: Celestial WCS of the mosaic.

    Returns:
        `ra`, `dec`, degrees, ICRS; `e_ra`, `e_dec`, angles on the sky; `major`,
        `minor`, `dc_major`, `dc_minor` and their `e_`, FWHM: arcsec; `pa`, `dc_pa` and
        their `e_`, degrees from north through east, NaN where nothing is resolved.
    """
    places = sky_places(wcs, components["x"], components["y"])
    found = _positions(places, components)
    for prefix in ("", "dc_"):
        names = [f"{prefix}{name}" for name in ("major", "minor", "angle")]
        shape = covariance(*(components[name] for name in names))
        shape = places.matrix @ shape @ places.matrix.transpose(0, 2, 1)
        *axes, angle = ellipse(shape)
        for name, axis in zip(names[:2], axes, strict=True):
            pixels = components[name]
            scale = np.divide(axis, pixels, out=places.scale.copy(), where=pixels > 0)
            found[name] = np.where(pixels > 0, axis, 0 * scale)
            found[f"e_{name}"] = components[f"e_{name}"] * scale
        resolved = (components[names[0]] > 0) & np.isfinite(angle)
        found[f"{prefix}pa"] = np.where(resolved, angle, np.nan)
        found[f"e_{prefix}pa"] = np.where(resolved, components[f"e_{names[2]}"], np.nan)
    return found


def _positions(places: SkyPlaces, rows: Columns) -> dict[str, np.ndarray]:
    errors = np.stack([rows["e_x"], rows["e_y"]], axis=1)
    e_ra, e_dec = np.sqrt(np.einsum("nij,nj->in", places.matrix**2, errors**2))
    return {"ra": places.ra, "dec": places.dec, "e_ra": e_ra, "e_dec": e_dec}


def sky_directions(
    wcs: WCS | None, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 3"]:
    """Returns unit vectors to pixels, ICRS; NaN off the sky.

    Args:
        wcs: Celestial WCS of the mosaic; without one, all is NaN.
        x: Pixel edges.
        y: Pixel edges.
    """
    if wcs is None:
        return np.full((len(x), 3), np.nan)
    return _unit_vectors(*_sky_positions(wcs, x, y))


def _sky_positions(
    wcs: WCS, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "2 n"]:
    """Returns right ascension and declination, degrees, of places in pixel edges."""
    # A WCS counts from the pixel's center.
    return np.array(to_icrs(wcs, np.stack([x, y], axis=1) - 0.5))


def _unit_vectors(
    ra: Float[np.ndarray, "*n"], dec: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n 3"]:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1
    )
