"""Radio surveys: beam, pixel, noise and frequency of each."""

import dataclasses
import math
import os
import tomllib
from pathlib import Path
from typing import Any

from claran.errors import ImageError
from claran.io.text_files import decode, read_content

__all__ = [
    "FIRST",
    "FIRST_BEAM_PIXELS",
    "SURVEYS",
    "Survey",
    "beam_assumptions",
    "beam_in_pixels",
    "find_survey",
    "read_survey",
]


LARGEST_MB = 0.01  # A description has a few lines.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """Properties of a survey's images, used if the header of an image lacks them.

    Attributes:
        name: Name, for tables and messages.
        beam_major_arcsec: Full width at half maximum of the restoring beam along the
            major axis.
        beam_minor_arcsec: Full width at half maximum along the minor axis.
        beam_angle_deg: Position angle of the major axis, from north through east.
        pixel_arcsec: Side of a pixel.
        noise_jy: Typical noise, Jy/beam.
        frequency_hz: Center of the band, Hz.

    Raises:
        ValueError: A width, a pixel, a noise or a frequency is not positive and finite,
            or the minor axis is longer than the major one.
    """

    name: str
    beam_major_arcsec: float
    beam_minor_arcsec: float
    beam_angle_deg: float = 0.0
    pixel_arcsec: float
    noise_jy: float
    frequency_hz: float

    def __post_init__(self) -> None:
        positive = (
            "beam_major_arcsec", "beam_minor_arcsec", "pixel_arcsec", "noise_jy",
            "frequency_hz",
        )  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be positive and finite, got {value}.")
        if not math.isfinite(self.beam_angle_deg):
            raise ValueError(
                f"`beam_angle_deg` must be finite, got {self.beam_angle_deg}."
            )
        if not self.beam_major_arcsec >= self.beam_minor_arcsec:
            raise ValueError(
                "`beam_major_arcsec` must be at least `beam_minor_arcsec`, got "
                f"{self.beam_major_arcsec} < {self.beam_minor_arcsec}."
            )

    @property
    def beam(self) -> tuple[float, float, float]:
        """Major and minor width, arcsec, and position angle, degrees."""
        return self.beam_major_arcsec, self.beam_minor_arcsec, self.beam_angle_deg

    @property
    def beam_arcsec(self) -> float:
        """Geometric mean of the beam's two widths."""
        return math.sqrt(self.beam_major_arcsec * self.beam_minor_arcsec)


def _round(name: str, beam: float, pixel: float, noise: float, hertz: float) -> Survey:
    return Survey(
        name=name, beam_major_arcsec=beam, beam_minor_arcsec=beam, pixel_arcsec=pixel,
        noise_jy=noise, frequency_hz=hertz,
    )  # fmt: skip


FIRST = _round("FIRST", 5.4, 1.8, 1.5e-4, 1.4e9)
"""Becker et al. 1995, ApJ 450, 559; Helfand et al. 2015, ApJ 801, 26."""

SURVEYS = {
    "first": FIRST,
    # Quick-look images; Lacy et al. 2020, PASP 132, 035001.
    "vlass": _round("VLASS", 2.5, 1.0, 1.4e-4, 3.0e9),
    # RACS-low at the resolution of its catalog; Hale et al. 2021, PASA 38, e058.
    "racs": _round("RACS", 25.0, 2.5, 2.7e-4, 8.875e8),
    # Norris et al. 2021, PASA 38, e046.
    "emu": _round("EMU", 15.0, 2.0, 2.5e-5, 9.435e8),
    # Shimwell et al. 2022, A&A 659, A1.
    "lotss": _round("LoTSS", 6.0, 1.5, 8.3e-5, 1.44e8),
    # The Galaxy Cluster Legacy Survey; Knowles et al. 2022, A&A 657, A56.
    "meerkat": _round("MeerKAT", 7.8, 1.25, 4e-6, 1.28e9),
    # SKA Data Challenge 1 at 560 MHz, 1,000 h; Bonaldi et al. 2021, MNRAS 500, 3821.
    "sdc1": _round("SDC1", 1.5, 0.6, 2.5e-7, 5.6e8),
}
"""Surveys by name, for `--survey` and `find_survey`."""


FIRST_BEAM_PIXELS = FIRST.beam_arcsec / FIRST.pixel_arcsec
"""Width of FIRST's beam in its pixels, for images with unknown pixels."""


def beam_ratio(beam: tuple[float, float, float] | None, survey: Survey | None) -> float:
    """Returns the major over the minor axis of a beam, else the survey's, else FIRST's.

    Args:
        beam: Widths, and the angle; None if unknown.
        survey: The survey; None if unknown.
    """
    major, minor, _ = beam or (survey or FIRST).beam
    return major / minor


def beam_in_pixels(
    beam: tuple[float, float, float] | None,
    pixel_arcsec: float | None,
    survey: Survey | None,
) -> float:
    """Returns the full width at half maximum of a beam, in pixels.

    It is the geometric mean of both axes, of the beam or else the survey or else FIRST.
    If the size of a pixel is unknown, it is 3 pixels as for FIRST.

    Args:
        beam: Widths in arcsec, and the angle; None if unknown.
        pixel_arcsec: Side of a pixel; None or NaN if unknown.
        survey: The survey; None if unknown.

    >>> beam_in_pixels((6.0, 6.0, 0.0), 1.5, None)
    4.0
    """
    if beam is not None:
        width = math.sqrt(beam[0] * beam[1])
    else:
        width = (survey or FIRST).beam_arcsec
    if pixel_arcsec is None or not pixel_arcsec > 0:
        return FIRST_BEAM_PIXELS
    return width / pixel_arcsec


def beam_assumptions(
    beam: tuple[float, float, float] | None,
    pixel_arcsec: float | None,
    survey: Survey | None,
) -> tuple[str, ...]:
    """Returns what `beam_in_pixels` assumes, in words; empty if all is known.

    >>> beam_assumptions(None, 1.8, None)
    ("no beam: assumed FIRST's, 5.4 arcsec",)
    """
    no_beam = beam is None and survey is None
    if pixel_arcsec is None or not pixel_arcsec > 0:
        missing = "no beam and no pixel size" if no_beam else "no pixel size"
        return (
            f"{missing}: the beam is assumed to be {FIRST_BEAM_PIXELS:g} pixels wide "
            "(FIRST)",
        )
    if no_beam:
        return (f"no beam: assumed FIRST's, {FIRST.beam_arcsec:g} arcsec",)
    return ()


def find_survey(name: str | os.PathLike) -> Survey:
    """Returns the survey of a name or of a TOML file.

    Args:
        name: One of `SURVEYS`, or a path; see `read_survey`.

    Raises:
        ImageError: There is no such survey or file, or the file is invalid.
    """
    known = SURVEYS.get(str(name).lower())
    if known is not None:
        return known
    if Path(name).suffix.lower() == ".toml":
        return read_survey(name)
    raise ImageError(
        f"survey {str(name)!r}: not one of {', '.join(SURVEYS)}, and not a .toml file "
        "with the description of another survey."
    )


def read_survey(path: str | os.PathLike) -> Survey:
    """Returns the survey described in a TOML file.

    Its keys are the attributes of `Survey`, with `beam_arcsec` for a round beam:

        name = "MINE"
        beam_arcsec = 8.0
        pixel_arcsec = 2.0
        noise_jy = 1e-5
        frequency_hz = 1.3e9

    Args:
        path: The file.

    Raises:
        ImageError: The file cannot be read, lacks a key, has an unknown key, or a value
            is out of range.
    """
    try:
        content = read_content(Path(path), largest_mb=LARGEST_MB)
        values = tomllib.loads(decode(content))
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(f"{path}: cannot be read as TOML ({error}).") from None
    try:
        return Survey(**_checked(values))
    except ValueError as error:
        raise ImageError(f"{path}: does not describe a survey: {error}") from None


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Survey`, checked for names and types."""
    if "beam_arcsec" in values:
        axes = ("beam_major_arcsec", "beam_minor_arcsec")
        for axis in axes:
            if axis in values:
                raise ValueError(f"give `beam_arcsec` or `{axis}`, not both.")
        values = values | dict.fromkeys(axes, values["beam_arcsec"])
        del values["beam_arcsec"]
    known = dataclasses.fields(Survey)
    names = [field.name for field in known]
    missing = [
        field.name
        for field in known
        if field.default is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}.")
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"`{name}` is not one of {', '.join(names)}.")
        wanted, kind = (str, "text") if name == "name" else ((int, float), "a number")
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ValueError(f"`{name}` must be {kind}, got {value!r}.")
    return values
