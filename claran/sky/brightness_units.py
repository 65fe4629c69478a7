"""Units of radio images, and their factors to Jy/beam."""

import math
import re
from typing import Any

from claran.errors import ImageError
from claran.sky.beams import Beam
from claran.sky.header_cards import card_number, card_text

__all__ = ["jansky_per_beam", "observed_frequency"]

UNIT = re.compile(
    r"(?P<prefix>[numkMGµμ]|micro|milli)?(?P<flux>jy|jansky)"
    r"(?P<area>/?(beam|bm|pixel|pix|sr|str|steradian|arcsec2?|as2)?(\^?-1)?)",
    re.IGNORECASE,
)
KELVIN = re.compile(r"(?P<prefix>[numkµμ])?(K|kelvin)(\(?tb\)?|_?cmb)?", re.IGNORECASE)
PREFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "micro": 1e-6, "m": 1e-3,
    "milli": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9,
}  # fmt: skip
HERTZ = {"": 1.0, "hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
SQUARE_ARCSEC = math.radians(1 / 3600) ** 2
BOLTZMANN, LIGHT, JANSKY = 1.380649e-23, 299792458.0, 1e-26
BEAM_AREA = math.pi / (4 * math.log(2))  # Of a Gaussian, in products of its widths.


def jansky_per_beam(
    unit: str, beam: Beam, pixel_arcsec: float | None, frequency_hz: float | None
) -> tuple[float, str]:
    """Returns the factor from a unit to Jy/beam, and a note on it or "".

    Surface brightness is multiplied by the area of the beam. A temperature of
    brightness becomes `2 k T / lambda^2` times that area, the law of Rayleigh and
    Jeans.

    Args:
        unit: `BUNIT` of the header.
        beam: Widths in arcsec, and angle.
        pixel_arcsec: Side of a pixel; None if unknown.
        frequency_hz: Frequency; None if unknown.

    Raises:
        ImageError: The unit is a temperature, and the frequency is unknown; or it is
            Jy/pixel, and the size of a pixel is unknown. The message is without the
            name of the file.

    >>> jansky_per_beam("mJy/beam", (5.0, 5.0, 0.0), None, None)
    (0.001, 'its unit is mJy/beam')
    """
    plain = re.sub(r"[\s*.]+", "", unit.replace("per", "/"))
    steradian = BEAM_AREA * beam[0] * beam[1] * SQUARE_ARCSEC
    found = UNIT.fullmatch(plain)
    if found is not None:
        return _of_flux(unit, found, steradian, pixel_arcsec)
    found = KELVIN.fullmatch(plain)
    if found is None:
        what = f"its unit {unit!r} is unknown" if unit else "it has no unit"
        return 1.0, f"{what}, and Jy/beam is assumed"
    if frequency_hz is None:
        raise ImageError(
            f"is in {unit}, but its frequency is unknown; give the survey (--survey), "
            "or write RESTFRQ into the header."
        )
    kelvin = 2 * BOLTZMANN * (frequency_hz / LIGHT) ** 2 * steradian / JANSKY
    factor = PREFIXES[(found["prefix"] or "").lower()] * kelvin
    return factor, (
        f"its unit is {unit}: 1 {unit} is {factor:.4g} Jy/beam at "
        f"{frequency_hz / 1e9:.4g} GHz with a beam of {beam[0]:.3g} x {beam[1]:.3g} "
        "arcsec"
    )


def _of_flux(
    unit: str, found: re.Match[str], steradian: float, pixel_arcsec: float | None
) -> tuple[float, str]:
    prefix = found["prefix"] or ""
    # A header in capitals means mJy by MJY, except for the brightness of large scales.
    area = re.sub(r"[^a-z]", "", found["area"].lower())
    is_solid = area in ("sr", "str", "steradian")
    if prefix == "M" and not is_solid:
        prefix = "m"
    factor = PREFIXES.get(prefix, PREFIXES.get(prefix.lower(), 1.0))
    if is_solid:
        factor *= steradian
    elif area in ("arcsec", "as"):
        factor *= steradian / SQUARE_ARCSEC
    elif area in ("pixel", "pix"):
        if pixel_arcsec is None:
            raise ImageError(
                f"is in {unit}, but the size of its pixels is unknown; give the survey "
                "(--survey), or a WCS in the header."
            )
        factor *= steradian / (pixel_arcsec**2 * SQUARE_ARCSEC)
    elif not area:
        return factor, f"its unit is {unit}, and {unit}/beam is assumed"
    if area in ("beam", "bm"):
        return factor, "" if factor == 1 else f"its unit is {unit}"
    return factor, f"its unit is {unit}: 1 {unit} is {factor:.4g} Jy/beam"


def observed_frequency(header: Any) -> float | None:
    """Returns the frequency of an image in Hz, from its header; None if it has none.

    Args:
        header: The header. Its axis of frequencies comes first, at its first pixel.
    """
    for axis in range(1, 8):
        if card_text(header, f"CTYPE{axis}").upper().startswith("FREQ"):
            step = card_number(header, f"CDELT{axis}")
            offset = (1 - card_number(header, f"CRPIX{axis}")) * step
            value = card_number(header, f"CRVAL{axis}")
            value += offset if math.isfinite(offset) else 0.0
            value *= HERTZ.get(card_text(header, f"CUNIT{axis}").lower(), math.nan)
            if 0 < value < math.inf:
                return value
    for key in ("RESTFRQ", "RESTFREQ", "FREQ", "OBSFREQ", "CRFREQ"):
        value = card_number(header, key)
        if 0 < value < math.inf:
            return value
    return None
