"""The beam of an image in its pixels."""

import math

import numpy as np
from astropy.coordinates import ICRS
from astropy.wcs import WCS

from claran.photometry.pixel_beams import PixelBeam, ellipse
from claran.photometry.sky_measures import sky_places
from claran.sky.beams import Beam, fwhm_to_sigma
from claran.sky.frames import celestial_frame

__all__ = ["pixel_beam"]


def pixel_beam(
    beam: Beam | None, wcs: WCS | None, shape: tuple[int, int], beam_pixels: float
) -> PixelBeam:
    """Returns the beam of an image in pixels, as the array shows it at its center.

    Args:
        beam: Of the header; None if unknown.
        wcs: Celestial WCS; None without.
        shape: `(ny, nx)`.
        beam_pixels: Mean FWHM in pixels, for what is unknown.
    """
    if beam is None:
        return PixelBeam(beam_pixels, beam_pixels)
    major, minor, angle = beam
    ny, nx = shape
    center = np.array([nx / 2]), np.array([ny / 2])
    (to_sky,) = sky_places(_own_frame(wcs), *center).matrix
    if not np.isfinite(to_sky).all():  # There is no WCS, or the center is off the sky.
        scale = beam_pixels / math.sqrt(major * minor)
        return PixelBeam(major * scale, minor * scale, angle)
    turn = np.radians(angle)
    axes = np.array([[-np.sin(turn), np.cos(turn)], [np.cos(turn), np.sin(turn)]])
    squares = (axes.T * [fwhm_to_sigma(major) ** 2, fwhm_to_sigma(minor) ** 2]) @ axes
    inverse = np.linalg.inv(to_sky)
    found = ellipse((inverse @ squares @ inverse.T)[None])
    return PixelBeam(*(float(value[0]) for value in found))


def _own_frame(wcs: WCS | None) -> WCS | None:
    """Returns a WCS whose longitude and latitude pass for those of the ICRS.

    The angle of a beam counts from the north of the image's own frame: in a galactic
    image, from the galactic one.
    """
    if wcs is None or isinstance(celestial_frame(wcs), ICRS):
        return wcs
    names = {wcs.wcs.lng: "RA--", wcs.wcs.lat: "DEC-"}
    own = wcs.deepcopy()
    own.wcs.ctype = [
        f"{names[axis]}{kind[4:]}" for axis, kind in enumerate(wcs.wcs.ctype)
    ]
    own.wcs.radesys = "ICRS"
    own.wcs.set()
    return own
