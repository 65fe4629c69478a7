"""Mosaics: radio images of any size, which are read by parts."""

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float32

from claran.errors import ImageError
from claran.io.silencing import without_warnings
from claran.sky.bands import around_part, crop
from claran.sky.beams import Beam, round_beam
from claran.sky.blanks import BlankRule
from claran.sky.brightness_units import jansky_per_beam
from claran.sky.fits_planes import FitsPlane, open_plane
from claran.sky.header_wcs import header_wcs
from claran.sky.images import header_parts
from claran.sky.infrared_headers import Photometry
from claran.sky.observation_dates import observation_epoch
from claran.sky.surveys import (
    FIRST,
    Survey,
    beam_assumptions,
    beam_in_pixels,
    beam_ratio,
)

__all__ = ["Mosaic", "open_mosaic"]


class Mosaic:
    """A radio image in a FITS file, which is read by parts.

    It can be sent to other processes, which read the same file. Nothing is kept open.

    Attributes:
        path: The file.
        name: Its name.
        shape: `(ny, nx)`.
        pixel_arcsec: Side of a pixel, see `claran.sky.images.SkyImage`; the survey's
            without a WCS.
        beam: Beam of the header, or the one that was given; None without.
        unit: `BUNIT` of the header.
        jansky: What to multiply a value by for Jy/beam.
        frequency_hz: Of the header or else the survey; None if unknown.
        epoch: When it was observed, a Julian year; None if unknown.
        notes: What the user should know about the file and its header.
        infrared: What marks it as an infrared image; "" for a radio image.
        photometry: Band and zero point of an infrared image.
        blanks: What pixels are blank, see `claran.sky.blanks`.
    """

    def __init__(
        self,
        plane: FitsPlane,
        *,
        survey: Survey | None = None,
        beam_arcsec: float | None = None,
        blanks: BlankRule | None = None,
    ) -> None:
        self._plane, self._survey, self._beam_arcsec = plane, survey, beam_arcsec
        self.path, self.name, self.shape = plane.path, plane.path.name, plane.shape
        self.blanks = blanks or BlankRule()
        header = plane.header
        with without_warnings(), np.errstate(all="ignore"):
            found = header_wcs(header, plane.shape)
            parts = header_parts(header, found, self.name, plane.notes)
        self.wcs: WCS | None = found.wcs
        self.pixel_arcsec: float | None = parts["pixel_arcsec"]
        self.unit: str = parts["unit"]
        self.infrared: str = parts["infrared"]
        self.photometry: Photometry = parts["photometry"]
        self.beam: Beam | None = parts["beam"]
        if self.pixel_arcsec is None and survey is not None:
            self.pixel_arcsec = survey.pixel_arcsec
        if beam_arcsec is not None:
            self.beam = round_beam(beam_arcsec, self.pixel_arcsec, self.name)
        self.epoch = observation_epoch(header)
        self.frequency_hz: float | None = parts["frequency_hz"]
        if self.frequency_hz is None and survey is not None:
            self.frequency_hz = survey.frequency_hz
        beam = self.beam or (survey or FIRST).beam
        try:
            self.jansky, note = jansky_per_beam(
                self.unit, beam, self.pixel_arcsec, self.frequency_hz
            )
        except ImageError as error:
            raise ImageError(f"{self.path}: {error}") from None
        self.notes: tuple[str, ...] = (*parts["notes"], *([note] if note else ()))

    def __repr__(self) -> str:
        ny, nx = self.shape
        return f"<Mosaic {self.name!r}: {nx} x {ny} px>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Not its WCS: Astropy rounds its numbers when it is pickled.
        parts = (self._plane, self._survey, self._beam_arcsec, self.blanks)
        return _again, parts

    @property
    def fingerprint(self) -> str:
        """Text that differs if the file, what was given or the blank pixels differ."""
        about = (self._survey, self._beam_arcsec, self.blanks)
        return f"{self._plane.fingerprint} {about}"

    @property
    def beam_pixels(self) -> float:
        """Full width at half maximum of the beam in pixels, as `Field.beam_pixels`."""
        return beam_in_pixels(self.beam, self.pixel_arcsec, self._survey)

    @property
    def beam_ratio(self) -> float:
        """Major over minor axis of the beam of the header, the survey or FIRST."""
        return beam_ratio(self.beam, self._survey)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Assumptions about beam and pixel, in words; empty if both are known."""
        return beam_assumptions(self.beam, self.pixel_arcsec, self._survey)

    def with_blanks(self, blanks: BlankRule) -> "Mosaic":
        """Returns the mosaic with a rule for blank pixels."""
        other = copy.copy(self)  # Its header need not be read again: 16 ms.
        other.blanks = blanks
        return other

    def stored(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Returns a part with its pixels as stored, in the image's unit.

        Args:
            rows: Rows with start and stop inside the image.
            columns: Columns likewise.

        Raises:
            ImageError: The file has vanished, was changed, or is damaged.
        """
        return self._plane.read(rows, columns)

    def read(self, rows: slice, columns: slice) -> Float32[np.ndarray, "h w"]:
        """Returns a part in the image's unit, with NaN for blank pixels.

        A pixel is the same in whatever part it is read.

        Args:
            rows: Rows with start and stop inside the image.
            columns: Columns likewise.

        Raises:
            ImageError: See `stored`.
        """
        part = (rows, columns)
        wide = around_part(part, self.blanks.halo, self.shape)
        values = self.stored(*wide)
        if not self.blanks.may_have(values):
            return values[crop(part, wide)]
        blank = self.blanks.pixels(values)
        values = values[crop(part, wide)]
        values[blank[crop(part, wide)]] = np.nan
        return values


def open_mosaic(
    path: str | os.PathLike,
    *,
    survey: Survey | None = None,
    beam_arcsec: float | None = None,
    scratch: Path,
) -> Mosaic:
    """Returns the mosaic in a FITS file: `.fits`, `.fits.fz`, `.fits.gz` and the like.

    Args:
        path: The file, with the number or name of an HDU in brackets if need be.
        survey: Survey of the image, for what the header lacks; None if unknown, so that
            FIRST is assumed.
        beam_arcsec: Full width at half maximum of the beam, to replace the header's.
        scratch: Folder for files that are unpacked, such as `.fits.gz`.

    Raises:
        ImageError: The file is missing, damaged, not FITS or a cube; or its unit needs
            a frequency, and it has none.
        ValueError: The beam is not positive and finite.
    """
    plane = open_plane(path, scratch=scratch)
    return Mosaic(plane, survey=survey, beam_arcsec=beam_arcsec)


def _again(
    plane: FitsPlane,
    survey: Survey | None,
    beam_arcsec: float | None,
    blanks: BlankRule,
) -> Mosaic:
    return Mosaic(plane, survey=survey, beam_arcsec=beam_arcsec, blanks=blanks)
