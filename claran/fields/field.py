"""A field of the sky, with its images and all that is measured on them."""

import copy
import dataclasses
import functools
import math
from collections.abc import Collection
from typing import Any

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float32, Int, UInt8

from claran.errors import ImageError
from claran.fields.objects import Objects
from claran.sky.background import background
from claran.sky.brightness_units import jansky_per_beam
from claran.sky.domain import domain_notes, has_gaussian_noise
from claran.sky.images import SkyImage
from claran.sky.islands import (
    Islands,
    Peaks,
    find_all_peaks,
    find_islands,
    smallest_island,
)
from claran.sky.noise import local_noise, noise
from claran.sky.peak_counts import GRIDS, count_peaks
from claran.sky.signal_to_noise import (
    EVEN_START,
    noise_excess,
    noise_window,
    one_window_start,
    raw_ratio,
)
from claran.sky.surveys import (
    FIRST,
    Survey,
    beam_assumptions,
    beam_in_pixels,
    beam_ratio,
)
from claran.sky.zero_levels import zero_level

__all__ = ["Field"]


class Field:
    """A field: its images, their measurements, and its labelled objects if known.

    Noise, signal-to-noise, islands and peaks are measured at their first use, and kept.
    A field is immutable: `replace` returns another one.

    A field that is only a picture has no radio image, no noise and no islands.

    Args:
        name: Name of the field, for messages and tables.
        image: The radio image; None for a field that is only a picture.
        picture: uint8 BGR `(height, width, 3)`, row 0 on top: the infrared image of the
            same sky, or the field itself if there is no radio image; None for none.
        objects: Labelled sources; None for none.
        survey: Survey of the image, for what the header lacks; None if unknown, so that
            FIRST is assumed.
        noise: Standard deviation of the noise of the whole image, in the image's unit,
            if it is known already; None to measure it.

    Raises:
        ValueError: There is neither a radio image nor a picture, or the noise is not
            positive and finite.
    """

    def __init__(
        self,
        name: str,
        *,
        image: SkyImage | None = None,
        picture: UInt8[np.ndarray, "h w 3"] | None = None,
        objects: Objects | None = None,
        survey: Survey | None = None,
        noise: float | None = None,
    ) -> None:
        if image is None and picture is None:
            raise ValueError(f"{name}: give `image`, `picture` or both; got neither.")
        self.name = name
        self.image = image
        self.picture = picture
        self.objects = Objects.none() if objects is None else objects
        self.survey = survey
        if noise is not None:
            if not 0 < noise < math.inf:
                raise ValueError(
                    f"{name}: `noise` must be positive and finite, got {noise}; leave "
                    "it out to measure it."
                )
            self.noise = float(noise)

    def __repr__(self) -> str:
        ny, nx = self.shape
        what = "picture" if self.image is None else "radio"
        if self.image is not None and self.picture is not None:
            what = "radio and infrared"
        objects = f", {len(self.objects)} objects" if len(self.objects) else ""
        return f"<Field {self.name!r}: {nx} x {ny} px, {what}{objects}>"

    @property
    def has_radio(self) -> bool:
        """Whether there is a radio image."""
        return self.image is not None

    @functools.cached_property
    def shape(self) -> tuple[int, int]:
        """`(ny, nx)` of the radio image, or rows and columns of the picture."""
        shown = self.picture if self.image is None else self.image.values
        assert shown is not None  # noqa: S101 - one of them is there.
        return shown.shape[0], shown.shape[1]

    @property
    def source_image(self) -> SkyImage | None:
        """The radio image without its background; None without."""
        if self.image is None or self.background is None:
            return self.image
        return dataclasses.replace(self.image, values=self._above_background)

    @property
    def wcs(self) -> WCS | None:
        """Celestial WCS of the radio image; None without."""
        return None if self.image is None else self.image.wcs

    @property
    def pixel_arcsec(self) -> float:
        """Side of a pixel, from the image or else the survey; NaN if unknown."""
        if self.image is not None and self.image.pixel_arcsec is not None:
            return self.image.pixel_arcsec
        return math.nan if self.survey is None else self.survey.pixel_arcsec

    @property
    def beam_pixels(self) -> float:
        """Full width at half maximum of the beam, in pixels.

        The geometric mean of both axes, from the header, else the survey, else FIRST.
        If the size of a pixel is unknown, it is 3 pixels as for FIRST.
        """
        beam = None if self.image is None else self.image.beam
        return beam_in_pixels(beam, self.pixel_arcsec, self.survey)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Assumptions about beam and pixel, in words; empty if both are known.

        >>> Field("f", image=SkyImage(values=np.ones((2, 2), "f4"))).assumptions
        ('no beam and no pixel size: the beam is assumed to be 3 pixels wide (FIRST)',)
        """
        if self.image is None:
            return ()
        return beam_assumptions(self.image.beam, self.pixel_arcsec, self.survey)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the image, see `SkyImage`."""
        return () if self.image is None else self.image.notes

    @functools.cached_property
    def domain_notes(self) -> tuple[str, ...]:
        """A note if scores are not calibrated for such images, see `sky.domain`."""
        if self.image is None:
            return ()
        try:
            ratio = self.signal_to_noise
        except ImageError:  # Pictures of D1 need no noise.
            return ()
        beam = self.beam_pixels
        return domain_notes(
            beam, beam_ratio(self.image.beam, self.survey),
            gaussian=has_gaussian_noise(ratio, beam),
        )  # fmt: skip

    @functools.cached_property
    def background(self) -> Float32[np.ndarray, "ny nx"] | None:
        """Background about each pixel, in the image's unit; None if there is none.

        See `claran.sky.background`; the window is that of the noise.
        """
        return background(self._values, self._noise_window)

    @functools.cached_property
    def noise(self) -> float:
        """Standard deviation of the whole image's noise, in the image's unit.

        Raises:
            ImageError: More than half of the pixels share one value.
        """
        sigma = noise(self._above_background)
        if not sigma > 0:
            raise ImageError(
                f"{self.name}: cannot estimate the noise, as over half of the pixels "
                "share one value; set blank pixels to NaN."
            )
        return sigma

    @functools.cached_property
    def noise_map(self) -> Float32[np.ndarray, "ny nx"] | float:
        """Noise about each pixel, in the image's unit; one number if it is the same.

        See `signal_to_noise`.
        """
        return self._measure_noise()[0]

    @property
    def zero_level(self) -> Float32[np.ndarray, "ny nx"]:
        """What photometry takes off beyond the background, see `sky.zero_levels`."""
        whole = np.float32(self.noise)
        return zero_level(self._above_background, self._noise_window, whole).pixels()

    @property
    def jansky(self) -> tuple[float, str]:
        """What to multiply a value by for Jy/beam, and a note on it or "".

        Raises:
            ImageError: It does not follow from the unit, as the frequency of an image
                in kelvin is unknown; the message is without the name.
        """
        if self.image is None:
            raise ImageError("is a picture")
        survey, image = self.survey, self.image
        frequency = image.frequency_hz
        if frequency is None and survey is not None:
            frequency = survey.frequency_hz
        pixel = self.pixel_arcsec
        return jansky_per_beam(
            image.unit, image.beam or (survey or FIRST).beam,
            None if math.isnan(pixel) else pixel, frequency,
        )  # fmt: skip

    @functools.cached_property
    def signal_to_noise(self) -> Float32[np.ndarray, "ny nx"]:
        """The radio image without its background, divided by its noise.

        For fields wider than 4.5' the noise is measured locally, in a 3' window (33
        beams for other surveys), as the labels are in units of the noise of a 3' field.
        With a single noise for 9', 9 of 25 real islands had other numbers of peaks than
        in 3' of the same sky; with the local noise 1 (tests/detection/test_counting).
        Where the noise changes within a window, it is measured in a smaller one, see
        `claran.sky.noise.noise_excess`.
        """
        return self._measure_noise()[1]

    @functools.cached_property
    def islands(self) -> Islands:
        """Islands of emission above 5.196 sigma; none for a picture."""
        if self.image is None:
            return Islands(np.zeros(self.shape, np.int32), np.zeros((0, 4), np.float32))
        return find_islands(
            self.signal_to_noise, 1.0, min_pixels=smallest_island(self.beam_pixels)
        )

    @functools.cached_property
    def peaks(self) -> Peaks:
        """Peaks of all islands."""
        if not len(self.islands):
            return Peaks(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
        return find_all_peaks(self.signal_to_noise, self.islands, 1.0)

    @property
    def island_peaks(self) -> Int[np.ndarray, "k"]:
        """Number of peaks of each island."""
        return self.peaks.counts(len(self.islands))

    @functools.cached_property
    def peak_counts(self) -> Int[np.ndarray, "k grids"]:
        """Number of peaks of each island in several grids, the image's own first.

        See `claran.sky.peak_counts`.
        """
        if not len(self.islands):
            return np.zeros((0, GRIDS), np.int64)
        return count_peaks(
            self.signal_to_noise, self.islands, self.island_peaks,
            beam=self.beam_pixels,
        )  # fmt: skip

    def measure(self) -> "Field":
        """Measures noise, islands and peaks now; returns the field itself."""
        if self.has_radio:
            _ = self.peak_counts
        return self

    def replace(self, **changes: Any) -> "Field":
        """Returns the field with other parts, and the measurements that remain valid.

        Args:
            **changes: Arguments of the constructor. The noise of an image with the same
                pixels need not be given again.
        """
        parts = {
            "name": self.name, "image": self.image, "picture": self.picture,
            "objects": self.objects, "survey": self.survey,
        }  # fmt: skip
        other = Field(**(parts | changes))
        for measurement in self._valid_measurements(other, changes.keys()):
            if measurement in vars(self):
                vars(other).setdefault(measurement, vars(self)[measurement])
        return other

    def _valid_measurements(
        self, other: "Field", changed: Collection[str]
    ) -> list[str]:
        """Returns the measurements that are valid for a changed field."""
        if self.image is None or other.image is None:
            same = self.image is other.image and self.picture is other.picture
            return ["shape", "islands", "peaks", "peak_counts"] if same else []
        if self.image.values is not other.image.values:
            return []
        valid = ["shape"] if "noise" in changed else ["shape", "noise"]
        if not {"image", "noise", "survey"} & set(changed):
            valid += ["background", "noise_map", "signal_to_noise", "islands", "peaks"]
            valid += ["peak_counts", "domain_notes"]
        return valid

    def without_pixels(self) -> "Field":
        """Returns the field with its measurements and objects, but without pixels.

        It needs a hundredth of the memory, so that all fields of an evaluation fit in.
        """
        other = copy.copy(self)
        other.shape = self.shape
        if self.image is None:
            other.picture = np.zeros((0, 0, 3), np.uint8)
            return other
        other.noise, other.peaks = self.noise, self.peaks
        other.peak_counts = self.peak_counts
        other.domain_notes = self.domain_notes
        other.islands = Islands(np.zeros((0, 0), np.int32), self.islands.boxes)
        empty = np.zeros((0, 0), np.float32)
        other.image = dataclasses.replace(self.image, values=empty)
        other.picture = None
        for pixels in ("background", "noise_map", "signal_to_noise"):
            vars(other).pop(pixels, None)
        return other

    @property
    def _noise_window(self) -> float:
        return noise_window(self.beam_pixels)

    def _measure_noise(
        self,
    ) -> tuple[Float32[np.ndarray, "ny nx"] | float, Float32[np.ndarray, "ny nx"]]:
        """Measures noise and signal-to-noise about each pixel at once; keeps both."""
        sigma, ratio = self._noise_and_ratio()
        vars(self).setdefault("noise_map", sigma)
        vars(self).setdefault("signal_to_noise", ratio)
        return sigma, ratio

    def _noise_and_ratio(
        self,
    ) -> tuple[Float32[np.ndarray, "ny nx"] | float, Float32[np.ndarray, "ny nx"]]:
        values, whole = self._above_background, np.float32(self.noise)
        sigma = local_noise(values, self._noise_window)
        base = whole if sigma is None else sigma
        ratio = raw_ratio(values, base)
        start = one_window_start(ratio) if sigma is None else EVEN_START
        excess = noise_excess(ratio, self.beam_pixels, start=start)
        if excess is None:
            return base if isinstance(base, np.ndarray) else float(base), ratio
        ratio /= excess
        return base * excess, ratio

    @property
    def _above_background(self) -> Float32[np.ndarray, "ny nx"]:
        level = self.background
        return self._values if level is None else self._values - level

    @property
    def _values(self) -> Float32[np.ndarray, "ny nx"]:
        if self.image is None:
            raise ImageError(
                f"{self.name}: is a picture, but a radio image is needed; give a FITS "
                "file."
            )
        return self.image.values
