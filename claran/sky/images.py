"""Reading of FITS images and pictures."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Float32, UInt8

from claran.errors import ImageError, first_line, unreadable
from claran.io.paths import require_file
from claran.io.silencing import without_warnings
from claran.sky.beams import Beam, beam_notes, read_beam
from claran.sky.blanks import blank_pixels
from claran.sky.brightness_units import observed_frequency
from claran.sky.file_kinds import wrong_kind
from claran.sky.fits_files import read_fits, read_hdus
from claran.sky.hdu_choice import cube_message, wrong_shape
from claran.sky.header_cards import card_text
from claran.sky.header_wcs import (
    HeaderWcs,
    header_wcs,
    is_celestial,
    pixel_area,
    wcs_fault,
)
from claran.sky.infrared_headers import Photometry, infrared_sign, read_photometry
from claran.sky.picture_sizes import check_picture

__all__ = [
    "SkyImage",
    "celestial_axes",
    "file_content",
    "header_parts",
    "holds_bytes",
    "read_picture",
    "read_sky_image",
]

ACCEPTED = (
    "a path, the bytes of a FITS file or a file open for reading them, an HDU or "
    "HDUList, an array of two axes (NumPy, JAX, masked, with a unit), or CCDData or "
    "NDData"
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SkyImage:
    """A plane of a FITS image in the FITS array frame: row 0 first, y up.

    Attributes:
        values: float32, `(ny, nx)`, in `unit`; blank pixels are NaN.
        wcs: Celestial WCS of the two axes; None without a valid one.
        pixel_arcsec: Side of a square with the area of a pixel; from the WCS unless
            given; None if unknown.
        name: File name, for messages and tables; "array" without a file.
        unit: `BUNIT` as in the header, unchecked: headers are often wrong, and
            detection needs only the signal-to-noise. "" without one.
        beam: Full widths at half maximum of the major and the minor axis in arcsec, and
            position angle in degrees; None without a beam in the header, see
            `claran.sky.beams.read_beam`.
        infrared: What marks it as an infrared image, see
            `claran.sky.infrared_headers`; "" for a radio image.
        frequency_hz: Of the header; None without.
        photometry: Band and zero point of an infrared image.
        notes: What the user should know about the header and the choice of the HDU,
            each in a few words.
    """

    values: Float32[np.ndarray, "ny nx"]
    wcs: WCS | None = None
    pixel_arcsec: float | None = None
    name: str = "array"
    unit: str = ""
    beam: Beam | None = None
    notes: tuple[str, ...] = ()
    infrared: str = ""
    frequency_hz: float | None = None
    photometry: Photometry = Photometry()

    def __post_init__(self) -> None:
        if self.pixel_arcsec is None and self.wcs is not None:
            side = 3600 * math.sqrt(pixel_area(self.wcs))
            object.__setattr__(self, "pixel_arcsec", side)

    def __repr__(self) -> str:
        ny, nx = self.values.shape
        beam = "unknown" if self.beam is None else f"{self.beam[0]:.3g} arcsec"
        pixel = "unknown" if self.pixel_arcsec is None else f"{self.pixel_arcsec:.3g}"
        return (
            f"<SkyImage {self.name!r}: {nx} x {ny} px of {pixel} arcsec, beam {beam}>"
        )


def read_sky_image(
    source: Any, *, wcs: WCS | None = None, name: str | None = None
) -> SkyImage:
    """Returns the image in a FITS file, an HDU or an array.

    Of several HDUs the first with an image of two axes is taken that is not by its name
    or unit an image of weights, noise, a mask or the like; `notes` says so. Axes of
    length 1 beyond two are dropped. Pixels without a measurement become NaN, such as
    padding and sentinels, see `claran.sky.blanks`. The result has no WCS if the header
    has none, or one that loses pixels, or is in a frame unknown to Astropy; `notes`
    says why.

    Args:
        source: Path (`.fits`, `.fits.gz`, `.fits.fz`), with the number or name of an
            HDU in brackets at its end for another HDU; bytes of such a file, or a file
            open in binary mode; HDU, HDUList; CCDData or NDData with their mask, unit
            and WCS; array (NumPy, JAX, list of lists). Masked pixels become NaN; the
            unit of a Quantity is kept.
        wcs: WCS to replace that of the header; its first two axes are used.
        name: Name to replace that of the file.

    Raises:
        ImageError: The file is missing, damaged, not FITS, or has no image of two axes
            with at least one finite pixel; or `source` is none of these.
        ValueError: `wcs` is not celestial, or puts several pixels at one place.
    """
    if wcs is not None:
        wcs = celestial_axes(wcs)
    # Old headers: FITSFixed, Verify, BLANK ...
    with without_warnings(), np.errstate(all="ignore"):
        raw = _raw(source, name)
        values = _plane(raw)
        found = _sky(raw, values.shape, wcs)
        parts = header_parts(raw.header, found, raw.name, raw.notes)
    unit = raw.data.unit if isinstance(raw.data, units.Quantity) else raw.unit
    if unit is not None:
        parts["unit"] = str(unit).strip()
    return SkyImage(values=values, name=raw.name if name is None else name, **parts)


def header_parts(
    header: Any, found: HeaderWcs, name: str, notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Returns what a header says about an image, by the attributes of `SkyImage`.

    Args:
        header: A header, or the like.
        found: Its WCS.
        name: Name of the file.
        notes: Notes to put before those on the header.
    """
    pixel = found.pixel_arcsec
    if found.wcs is not None:
        pixel = 3600 * math.sqrt(pixel_area(found.wcs))
    return {
        "wcs": found.wcs,
        "pixel_arcsec": pixel,
        "unit": card_text(header, "BUNIT"),
        "beam": read_beam(header),
        "notes": (*notes, *found.notes, *beam_notes(header)),
        "infrared": infrared_sign(header, name),
        "frequency_hz": observed_frequency(header),
        "photometry": read_photometry(header),
    }


def celestial_axes(wcs: WCS) -> WCS:
    """Returns the first two axes of a WCS.

    Args:
        wcs: WCS of any number of axes.

    Raises:
        ValueError: They are not celestial, or in a frame unknown to Astropy.
    """
    try:
        axes = wcs.sub(2)
        celestial = is_celestial(axes)
    except (ValueError, AttributeError):  # Singular, or of another class.
        got = list(wcs.wcs.ctype) if isinstance(wcs, WCS) else type(wcs).__name__
        raise ValueError(
            f"`wcs` must be an astropy.wcs.WCS that Astropy can use, got {got}."
        ) from None
    if not celestial:
        raise ValueError(
            "`wcs` must be celestial, in a frame that Astropy knows, got "
            f"{list(wcs.wcs.ctype)} {wcs.wcs.radesys}."
        )
    return axes


def read_picture(source: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a PNG, JPEG or TIFF picture as BGR, row 0 on top.

    Gray becomes three equal channels, transparency is dropped, and 16 bits are reduced
    to the upper 8.

    Args:
        source: Path, bytes of a picture, or a file open in binary mode.

    Raises:
        ImageError: The file is missing, too large, or OpenCV cannot decode it.
    """
    if isinstance(source, (str, os.PathLike)):
        label = os.fsdecode(source)
        require_file(label)
        try:
            content = Path(label).read_bytes()
        except (OSError, ValueError) as error:
            raise unreadable(label, error) from None
    else:
        content, label = file_content(source, "picture")
    check_picture(content, label)
    picture = None
    if content:
        encoded = np.frombuffer(content, np.uint8)
        try:
            picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        except cv2.error:  # Such as more pixels than OpenCV allows.
            picture = None
    if picture is None:
        raise ImageError(wrong_kind(content[:512], label, wanted="picture"))
    return np.asarray(picture, np.uint8)


def holds_bytes(source: Any) -> bool:
    """Returns whether a source is bytes of any kind, or an open file."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return True
    return hasattr(source, "read") and not hasattr(source, "wcs")  # CCDData has both.


def file_content(source: Any, default: str) -> tuple[bytes, str]:
    """Returns the bytes of an open file, or of bytes of any kind, and its name.

    Args:
        source: See `holds_bytes`.
        default: Name of bytes, and of a file without one.

    Raises:
        ImageError: The file is open as text or cannot be read; or it is neither.
    """
    if not holds_bytes(source):
        raise ImageError(
            f"a {type(source).__name__} is no picture; give a path, bytes, or a file "
            "open in binary mode."
        )
    if not hasattr(source, "read"):
        return bytes(source), default
    own = getattr(source, "name", None)
    name = Path(own).name if isinstance(own, str) and own else default
    try:
        content = source.read()
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None
    if not isinstance(content, bytes):
        raise ImageError(f"{name}: is open as text; open it in binary mode, 'rb'.")
    return content, name


class _Raw(NamedTuple):
    """An image as it came, before anything is made of it."""

    data: np.ndarray
    header: Any  # A header, or the like.
    label: str  # For messages.
    name: str
    notes: tuple[str, ...] = ()
    wcs: WCS | None = None
    unit: Any = None  # None for that of the header.
    is_own: bool = False  # Whether nobody else has the data, so that they may change.


def _raw(source: Any, name: str | None) -> _Raw:
    """Returns what is in a source of any kind."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        found = read_fits(path)
        name = Path(path).name
        return _Raw(found.data, found.header, path, name, found.notes, is_own=True)
    if hasattr(source, "wcs") and hasattr(source, "data"):
        return _from_nddata(source, name or "array")
    if holds_bytes(source):
        content, own = file_content(source, "array")
        found = read_fits(content, label=name or own)
        return _Raw(
            found.data, found.header, name or own, own, found.notes, is_own=True
        )
    if isinstance(source, (fits.HDUList, *_HDUS)):
        hdus = source if isinstance(source, fits.HDUList) else [source]
        default = Path(_file_name(hdus) or "array").name
        found = read_hdus(hdus, name or default)
        return _Raw(found.data, found.header, name or default, default, found.notes)
    return _Raw(
        _array(source, name or "array"), fits.Header(), name or "array", "array"
    )


_HDUS = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


def _array(source: Any, label: str) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return source
    if isinstance(source, (list, tuple)) or hasattr(source, "__array__"):
        try:
            return np.asarray(source)
        except Exception as error:  # Lists of several lengths, lost devices ...
            reason = first_line(error)
            raise ImageError(f"{label}: is no array ({reason}).") from None
    raise ImageError(
        f"{label}: a {type(source).__name__} is no image; give {ACCEPTED}."
    )


def _from_nddata(source: Any, label: str) -> _Raw:
    """Returns what is in CCDData, NDData, or the like with `data` and `wcs`."""
    data = _array(source.data, label)
    mask = getattr(source, "mask", None)
    if mask is not None:
        try:
            data = np.ma.array(data, mask=np.broadcast_to(mask, data.shape))
        except ValueError:
            raise ImageError(
                f"{label}: its mask has shape {np.shape(mask)}, but its data "
                f"{data.shape}; give a mask of the same shape."
            ) from None
    header = getattr(source, "meta", None)
    if not isinstance(header, Mapping | fits.Header):
        header = fits.Header()
    wcs = getattr(source.wcs, "low_level_wcs", source.wcs)
    slices = getattr(wcs, "_slices_array", None)
    if slices is not None and isinstance(getattr(wcs, "_wcs", None), WCS):
        wcs = wcs._wcs.slice(slices)  # Astropy has no other way back.
    if wcs is not None and not isinstance(wcs, WCS):
        raise ImageError(
            f"{label}: its `wcs` is a {type(wcs).__name__}; give an astropy.wcs.WCS."
        )
    unit = getattr(source, "unit", None)
    return _Raw(data, header, label, "array", (), wcs, unit)


def _sky(raw: _Raw, shape: tuple[int, int], given: WCS | None) -> HeaderWcs:
    """Returns the WCS that was given, or else that of the image."""
    if given is not None:
        fault = wcs_fault(given, shape)
        if fault:
            raise ValueError(f"`wcs` cannot be used for {raw.label}: {fault}.")
        return HeaderWcs(given)
    if raw.wcs is not None:
        try:
            axes = raw.wcs.sub(2)
            fault = wcs_fault(axes, shape)
        except ValueError:  # Axes that do not belong together.
            kinds = ", ".join(raw.wcs.wcs.ctype)
            axes, fault = None, f"Astropy cannot use its axes ({kinds})"
        if fault:
            return HeaderWcs(notes=(f"the WCS is left out, as {fault}",))
        return HeaderWcs(axes)
    if not isinstance(raw.header, fits.Header):
        return HeaderWcs()
    return header_wcs(raw.header, shape)


def _file_name(hdus: Any) -> str | None:
    info = hdus[0].fileinfo() if len(hdus) else None
    name = info["file"].name if info and info["file"] else None
    # Astropy gives the class of a stream without a name.
    return None if name and name.startswith("<class ") else name


def _plane(image: _Raw) -> Float32[np.ndarray, "ny nx"]:
    raw, label = image.data, image.label
    if raw.ndim < 2 or raw.size == 0:
        raise ImageError(wrong_shape(label, raw.shape))
    if max(raw.shape[:-2], default=1) > 1:
        raise ImageError(cube_message(label, raw.shape))
    if raw.dtype.kind not in "buif":
        raise ImageError(f"{label}: has {raw.dtype} values; give real numbers.")
    plain = np.ma.getdata(raw)
    if image.is_own and plain.dtype == ">f4" and plain.flags.c_contiguous:
        # In place, as large images need much memory.
        values = plain.byteswap(inplace=plain.flags.writeable).view(np.float32)
    else:
        # A copy in native byte order, without mask and unit.
        values = np.array(plain, np.float32)
    values = values.reshape(raw.shape[-2:])
    if np.ma.is_masked(raw):
        values[np.ma.getmaskarray(raw).reshape(values.shape)] = np.nan
    values[blank_pixels(values)] = np.nan
    if np.isnan(values).all():
        raise ImageError(
            f"{label}: has no finite pixel; cut the image where it has data."
        )
    return values
