"""Candidates measured on an infrared image."""

import importlib
import math
import os
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Bool, Float

from claran.errors import ImageError, first_line
from claran.hosts.candidates import Candidates
from claran.io.silencing import without_warnings
from claran.sky.header_cards import card_number
from claran.sky.header_wcs import pixel_area
from claran.sky.images import SkyImage, read_picture, read_sky_image

__all__ = ["measure_candidates", "picture_candidates"]

THRESHOLD = 4.0  # Times the noise, for each pixel of a source.
FEWEST_PIXELS = 5
STEP = 0.29  # Gray levels: the noise of rounding to whole ones.
MESH = 64  # Pixels, of the background.
RESOLUTION = 6.1  # Arcsec, the full width at half maximum of W1.
APERTURE = 8.25  # Arcsec, radius: the standard aperture of WISE.
APERTURE_CORRECTION = 0.222  # Magnitudes in W1, from this aperture to the whole source.
SMALLEST_ERROR = 0.1  # Arcsec: of the frame of the image.
SATURATED_ERROR = 1.0  # Arcsec: a saturated center tells less of the position.


def measure_candidates(source: Any, *, zero_point: float | None = None) -> Candidates:
    """Returns the sources on an infrared FITS image.

    Args:
        source: As for `claran.sky.images.read_sky_image`; it needs a WCS.
        zero_point: Vega magnitude of one unit of the image, as `MAGZP` of AllWISE Atlas
            images, 20.5 in W1. Without, magnitudes are relative.

    Raises:
        ImageError: The image cannot be read, has no WCS, or sources cannot be measured.
    """
    image = source if isinstance(source, SkyImage) else read_sky_image(source)
    if zero_point is None and isinstance(source, str | os.PathLike):
        zero_point = _zero_point(source)
    return _measure(image.values, image.wcs, image.name, zero_point)


def _zero_point(path: str | os.PathLike) -> float | None:
    """Returns `MAGZP` of the header; None without."""
    with without_warnings():
        number = card_number(fits.getheader(path), "MAGZP")
    return number if math.isfinite(number) else None


def picture_candidates(source: Any, wcs: WCS) -> Candidates:
    """Returns the sources on a picture; their magnitudes are relative.

    Args:
        source: As for `claran.sky.images.read_picture`.
        wcs: Of the picture as an array whose row 0 is the lowest.

    Raises:
        ImageError: As for `measure_candidates`.
    """
    picture = read_picture(source)[::-1].astype(np.float32).mean(axis=2)
    name = str(source) if isinstance(source, str | os.PathLike) else "picture"
    return _measure(picture, wcs, name, None, floor=STEP)


def _measure(
    values: Float[np.ndarray, "ny nx"],
    wcs: WCS | None,
    name: str,
    zero_point: float | None,
    floor: float = 0.0,
) -> Candidates:
    if wcs is None:
        raise ImageError(f"{name}: has no celestial WCS; candidates need positions.")
    blank = ~np.isfinite(values)
    area = pixel_area(wcs)
    pixel = 3600 * math.sqrt(area)
    try:
        found = _extract(values, blank, pixel, floor)
    except Exception as error:  # SEP has its own, as for too many pixels above.
        raise ImageError(
            f"{name}: its sources cannot be measured ({first_line(error)}); give a "
            "calibrated infrared image."
        ) from error
    x, y, error, flux, saturated = found
    ra, dec = wcs.wcs_pix2world(x, y, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    notes = []
    if zero_point is None:
        notes.append("no zero point: magnitudes are relative and do not count")
    else:
        magnitude += zero_point - APERTURE_CORRECTION
    if saturated.any():
        notes.append(f"{int(saturated.sum())} sources touch saturated or blank pixels")
    error = np.maximum(error * pixel, SMALLEST_ERROR)
    return Candidates(
        ra=ra % 360, dec=dec, magnitude=magnitude, ids=np.arange(1, len(x) + 1),
        error_arcsec=np.where(saturated, np.maximum(error, SATURATED_ERROR), error),
        area_deg2=float((~blank).sum() * area), name=name,
        relative=zero_point is None, notes=tuple(notes),
    )  # fmt: skip


def _extract(
    values: Float[np.ndarray, "ny nx"],
    blank: Bool[np.ndarray, "ny nx"],
    pixel: float,
    floor: float,
) -> tuple[np.ndarray, ...]:
    """Returns x, y, their errors, fluxes and whether a source is saturated."""
    sep = importlib.import_module("sep")
    data = np.ascontiguousarray(np.where(blank, 0, values), np.float64)
    mesh = min(MESH, *data.shape)
    sky = sep.Background(data, mask=blank, bw=mesh, bh=mesh)
    noise = np.maximum(sky.rms(), floor)
    data -= sky.back()
    if not (noise[~blank] > 0).any():
        raise ValueError("it has no noise")
    found = sep.extract(
        data, THRESHOLD, err=noise, mask=blank, minarea=FEWEST_PIXELS,
        filter_kernel=_kernel(RESOLUTION / pixel), deblend_cont=0.002,
    )  # fmt: skip
    x, y = found["x"], found["y"]
    sigma = RESOLUTION / pixel / 2.3548
    wx, wy, flag = sep.winpos(data, x, y, sigma, mask=blank)
    moved = np.hypot(wx - x, wy - y) < 2 * sigma
    good = moved & np.isfinite(wx + wy) & (flag & sep.APER_ALLMASKED == 0)
    x, y = np.where(good, wx, x), np.where(good, wy, y)
    radius = APERTURE / pixel
    flux, _, touched = sep.sum_circle(data, x, y, radius, mask=blank, err=noise)
    at = tuple(
        np.clip(np.rint([y, x]).astype(int), 0, np.array(data.shape)[:, None] - 1)
    )
    # Of a Gaussian in white noise: the width over the signal-to-noise of its flux.
    ratio = np.maximum(found["cpeak"] / np.maximum(noise[at], 1e-30), THRESHOLD)
    saturated = (touched & sep.APER_HASMASKED != 0) | (found["flag"] & 0x04 != 0)
    return x, y, sigma * math.sqrt(2) / ratio, flux, saturated


def _kernel(width: float) -> Float[np.ndarray, "k k"]:
    """Returns a Gaussian of a full width at half maximum in pixels."""
    half = max(1, math.ceil(width))
    offset = np.arange(-half, half + 1) / max(width, 0.5) * 2.3548
    line = np.exp(-0.5 * offset**2)
    return np.outer(line, line)
