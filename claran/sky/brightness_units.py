"""Units of radio images, and their factors to Jy/beam."""

import math
import re
from typing import Any

from claran.errors import ImageError
from claran.sky.beams import Beam
from claran.sky.header_cards import card_number, card_text

__all__ = ["jansky_per_beam", "observed_frequency"]

WORD = re.compile(r"[^\W\d_]+")
FLUX = re.compile(r"([numkMGµμ]|micro|milli)?(?:jy|jansky)", re.IGNORECASE)
AREAS = {
    "beam": "beam", "bm": "beam", "beams": "beam", "pixel": "pixel", "pix": "pixel",
    "px": "pixel", "sr": "sr", "str": "sr", "steradian": "sr", "arcsec": "arcsec",
    "as": "arcsec",
}  # fmt: skip
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
    steradian = BEAM_AREA * beam[0] * beam[1] * SQUARE_ARCSEC
    # Powers and slashes say nothing: nobody multiplies a flux by an area.
    words = [word for word in WORD.findall(unit) if word.lower() != "per"]
    fluxes = [found for word in words if (found := FLUX.fullmatch(word))]
    areas = [AREAS.get(word.lower()) for word in words if not FLUX.fullmatch(word)]
    if len(fluxes) == 1 and len(areas) < 2 and None not in areas:
        prefix, area = fluxes[0][1] or "", areas[0] if areas else None
        return _of_flux(unit, prefix, area, steradian, pixel_arcsec)
    found = KELVIN.fullmatch(re.sub(r"\s", "", unit))
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
    unit: str,
    prefix: str,
    area: str | None,
    steradian: float,
    pixel_arcsec: float | None,
) -> tuple[float, str]:
    """Returns the factor and the note for a unit of Jy, see `jansky_per_beam`."""
    # A header in capitals means mJy by MJY, except for the brightness of large scales.
    if prefix == "M" and area != "sr":
        prefix = "m"
    factor = PREFIXES.get(prefix, PREFIXES.get(prefix.lower(), 1.0))
    if area is None:
        return factor, f"its unit is {unit}, and {unit}/beam is assumed"
    if area == "beam":
        return factor, "" if factor == 1 else f"its unit is {unit}"
    if area == "pixel" and pixel_arcsec is None:
        raise ImageError(
            f"is in {unit}, but the size of its pixels is unknown; give the survey "
            "(--survey), or a WCS in the header."
        )
    sizes = {"sr": 1.0, "arcsec": SQUARE_ARCSEC}
    if pixel_arcsec is not None:
        sizes["pixel"] = pixel_arcsec**2 * SQUARE_ARCSEC
    factor *= steradian / sizes[area]
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
