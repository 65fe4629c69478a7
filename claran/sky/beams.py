"""The restoring beam of a radio image: read from the header, as area, as sigma.

A beam is a Gaussian. Its full widths at half maximum (FWHM) along the major and the
minor axis describe it, with the position angle of the major axis from north through
east.
"""

import math
import numbers
from typing import Any

from astropy.io import fits

from claran.errors import ImageError
from claran.sky.header_cards import card_number, card_value

__all__ = [
    "Beam",
    "beam_area_pixels",
    "beam_notes",
    "fwhm_to_sigma",
    "read_beam",
    "round_beam",
]

WIDEST = 180 * 3600.0  # Arcsec.

Beam = tuple[float, float, float]
"""FWHM of the major and of the minor axis in arcsec, position angle in degrees."""


def read_beam(header: Any) -> Beam | None:
    """Returns the beam of a FITS header.

    `BMAJ`, `BMIN` and `BPA` come first. Without `BMIN` the beam is round, without a
    usable `BPA` the angle is 0. If `BMIN` is larger than `BMAJ`, the axes are exchanged
    and the angle is turned by 90 degrees.

    If these cards hold no beam, the `HISTORY` is searched, with radio-beam's rules: the
    last line of CASA's clean ("restoration: 1.35 by 0.83 (arcsec) at pa 82.9 (deg)")
    or else of AIPS ("AIPS   CLEAN BMAJ=  1.7E-03 BMIN=  1.5E-03 BPA=   2.6").

    Args:
        header: Header of the image.

    Returns:
        FWHM of the major and of the minor axis in arcsec, and the position angle in
        degrees; None if the header holds no beam with positive widths, below 180
        degrees.
    """
    return _from_cards(header) or _from_history(header)


def beam_notes(header: Any) -> tuple[str, ...]:
    """Returns what is wrong with the cards of a header's beam, in words.

    Args:
        header: See `read_beam`.
    """
    notes = []
    major, minor = card_value(header, "BMAJ"), card_value(header, "BMIN")
    if major not in (None, 0) and _from_cards(header) is None:
        said = f"BMAJ = {major!r}" + ("" if minor is None else f", BMIN = {minor!r}")
        notes.append(f"{said} in the header are no widths of a beam in degrees")
    angle = card_value(header, "BPA")
    if angle is not None and not math.isfinite(card_number(header, "BPA")):
        notes.append(f"BPA = {angle!r} in the header is no angle, and 0 is taken")
    return tuple(notes)


def round_beam(beam_arcsec: Any, pixel_arcsec: float | None, name: str) -> Beam:
    """Returns a round beam that a user gave, checked.

    Args:
        beam_arcsec: Full width at half maximum.
        pixel_arcsec: Side of a pixel; None if unknown.
        name: Name of the image, for messages.

    Raises:
        ValueError: The beam is not positive and finite.
        ImageError: The size of a pixel is unknown.
    """
    width = float(beam_arcsec) if isinstance(beam_arcsec, numbers.Real) else math.nan
    if not 0 < width < math.inf:
        raise ValueError(
            f"`beam_arcsec` must be positive and finite, got {beam_arcsec!r}."
        )
    if pixel_arcsec is None:
        raise ImageError(
            f"{name}: has no WCS, so that the width of a beam in pixels is unknown; "
            "give the survey too, or leave the beam out to assume 3 pixels."
        )
    return width, width, 0.0


def beam_area_pixels(fwhm_pixels: float) -> float:
    """Returns the area of a Gaussian beam, in pixels.

    A source of one Jy adds up to this times one Jy/beam.

    Args:
        fwhm_pixels: FWHM in pixels; of an elliptical beam the geometric mean of both.

    >>> round(beam_area_pixels(5.4 / 1.8), 2)
    10.2
    """
    return 2 * math.pi * fwhm_to_sigma(fwhm_pixels) ** 2


def fwhm_to_sigma(fwhm: float) -> float:
    """Returns the standard deviation of a Gaussian, in the unit of its FWHM.

    >>> round(fwhm_to_sigma(5.4), 3)
    2.293
    """
    return fwhm / math.sqrt(8 * math.log(2))


def _from_cards(header: Any) -> Beam | None:
    # Not by radio-beam: loading it takes 0.3 s more than claran's detector without it,
    # and reading 0.08 ms a header instead of 0.01; it also refuses BMIN > BMAJ.
    major = card_number(header, "BMAJ")
    minor = major if "BMIN" not in header else card_number(header, "BMIN")
    angle = card_number(header, "BPA")
    return _checked(3600 * major, 3600 * minor, angle if math.isfinite(angle) else 0.0)


def _from_history(header: Any) -> Beam | None:
    history: Any = header.get("HISTORY", ())
    lines = fits.Header()
    for line in history:
        if "BMAJ" in line or "restoration" in line:
            lines.add_history(line)
    if not len(lines):
        return None
    import radio_beam  # noqa: PLC0415 - see `_from_cards`; few images need it.

    try:
        beam: Any = radio_beam.Beam.from_fits_history(lines)
    except (ValueError, IndexError):  # A line of another form, such as "BMAJ=0.0015".
        return None
    if beam is None:
        return None
    major, minor = (float(w.to_value("arcsec")) for w in (beam.major, beam.minor))
    return _checked(major, minor, float(beam.pa.to_value("deg")))


def _checked(major: float, minor: float, angle: float) -> Beam | None:
    if not (0 < major < WIDEST and 0 < minor < WIDEST):
        return None
    return (major, minor, angle) if major >= minor else (minor, major, angle + 90)
