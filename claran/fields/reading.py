"""Reading of fields from files, HDUs, arrays and pictures."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from jaxtyping import UInt8

from claran.fields.field import Field
from claran.io.paths import FITS_ENDINGS, require_file, split_hdu
from claran.sky.beams import round_beam
from claran.sky.file_kinds import is_fits, is_picture
from claran.sky.images import (
    SkyImage,
    celestial_axes,
    file_content,
    holds_bytes,
    read_picture,
    read_sky_image,
)
from claran.sky.infrared_pictures import infrared_field
from claran.sky.surveys import Survey

__all__ = ["read_field", "read_infrared", "read_picture_field", "with_beam"]


def read_field(
    radio: Any,
    infrared: Any = None,
    *,
    wcs: WCS | None = None,
    name: str | None = None,
    survey: Survey | None = None,
    beam_arcsec: float | None = None,
) -> Field:
    """Returns a field to detect in.

    Args:
        radio: Path of a FITS file, HDU, 2-D array (y up), CCDData, bytes or open file,
            see `claran.sky.images.read_sky_image`; `SkyImage`; or `Field`, which is
            changed by the other arguments only.
        infrared: Infrared image of the same field: FITS as for `radio`; or path, bytes,
            or uint8 BGR array of a picture (y down). None for none.
        wcs: Celestial WCS of an array, or to replace that of the header.
        name: Name of the field; None for the name of the file.
        survey: Survey of the image, for what the header lacks, such as the beam; None
            if unknown, so that FIRST is assumed where needed (`Field.assumptions`).
        beam_arcsec: Full width at half maximum of the beam, to replace the header's.

    Raises:
        ImageError: A file cannot be read or used.
        ValueError: `wcs` is not celestial, the beam is not positive and finite, or
            `wcs` or `infrared` is given for a field that is only a picture.
    """
    if isinstance(radio, Field):
        field = radio
    elif isinstance(radio, SkyImage):
        field = Field(radio.name, image=radio)
    else:
        image = read_sky_image(radio, wcs=wcs, name=name)
        field = Field(image.name, image=image)
        wcs = None
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = name
    if survey is not None:
        if not isinstance(survey, Survey):
            what = "`survey` must be a Survey, as of claran.sky.surveys.find_survey"
            raise ValueError(f"{what}, got {survey!r}.")
        changes["survey"] = survey
    if field.image is not None:
        known = survey or field.survey
        changes |= _images(field.image, infrared, wcs, beam_arcsec, survey=known)
    elif not (infrared is None and wcs is None):
        raise ValueError(
            f"{field.name}: is a picture; leave out `infrared` and `wcs`, which are "
            "for radio images."
        )
    return field.replace(**changes) if changes else field


def read_picture_field(source: Any, *, name: str | None = None) -> Field:
    """Returns a field that is only a picture, for networks that see pictures.

    Args:
        source: Path, bytes, open file, or uint8 BGR array (height, width, 3), row 0 on
            top.
        name: Name of the field; None for that of the file, or "picture".

    Raises:
        ImageError: The file cannot be read.
        ValueError: The array is not uint8 with three channels.
    """
    if isinstance(source, (str, os.PathLike)):
        return Field(name or Path(source).name, picture=read_picture(source))
    if holds_bytes(source):
        return Field(name or "picture", picture=read_picture(source))
    picture = np.asarray(source)
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,) or picture.size == 0:
        raise ValueError(
            "`source` must be a uint8 picture (height, width, 3), got "
            f"{picture.dtype} {picture.shape}; or give the path of one."
        )
    return Field(name or "picture", picture=np.ascontiguousarray(picture))


def with_beam(
    image: SkyImage, beam_arcsec: float | None, *, survey: Survey | None = None
) -> SkyImage:
    """Returns the image with a round beam.

    Args:
        image: The image.
        beam_arcsec: Full width at half maximum; None for the image as it is.
        survey: Survey of the image, which has the size of a pixel if the image has not.

    Raises:
        ValueError: The beam is not positive and finite.
        ImageError: The size of a pixel is unknown.
    """
    if beam_arcsec is None:
        return image
    pixel = image.pixel_arcsec
    if pixel is None and survey is not None:
        pixel = survey.pixel_arcsec
    beam = round_beam(beam_arcsec, pixel, image.name)
    return dataclasses.replace(image, beam=beam)


def read_infrared(source: Any) -> SkyImage | UInt8[np.ndarray, "h w 3"] | None:
    """Returns an infrared image: FITS as a `SkyImage`, a picture as a BGR array.

    Args:
        source: See `read_field`.

    Raises:
        ImageError: A file cannot be read or used.
    """
    if source is None or isinstance(source, SkyImage):
        return source
    if isinstance(source, (str, os.PathLike)):
        shown = split_hdu(Path(source))[0].name.lower()
        is_fits = shown.endswith(FITS_ENDINGS) or is_fits_file(source)
        return read_sky_image(source) if is_fits else read_picture(source)
    if holds_bytes(source):
        content, name = file_content(source, "array")
        if is_picture(content):
            return read_picture(content)
        return read_sky_image(content, name=name)
    if getattr(source, "ndim", 0) == 3 and not hasattr(source, "wcs"):
        return np.ascontiguousarray(source)
    return read_sky_image(source)


def is_fits_file(path: str | os.PathLike) -> bool:
    """Returns whether a file begins as a FITS file, whatever its name.

    Args:
        path: The file; it may be missing.
    """
    try:
        require_file(path)
        with Path(path).open("rb") as file:
            return is_fits(file.read(16))
    except (OSError, ValueError):
        return False


def _images(
    image: SkyImage,
    infrared: Any,
    wcs: WCS | None,
    beam_arcsec: float | None,
    *,
    survey: Survey | None,
) -> dict[str, Any]:
    """Returns the changed image and picture of a field."""
    changed = image
    if wcs is not None:
        wcs = celestial_axes(wcs)
        changed = dataclasses.replace(image, wcs=wcs, pixel_arcsec=None)
    changed = with_beam(changed, beam_arcsec, survey=survey)
    changes: dict[str, Any] = {} if changed is image else {"image": changed}
    infrared = read_infrared(infrared)
    if infrared is not None:
        changes["picture"] = infrared_field(changed, infrared)
    return changes
