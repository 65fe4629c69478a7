"""Reading of FITS images and pictures."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Float32, Shaped, UInt8

from claran.errors import ImageError
from claran.io.silencing import without_warnings
from claran.sky.beams import Beam, read_beam
from claran.sky.blanks import blank_pixels
from claran.sky.frames import celestial_frame

__all__ = [
    "SkyImage",
    "celestial_axes",
    "read_picture",
    "read_sky_image",
]

Source = (
    str
    | os.PathLike
    | fits.HDUList
    | fits.PrimaryHDU
    | fits.ImageHDU
    | fits.CompImageHDU
    | np.ndarray
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
    """

    values: Float32[np.ndarray, "ny nx"]
    wcs: WCS | None = None
    pixel_arcsec: float | None = None
    name: str = "array"
    unit: str = ""
    beam: Beam | None = None

    def __post_init__(self) -> None:
        if self.pixel_arcsec is None and self.wcs is not None:
            side = 3600 * math.sqrt(_pixel_area(self.wcs))
            object.__setattr__(self, "pixel_arcsec", side)

    def __repr__(self) -> str:
        ny, nx = self.values.shape
        beam = "unknown" if self.beam is None else f"{self.beam[0]:.3g} arcsec"
        pixel = "unknown" if self.pixel_arcsec is None else f"{self.pixel_arcsec:.3g}"
        return (
            f"<SkyImage {self.name!r}: {nx} x {ny} px of {pixel} arcsec, beam {beam}>"
        )


def read_sky_image(
    source: Source, *, wcs: WCS | None = None, name: str | None = None
) -> SkyImage:
    """Returns the image in a FITS file, an HDU or an array.

    Of several HDUs the first with an image is taken. Axes of length 1 beyond two are
    dropped. Pixels without a measurement become NaN, such as padding and sentinels, see
    `claran.sky.blanks`. The result has no WCS if the header has none, or an invalid
    one, or one in a frame unknown to Astropy.

    Args:
        source: Path (`.fits`, `.fits.gz`), HDU, HDUList or array. Masked pixels of an
            array become NaN; the unit of a Quantity is kept.
        wcs: WCS to replace that of the header; its first two axes are used.
        name: Name to replace that of the file.

    Raises:
        ImageError: The file is missing, damaged, not FITS, or has no image of two axes
            with at least one finite pixel.
        ValueError: `wcs` is not celestial.
    """
    if wcs is not None:
        wcs = celestial_axes(wcs)
    # Old headers: FITSFixed, Verify, BLANK ...
    with without_warnings(), np.errstate(over="ignore"):
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            label, default = str(path), path.name
            raw, header = _read_file(path)
        elif isinstance(source, np.ndarray):
            default = "array"
            label = name or default
            raw, header = source, fits.Header()
        else:
            hdus = source if isinstance(source, fits.HDUList) else [source]
            default = Path(_file_name(hdus) or "array").name
            label = name or default
            raw, header = _first_image(hdus, label)
        values = _plane(raw, label)
        sky = _celestial(header) if wcs is None else wcs
        beam = read_beam(header)
    unit = raw.unit if isinstance(raw, units.Quantity) else header.get("BUNIT", "")
    return SkyImage(
        values=values,
        wcs=sky,
        name=default if name is None else name,
        unit=str(unit).strip(),
        beam=beam,
    )


def celestial_axes(wcs: WCS) -> WCS:
    """Returns the first two axes of a WCS.

    Args:
        wcs: WCS of any number of axes.

    Raises:
        ValueError: They are not celestial, or in a frame unknown to Astropy.
    """
    axes = wcs.sub(2)
    if not _is_celestial(axes):
        raise ValueError(
            "`wcs` must be celestial, in a frame that Astropy knows, got "
            f"{list(wcs.wcs.ctype)} {wcs.wcs.radesys}."
        )
    return axes


def read_picture(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a PNG, JPEG or TIFF picture as BGR, row 0 on top.

    Gray becomes three equal channels, transparency is dropped, and 16 bits are reduced
    to the upper 8.

    Args:
        path: The file.

    Raises:
        ImageError: The file is missing, or OpenCV cannot decode it.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise _unreadable(Path(path), error) from None
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if picture is None:
        raise ImageError(
            f"{path}: not a picture (PNG, JPEG, TIFF), or damaged; the name of a FITS "
            "file must end in .fits."
        )
    return np.asarray(picture, np.uint8)


def _read_file(path: Path) -> tuple[np.ndarray, fits.Header]:
    try:
        # Without memory mapping: big-endian, scaled or compressed data are copied.
        with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
            return _first_image(hdus, str(path))
    except ImageError:
        raise
    except Exception as error:  # Astropy fails in many ways on a damaged file.
        if isinstance(error, OSError) and error.errno is not None:
            raise _unreadable(path, error) from None
        raise ImageError(
            f"{path}: not a FITS file, or a truncated one; fetch it again."
        ) from None


def _unreadable(path: Path, error: OSError) -> ImageError:
    return ImageError(f"{path}: cannot be read ({error.strerror}); check the path.")


def _first_image(hdus: Any, label: str) -> tuple[np.ndarray, fits.Header]:
    for hdu in hdus:
        if hdu.is_image and hdu.header.get("NAXIS", 0) > 0:
            if 0 in hdu.shape:
                raise ImageError(_wrong_shape(label, hdu.shape))
            try:
                data = hdu.data
            except Exception as error:
                raise ImageError(
                    f"{label}: truncated or damaged ({error}); fetch it again."
                ) from None
            return data, hdu.header
    raise ImageError(
        f"{label}: has no image in its {len(hdus)} HDU(s), or a damaged one; give a "
        "file with an image."
    )


def _file_name(hdus: Any) -> str | None:
    info = hdus[0].fileinfo() if len(hdus) else None
    return info["file"].name if info and info["file"] else None


def _plane(raw: Shaped[np.ndarray, "..."], label: str) -> Float32[np.ndarray, "ny nx"]:
    if raw.ndim < 2 or raw.size == 0:
        raise ImageError(_wrong_shape(label, raw.shape))
    if max(raw.shape[:-2], default=1) > 1:
        raise ImageError(
            f"{label}: is a cube of shape {raw.shape}; cut one plane first, such as "
            f"`data[{', '.join('0' * (raw.ndim - 2))}]`, and give its `wcs=`."
        )
    if raw.dtype.kind not in "buif":
        raise ImageError(f"{label}: has {raw.dtype} values; give real numbers.")
    # A copy in native byte order, without mask and unit.
    values = np.array(np.ma.getdata(raw), np.float32).reshape(raw.shape[-2:])
    mask = np.ma.getmaskarray(raw).reshape(values.shape)
    values[mask] = np.nan
    values[blank_pixels(values)] = np.nan
    if np.isnan(values).all():
        raise ImageError(
            f"{label}: has no finite pixel; cut the image where it has data."
        )
    return values


def _wrong_shape(label: str, shape: tuple[int, ...]) -> str:
    return f"{label}: has shape {tuple(shape)}; give an image of two axes, none empty."


def _celestial(header: Any) -> WCS | None:
    """Returns the WCS of the first two axes; None if it is not valid."""
    try:
        wcs = WCS(header, naxis=2)
        center = [0.5 * header["NAXIS1"], 0.5 * header["NAXIS2"]]
        works = _is_celestial(wcs) and np.isfinite(wcs.wcs_pix2world([center], 0)).all()
    except Exception:  # A broken header fails in many ways.
        return None
    return wcs if works and _pixel_area(wcs) > 0 else None


def _pixel_area(wcs: WCS) -> float:
    """Returns the area of a pixel, square degrees.

    The same as Astropy's `proj_plane_pixel_area`, which copies the WCS: this takes 0.6
    of the 3 ms to read a field.
    """
    return abs(float(np.linalg.det(wcs.pixel_scale_matrix)))


def _is_celestial(wcs: WCS) -> bool:
    try:
        wcs.wcs.set()
        celestial_frame(wcs)
    except ValueError:  # Such as RADESYS = 'J2000', which does not exist.
        return False
    # Astropy mistakes ecliptic longitudes for right ascensions.
    return wcs.has_celestial and wcs.wcs.lngtyp in ("RA", "GLON")
