"""Simulated fields with candidates for their hosts, for `scripts/measure_hosts.py`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import skycoord_to_pixel
from host_sources import SCATTER, measured_field
from scipy import stats
from scipy.spatial import KDTree

from claran.hosts.candidates import Candidates
from claran.hosts.infrared_sources import measure_candidates
from claran.hosts.landmarks import Landmarks, find_landmarks
from claran.hosts.position_density import HostDensity, host_densities
from claran.simulation import infrared_sky, simulated_field
from claran.simulation.endless import SIMULATED
from claran.sky.images import SkyImage

__all__ = ["Sample", "simulate"]

CELL = 300.0  # Arcsec: the fields, up to 230 arcsec wide, lie on a plane so far apart.
ERROR = 0.3  # Arcsec, of candidates in the table.
HOST_MAGNITUDE = (15.0, 1.5, 16.9)  # Mean, scatter and limit: as the simulation's.
# Stars and galaxies with a peak of ten sigma and more for each 9 square arcmin, and
# the slopes of their counts, fitted to AllWISE (`claran.simulation.infrared_sky`).
COUNTS = ((2.25, 0.5), (5.2, 1.35))
LIMIT = 5.0  # Sigma.


@dataclasses.dataclass
class Sample:
    """Sources of many fields on one plane with pixels of an arcsec.

    Attributes:
        densities: Of each source's host.
        centers: (n, 2) center of the flux.
        codes: (n,) classes.
        hosts: (n, 2) true places; NaN without a host among the candidates.
        candidates: All candidates.
        wcs: Of the plane.
    """

    densities: list[HostDensity]
    centers: np.ndarray
    codes: np.ndarray
    hosts: np.ndarray
    candidates: Candidates
    wcs: WCS

    @property
    def places(self) -> np.ndarray:
        """Positions of the candidates, (m, 2)."""
        return pixels_of(self.candidates, self.wcs)

    def truth(self) -> np.ndarray:
        """Returns the candidate that is each source's host, (n,); -1 without."""
        found = np.full(len(self.hosts), -1)
        has = np.isfinite(self.hosts[:, 0])
        away, index = KDTree(self.places).query(self.hosts[has])
        found[has] = np.where(away < 3, index, -1)
        return found

    def nearest(self) -> np.ndarray:
        """Returns the candidate nearest to the center of each source's flux, (n,)."""
        return np.asarray(KDTree(self.places).query(self.centers)[1])


def simulate(count: int, seed: int, *, images: bool = False) -> Sample:
    """Returns the sources of simulated fields and candidates."""
    side = int(np.ceil(np.sqrt(count)))
    wcs = plane(side * CELL)
    landmarks: list[Landmarks] = []
    moves, codes, hosts, measured = [], [], [], []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        surveys = SIMULATED["simulated/first"]["surveys"]
        made = simulated_field.simulate(
            rng, population=SIMULATED["simulated/first"]["population"],
            survey=surveys[index % len(surveys)], infrared=images,
        )  # fmt: skip
        move = CELL * np.array(divmod(index, side)), made.survey.pixel_arcsec
        for found, source in sources(made):
            landmarks.append(found)
            moves.append(move)
            codes.append(source.code)
            scatter = rng.normal(0, SCATTER * made.survey.beam_arcsec, 2)
            hosts.append(move[0] + source.host * move[1] + (0 if images else scatter))
        if images:
            measured.append(candidates_of_image(made, wcs, *move))
    densities = [
        density.scaled(scale).shifted(*corner)
        for density, (corner, scale) in zip(
            host_densities(landmarks), moves, strict=True
        )
    ]
    centers = [
        corner + one.center * scale
        for one, (corner, scale) in zip(landmarks, moves, strict=True)
    ]
    places = np.array(hosts)
    rng = np.random.default_rng([seed, count])
    candidates = (
        joined(measured) if images else table_of_candidates(rng, places, side, wcs)
    )
    return Sample(
        densities, np.array(centers), np.array(codes), places, candidates, wcs
    )


def plane(width: float) -> WCS:
    """Returns the WCS of a plane of a width in arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [180, 20], [width / 2, width / 2]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    return wcs


def sources(made: simulated_field.Field) -> list[tuple[Landmarks, Any]]:
    """Returns the landmarks of the labeled sources of a field, and their labels."""
    field = measured_field(made)
    found = []
    for number, source in enumerate(made.sources, start=1):
        own = field.islands.labels[made.membership == number]
        group = (np.unique(own[own > 0]) - 1).tolist()
        if group and not source.ignore:
            marks = find_landmarks(
                field.signal_to_noise, field.islands, group, field.beam_pixels
            )
            found.append((marks, source))
    return found


def table_of_candidates(
    rng: np.random.Generator, hosts: np.ndarray, side: int, wcs: WCS
) -> Candidates:
    """Returns the hosts, and unrelated candidates on the whole plane."""
    hosts = hosts[np.isfinite(hosts[:, 0])]
    mean, scatter, limit = HOST_MAGNITUDE
    normal = stats.truncnorm(-np.inf, (limit - mean) / scatter, mean, scatter)
    area = (side * CELL) ** 2  # Square arcsec.
    peaks = []
    for at_ten, slope in COUNTS:
        number = rng.poisson(at_ten * (LIMIT / 10) ** -slope * area / (9 * 60**2))
        peaks.append(LIMIT * (1 - rng.random(number)) ** (-1 / slope))
    peak = np.concatenate(peaks) * infrared_sky.SIGMA_DN
    pixels = 2 * np.pi * (7.8 / 2.355 / 1.375) ** 2  # Of the Atlas, as in the module.
    others = infrared_sky.ZERO_POINT - 2.5 * np.log10(peak * pixels)
    magnitude = np.concatenate([normal.rvs(len(hosts), random_state=rng), others])
    places = np.concatenate([hosts, rng.uniform(0, side * CELL, (len(others), 2))])
    places += rng.normal(0, ERROR, places.shape)
    ra, dec = np.transpose(wcs.wcs_pix2world(places - 0.5, 0))
    return Candidates(
        ra=ra, dec=dec, error_arcsec=np.full(len(ra), ERROR), magnitude=magnitude,
        ids=np.arange(len(ra)), area_deg2=area / 3600**2, name="simulated",
    )  # fmt: skip


def candidates_of_image(
    made: simulated_field.Field, wcs: WCS, corner: np.ndarray, scale: float
) -> Candidates:
    """Returns the candidates on the W1 image of a field, moved to the plane."""
    image = SkyImage(values=made.infrared, wcs=made.wcs, name="simulated")
    found = measure_candidates(image, zero_point=infrared_sky.ZERO_POINT, band="W1")
    pixels = pixels_of(found, made.wcs)
    ra, dec = np.transpose(wcs.wcs_pix2world(corner + pixels * scale - 0.5, 0))
    return dataclasses.replace(found, ra=ra, dec=dec)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Returns the candidates of several images."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("ra", "dec", "error_arcsec", "magnitude", "ids")
    }
    area = sum(part.area_deg2 for part in parts)
    return Candidates(**columns, area_deg2=area, name="simulated")


def pixels_of(candidates: Candidates, wcs: WCS) -> np.ndarray:
    """Returns the positions of candidates in the pixels of a WCS, (m, 2)."""
    sky = SkyCoord(candidates.ra, candidates.dec, unit="deg")
    return np.stack(skycoord_to_pixel(sky, wcs), axis=1) + 0.5
