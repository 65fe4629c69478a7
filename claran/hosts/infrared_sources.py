"""Candidates measured on an infrared image."""

import importlib
import math
import os
from typing import Any, NamedTuple

import cv2
import numpy as np
from astropy.wcs import WCS
from jaxtyping import Bool, Float
from scipy import ndimage

from claran.errors import ImageError, first_line
from claran.hosts.candidates import Candidates
from claran.sky.header_wcs import pixel_area
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.infrared_headers import Photometry

__all__ = ["measure_candidates", "picture_candidates"]

THRESHOLD = 4.0  # Times the noise of the smoothed image, for each pixel of a source.
FEWEST_PIXELS = 5
STEP = 0.29  # Gray levels: the noise of rounding to whole ones.
WHITE = 252.0  # Gray level from which a picture is clipped; JPEG blurs 255.
MESH = 64  # Pixels, of the background.
FWHM = 2.3548  # Times sigma of a Gaussian.
RESOLUTION = 6.1  # Arcsec, FWHM of W1 (Wright et al. 2010, AJ 140, 1868).
APERTURE = 8.25  # Arcsec, radius: the standard aperture of WISE.
# Magnitudes in W1 from this aperture to the whole source, as other programs have it.
APERTURE_CORRECTION = 0.222
SMALLEST_ERROR = 0.1  # Arcsec: of the frame of the image.
LARGEST_ERROR = 3.0  # Pixels, without saturation.
SATURATED_ERROR = 1.0  # Arcsec: a saturated center tells less of the position.
BRIGHT = 10.0  # Times the noise: fainter plateaus are sky.
LARGEST_HOLE = 30.0  # Arcsec, radius: larger blank areas are no saturated stars.


def measure_candidates(
    source: Any, *, zero_point: float | None = None, band: str | None = None
) -> Candidates:
    """Returns the sources on an infrared FITS image.

    Args:
        source: As for `claran.sky.images.read_sky_image`, or its result; it needs a
            WCS.
        zero_point: Vega magnitude of one unit of the image; `MAGZP` of its header if
            None. Without, magnitudes are relative.
        band: `W1`, or the name of another band; that of its header if None. In another
            band, or one that is not known, magnitudes are relative.

    Raises:
        ImageError: The image cannot be read, has no WCS, its sources cannot be
            measured, or SEP is not installed.
    """
    image = source if isinstance(source, SkyImage) else read_sky_image(source)
    known = image.photometry
    photometry = Photometry(
        band=(known.band if band is None else band).upper(),
        zero_point=known.zero_point if zero_point is None else zero_point,
        saturation=known.saturation,
    )
    return _measure(image.values, image.wcs, image.name, photometry)


def picture_candidates(source: Any, wcs: WCS) -> Candidates:
    """Returns the sources on a picture; their magnitudes are relative.

    Args:
        source: As for `claran.sky.images.read_picture`, or its result.
        wcs: Of the picture as an array whose row 0 is the lowest.

    Raises:
        ImageError: As for `measure_candidates`.
    """
    shown = source if isinstance(source, np.ndarray) else read_picture(source)
    picture = shown[::-1].astype(np.float32).mean(axis=2)
    name = str(source) if isinstance(source, str | os.PathLike) else "picture"
    return _measure(picture, wcs, name, Photometry(saturation=WHITE), floor=STEP)


class _Measured(NamedTuple):
    """Sources: places and errors in pixels, and fluxes in the standard aperture."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    error: Float[np.ndarray, "n"]
    flux: Float[np.ndarray, "n"]
    saturated: Bool[np.ndarray, "n"]
    cut: Bool[np.ndarray, "n"]  # Whether the aperture is not all on the image.


def _measure(
    values: Float[np.ndarray, "ny nx"],
    wcs: WCS | None,
    name: str,
    photometry: Photometry,
    floor: float = 0.0,
) -> Candidates:
    if wcs is None:
        raise ImageError(f"{name}: has no celestial WCS; candidates need positions.")
    area = pixel_area(wcs)
    pixel = 3600 * math.sqrt(area)
    try:
        sep = importlib.import_module("sep")
    except ImportError as error:
        raise ImageError(
            f"{name}: its sources are measured with SEP; pip install 'claran[hosts]'."
        ) from error
    try:
        found = _extract(sep, values, pixel, floor, photometry.saturation)
    except Exception as error:  # SEP has its own, as for too many pixels above.
        raise ImageError(
            f"{name}: its sources cannot be measured ({first_line(error)}); give a "
            "calibrated infrared image."
        ) from error
    sky: Any = wcs.pixel_to_world(found.x, found.y)
    sky = sky.icrs
    relative = photometry.zero_point is None or photometry.band != "W1"
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = -2.5 * np.log10(np.where(found.flux > 0, found.flux, np.nan))
    if photometry.zero_point is not None:
        magnitude += photometry.zero_point
    if not relative:
        magnitude -= APERTURE_CORRECTION
    error = np.hypot(found.error * pixel, SMALLEST_ERROR)
    return Candidates(
        ra=sky.ra.deg, dec=sky.dec.deg, magnitude=magnitude,
        ids=np.arange(1, len(magnitude) + 1),
        error_arcsec=np.maximum(error, np.where(found.saturated, SATURATED_ERROR, 0)),
        area_deg2=float(np.isfinite(values).sum() * area), name=name,
        relative=relative, notes=_notes(photometry, found),
    )  # fmt: skip


def _notes(photometry: Photometry, found: _Measured) -> tuple[str, ...]:
    notes = []
    if photometry.zero_point is None:
        notes.append("no zero point: magnitudes are relative and do not count")
    elif photometry.band != "W1":
        band = photometry.band or "an unknown band"
        notes.append(f"magnitudes are those of {band}, not W1, and do not count")
    if count := int(found.saturated.sum()):
        notes.append(
            f"{count} saturated: position to {SATURATED_ERROR:g} arcsec or worse, "
            "magnitude a guess"
        )
    if count := int((found.cut & ~found.saturated).sum()):
        notes.append(f"{count} near the edge or blank pixels: magnitude uncertain")
    return tuple(notes)


def _extract(
    sep: Any,
    values: Float[np.ndarray, "ny nx"],
    pixel: float,
    floor: float,
    saturation: float | None,
) -> _Measured:
    """Returns the sources on an image.

    They are the maxima of the image smoothed with the resolution, which is where the
    windowed positions of SEP converge to. The noise of the smoothed image, and that of
    its gradient, are measured on it, so that correlations between pixels count.
    """
    sigma = max(RESOLUTION / pixel / FWHM, 0.7)
    data, blank, clipped = _without_plateaus(sep, values, pixel, floor, saturation)
    smooth = np.asarray(cv2.GaussianBlur(data, (0, 0), sigma))
    white = floor / (2 * math.sqrt(math.pi) * sigma)
    noise = np.maximum(_background(sep, smooth, blank).rms(), white)
    if not (noise[~blank] > 0).any():
        raise ValueError("it has no noise")
    sep.set_extract_pixstack(max(300_000, smooth.size // 4))
    found = sep.extract(
        smooth, THRESHOLD, err=noise, mask=blank, minarea=FEWEST_PIXELS,
        filter_kernel=None, deblend_cont=0.002,
    )  # fmt: skip
    x, y = found["x"], found["y"]
    wx, wy, flag = sep.winpos(data, x, y, sigma, mask=blank)
    # Beside a bright source, windows may walk over to it.
    moved = np.hypot(wx - found["xpeak"], wy - found["ypeak"]) < 2 * sigma
    good = moved & np.isfinite(wx + wy) & (flag & sep.APER_ALLMASKED == 0)
    x, y = np.where(good, wx, x), np.where(good, wy, y)
    flux, _, flag = sep.sum_circle(data, x, y, APERTURE / pixel, mask=blank)
    inside = sep.sum_circle(clipped.astype(np.float64), x, y, sigma)[0] > 0
    at = np.stack([y, x])
    return _Measured(
        x=x, y=y, error=_errors(smooth, noise, blank, at, 2 * sigma), flux=flux,
        saturated=inside, cut=flag & (sep.APER_TRUNC | sep.APER_HASMASKED) != 0,
    )  # fmt: skip


def _background(
    sep: Any, data: Float[np.ndarray, "ny nx"], blank: Bool[np.ndarray, "ny nx"]
) -> Any:
    mesh = min(MESH, *data.shape)
    return sep.Background(data, mask=blank, bw=mesh, bh=mesh)


def _errors(
    smooth: Float[np.ndarray, "ny nx"],
    noise: Float[np.ndarray, "ny nx"],
    blank: Bool[np.ndarray, "ny nx"],
    places: Float[np.ndarray, "2 n"],
    reach: float,
) -> Float[np.ndarray, "n"]:
    """Returns position errors, pixels, one sigma for each axis.

    The gradient is zero at the maximum of a source. Noise with a gradient g moves it by
    g over the curvature there. The gradient is measured where no source is within
    `reach` pixels.
    """
    # Not on sources and beside them, as long as something is left.
    width = 2 * math.ceil(reach) + 1
    near = cv2.dilate(
        (smooth > THRESHOLD * noise).astype(np.uint8), np.ones((width, width), np.uint8)
    )
    quiet = ~blank & (noise > 0)
    used = quiet & (near == 0)
    used = used if used.sum() > quiet.sum() / 20 else quiet
    slopes = [np.abs(line[used] / noise[used]) for line in np.gradient(smooth)]
    last = np.array(smooth.shape)[:, None] - 1
    row, column = at = np.clip(np.rint(places).astype(int), 0, last)
    sides = sum(
        smooth[tuple(np.clip(at + np.array(step)[:, None], 0, last))]
        for step in ((0, 1), (0, -1), (1, 0), (-1, 0))
    )
    slope = 1.4826 * float(np.median(slopes)) * noise[row, column]
    curve = (4 * smooth[row, column] - sides) / 2  # The mean of both axes.
    # Where it is flat, as on the side of a brighter source, the error is unknown.
    return slope / np.maximum(curve, np.maximum(slope / LARGEST_ERROR, 1e-300))


def _without_plateaus(
    sep: Any,
    values: Float[np.ndarray, "ny nx"],
    pixel: float,
    floor: float,
    saturation: float | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the image less its background, blank pixels, and saturated ones.

    Saturated stars have a flat top, or a hole of blank pixels as in Atlas images. It is
    filled with the Gaussian that has its radius there, so that the star has one maximum
    in the middle.
    """
    blank = ~np.isfinite(values)
    data = np.ascontiguousarray(np.where(blank, 0, values), np.float64)
    sky = _background(sep, data, blank)
    limit = BRIGHT * np.maximum(sky.rms(), floor)
    data -= sky.back()
    data[blank] = 0
    flat = _flat_tops(values, saturation) & (data > limit)
    clipped = np.zeros_like(blank)
    labels = np.zeros(blank.shape, np.int32)
    ndimage.label(flat | blank, np.ones((3, 3)), labels)
    largest = math.pi * (LARGEST_HOLE / pixel) ** 2
    for number, inside in enumerate(ndimage.find_objects(labels), start=1):
        box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in inside)
        part = np.pad(labels[box] == number, 1)  # As if the image went on around it.
        edge = (ndimage.binary_dilation(part) & ~part)[1:-1, 1:-1]
        part = part[1:-1, 1:-1]
        level = np.median(data[box][edge]) if edge.any() else 0
        bright = level > np.median(limit[box])
        if part.sum() > largest or not (bright or flat[box][part].any()):
            continue
        level = max(level, data[box][part].max())
        data[box][part] = level * _gaussian_top(part, RESOLUTION / pixel / FWHM)
        clipped[box] |= part
    return data, blank & ~clipped, clipped


def _flat_tops(
    values: Float[np.ndarray, "ny nx"], saturation: float | None
) -> Bool[np.ndarray, "ny nx"]:
    """Returns which pixels are at the saturation, or share the highest value."""
    highest = values == np.nanmax(values)
    # In four neighbors each, as images of whole numbers have equal pixels by chance.
    flat = np.asarray(ndimage.binary_opening(highest, np.ones((2, 2))), bool)
    return flat if saturation is None else flat | (values >= saturation)


def _gaussian_top(
    part: Bool[np.ndarray, "h w"], sigma: float
) -> Float[np.ndarray, "p"]:
    """Returns the values in a clipped area of a Gaussian that is 1 on its edge."""
    depth = np.asarray(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5))
    radius = depth.max()
    power = (radius**2 - (radius - depth[part]) ** 2) / (2 * sigma**2)
    return np.exp(power * min(1.0, 4.0 / power.max()))  # Wide tops are no Gaussians.
