"""The WCS of a FITS header: read with its oddities, and tried before it is used."""

import math
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Bool, Float

from claran.sky.frames import celestial_frame
from claran.sky.header_cards import (
    card_number,
    card_text,
    card_value,
    changed_header,
)

__all__ = ["HeaderWcs", "header_wcs", "is_celestial", "pixel_area", "wcs_fault"]

# What wcslib takes for a number; it leaves out text without a word, and takes 0.
NUMBERS = (
    "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CROTA2", "CD1_1",
    "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "LONPOLE", "LATPOLE",
)  # fmt: skip
REFERENCE = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
EQUINOXES = ("EQUINOX", "EPOCH")
FRAMES = {"J2000": "FK5", "J2000.0": "FK5", "B1950": "FK4", "B1950.0": "FK4"}
KNOWN_FRAMES = ("FK4", "FK5", "ICRS")
UNITS = {
    "deg": "deg", "degree": "deg", "degrees": "deg", "degs": "deg",
    "arcmin": "arcmin", "arcminute": "arcmin", "arcminutes": "arcmin",
    "arcsec": "arcsec", "arcsecond": "arcsec", "arcseconds": "arcsec",
    "rad": "rad", "radian": "rad", "radians": "rad",
}  # fmt: skip
DEGREES = {"": 1, "deg": 1, "arcmin": 1 / 60, "arcsec": 1 / 3600, "rad": 180 / math.pi}

# Center, halfway to the corners, corners; in sizes of the image from its center.
PLACES = np.array(
    [(0, 0), *((s * x, s * y) for s in (0.25, 0.5) for x in (-1, 1) for y in (-1, 1))]
)
LARGEST_PIXEL = 30.0  # Degrees; far more than any image has.
CLOSE = 0.1  # Pixels; how well a position must lead back to its pixel.
STRETCH = 100.0  # Area of a pixel halfway to the edge, over that at the reference.


class HeaderWcs(NamedTuple):
    """What a header says about the sky."""

    wcs: WCS | None = None  # None without a usable one.
    pixel_arcsec: float | None = None  # Without a WCS: the side of a pixel, if known.
    notes: tuple[str, ...] = ()  # What was mended, or why there is no WCS.


def header_wcs(header: fits.Header, shape: tuple[int, int]) -> HeaderWcs:
    """Returns the WCS of the first two axes, or the reason why there is none.

    Units and frames in other words than the FITS standard's, and numbers in quotes, are
    read as meant. A WCS that loses pixels, see `wcs_fault`, is not used.

    Args:
        header: The header.
        shape: `(ny, nx)` of the image.
    """
    if not any(card_text(header, key) for key in ("CTYPE1", "CTYPE2")):
        return HeaderWcs()
    mended, notes, fault = _mended(header)
    wcs = None
    if not fault:
        wcs, fault = _parsed(mended)
    if wcs is not None:
        fault = wcs_fault(wcs, shape)
        if not fault:
            return HeaderWcs(wcs, None, notes)
    note = f"the WCS is left out, as {fault}"
    return HeaderWcs(None, _pixel_arcsec(mended), (*notes, note))


def wcs_fault(wcs: WCS, shape: tuple[int, int]) -> str:
    """Returns what is wrong with a WCS for an image; "" if nothing is.

    It must be celestial, in a frame that Astropy knows. The center and the four points
    halfway to the corners must lie on the sky, at places of their own, and lead back to
    their pixels. Corners may be off the sky, as those of an all-sky image.

    Args:
        wcs: WCS of two axes.
        shape: `(ny, nx)` of the image.
    """
    fault = frame_fault(wcs)
    if fault:
        return fault
    side = math.sqrt(pixel_area(wcs))
    if not 0 < side < LARGEST_PIXEL:
        return f"its pixels have a side of {side:.3g} degrees"
    last = np.array(shape[::-1]) - 1
    try:
        good = _leads_back(wcs, (0.5 + PLACES) * last, side).all()
    except Exception:  # Distortions may not converge.
        good = False
    return "" if good else "it puts pixels off the sky, or several at one place"


def frame_fault(wcs: WCS) -> str:
    """Returns why the frame of a WCS cannot be used; "" if it can.

    Args:
        wcs: WCS of two axes.
    """
    kinds = ", ".join(wcs.wcs.ctype)
    try:
        wcs.wcs.set()
        celestial = wcs.has_celestial
        # Astropy mistakes ecliptic longitudes for right ascensions.
        if not celestial or wcs.wcs.lngtyp not in ("RA", "GLON"):
            return f"its axes ({kinds}) are neither equatorial nor galactic"
        celestial_frame(wcs)
    except Exception as error:
        if wcs.wcs.radesys not in (*KNOWN_FRAMES, ""):
            return f"Astropy does not know the frame RADESYS = {wcs.wcs.radesys!r}"
        return _reason(error)
    return ""


def is_celestial(wcs: WCS) -> bool:
    """Returns whether a WCS of two axes is celestial, in a frame that Astropy knows."""
    return not frame_fault(wcs)


def pixel_area(wcs: WCS) -> float:
    """Returns the area of a pixel, square degrees.

    The same as Astropy's `proj_plane_pixel_area`, which copies the WCS: this takes 0.6
    of the 3 ms to read a field.
    """
    with np.errstate(all="ignore"):
        return abs(float(np.linalg.det(wcs.pixel_scale_matrix)))


def _mended(header: fits.Header) -> tuple[fits.Header, tuple[str, ...], str]:
    """Returns a header that wcslib reads as meant, notes, and what cannot be mended."""
    changes: dict[str, Any] = {}
    notes = []
    for key in NUMBERS:
        value = card_value(header, key)
        if isinstance(value, (str, bool)):
            changes[key] = card_number(header, key)
            if not math.isfinite(changes[key]):
                return header, (), f"{key} = {value!r} is not a number"
    missing = [key for key in REFERENCE if card_value(header, key) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        notes.append(f"{', '.join(missing)} {verb} missing, and 0 is taken")
    for key in EQUINOXES:
        value = card_value(header, key)
        if value is None:
            continue
        year = _year(header, key)
        if not 1800 <= year <= 2200:
            changes[key] = None
            if not card_text(header, "CTYPE1").startswith("GLON"):
                notes.append(f"{key} = {value!r} is not a year, and is left out")
        elif isinstance(value, str):
            changes[key] = year
            if value.strip().upper().startswith("B") and "RADESYS" not in header:
                changes["RADESYS"] = "FK4"
    changes |= _mended_words(header) | _missing_pv(header) | _sip_name(header)
    changed = changed_header(header, changes) if changes else header
    return changed, tuple(notes), ""


def _year(header: fits.Header, key: str) -> float:
    """Returns an equinox, also of "J2000" or "B1950"."""
    value = card_value(header, key)
    if isinstance(value, str):
        value = value.strip(" \0").upper().lstrip("JB")
    return card_number({key: value}, key)


def _mended_words(header: fits.Header) -> dict[str, str]:
    """Returns the units and the frame in the words of the FITS standard."""
    changes = {}
    for key in ("CUNIT1", "CUNIT2"):
        unit = card_text(header, key)
        meant = UNITS.get(unit.lower(), unit)
        if meant != unit:
            changes[key] = meant
    for key in ("RADESYS", "RADECSYS"):
        frame = card_text(header, key)
        upper = frame.upper()
        meant = FRAMES.get(upper, upper if upper in KNOWN_FRAMES else frame)
        if meant != frame:
            changes[key] = meant
    return changes


def _missing_pv(header: fits.Header) -> dict[str, float]:
    """Returns PVi_1 = 1, the default of TPV, which Astropy takes for 0."""
    if not card_text(header, "CTYPE1").endswith("TPV"):
        return {}
    return {key: 1.0 for key in ("PV1_1", "PV2_1") if key not in header}


def _sip_name(header: fits.Header) -> dict[str, str]:
    """Returns CTYPE with the "-SIP" that belongs to SIP's cards.

    Astropy takes these without it too, but writes a page about it on standard error.
    """
    kinds = {key: card_text(header, key) for key in ("CTYPE1", "CTYPE2")}
    if "A_ORDER" not in header or any(kind[8:] for kind in kinds.values()):
        return {}
    return {key: f"{kind}-SIP" for key, kind in kinds.items()}


def _parsed(header: fits.Header) -> tuple[WCS | None, str]:
    """Returns the WCS of the first two axes, or why Astropy cannot read it."""
    try:
        return WCS(header, naxis=2), ""
    except Exception:  # A broken header fails in many ways.
        try:
            # All axes: this also translates units, as "DEG".
            return WCS(header).sub(2), ""
        except Exception as error:
            return None, _reason(error)


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"Astropy cannot read it ({lines[-1].strip(' .') if lines else error!r})"


def _leads_back(
    wcs: WCS, pixels: Float[np.ndarray, "9 2"], side: float
) -> Bool[np.ndarray, "9"]:
    """Returns whether each pixel has a place on the sky that leads back to it.

    Places are compared and not pixels, as a longitude may be off by a full turn.

    Args:
        wcs: The WCS.
        pixels: `(x, y)` of `PLACES`, counted from the center of the first pixel. The
            corners may be off the sky, and stretched.
        side: Side of a pixel, degrees.
    """
    with np.errstate(all="ignore"):
        x, y = pixels.T
        at = np.concatenate([pixels, np.c_[x + 1, y], np.c_[x, y + 1]])
        world = np.asarray(wcs.all_pix2world(at, 0))
        here = _vectors(wcs, world)
        found: Any = np.isfinite(here).all(axis=1)
        back = np.full_like(here, np.nan)
        if found.any():
            again = wcs.all_world2pix(world[found], 0, quiet=True)
            back[found] = _vectors(wcs, np.asarray(wcs.all_pix2world(again, 0)))
        error = np.linalg.norm(here - back, axis=1) / np.radians(side)
        place, right, up = here.reshape(3, -1, 3)
        area = np.linalg.norm(np.cross(right - place, up - place), axis=1)
        stretch = area / np.radians(side) ** 2
        close = (error < CLOSE).reshape(3, -1).all(axis=0)
        good = close & (stretch > 1 / STRETCH) & (stretch < STRETCH)
        off_sky = ~found.reshape(3, -1).all(axis=0)
        return np.concatenate([good[:5], (off_sky | close)[5:]])


def _vectors(wcs: WCS, world: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Returns unit vectors; NaN off the sky."""
    lon, lat = np.radians(world[:, wcs.wcs.lng]), np.radians(world[:, wcs.wcs.lat])
    lat = np.where(np.abs(world[:, wcs.wcs.lat]) <= 90, lat, np.nan)
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
    )


def _pixel_arcsec(header: fits.Header) -> float | None:
    """Returns the side of a pixel from the cards of a header without a usable WCS.

    None unless both axes are longitudes and latitudes by their names.
    """
    kinds = {card_text(header, key)[:4].strip("-") for key in ("CTYPE1", "CTYPE2")}
    units = [
        DEGREES.get(card_text(header, key), math.nan) for key in ("CUNIT1", "CUNIT2")
    ]
    if not kinds & {"RA", "GLON", "ELON"} or not kinds & {"DEC", "GLAT", "ELAT"}:
        return None
    cd = [card_number(header, f"CD{i}_{j}") for i in (1, 2) for j in (1, 2)]
    if math.isfinite(cd[0]) or math.isfinite(cd[3]):
        matrix = np.nan_to_num(cd).reshape(2, 2)
        area = abs(float(np.linalg.det(matrix)))
    else:
        area = abs(card_number(header, "CDELT1") * card_number(header, "CDELT2"))
    side = math.sqrt(area * math.prod(units))
    return 3600 * side if 0 < side < LARGEST_PIXEL else None
