"""Radio surveys as the simulator observes them: size of a field, noise, artifacts."""

import dataclasses

from claran.sky import surveys
from claran.sky.beams import beam_area_pixels
from claran.sky.surveys import Survey

__all__ = ["FIRST", "FIRST_NATIVE", "FIRST_WIDE", "SimulatedSurvey"]

FIELD_ARCSEC = 180.0  # Side of a field of Radio Galaxy Zoo.


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedSurvey(Survey):
    """A radio survey, the fields cut from it, and the artifacts to simulate.

    The defaults are VLA FIRST (Becker et al. 1995, ApJ 450, 559; Helfand et al. 2015,
    ApJ 801, 26) on the grid of Radio Galaxy Zoo (Banfield et al. 2015, MNRAS 453,
    2326): fields of 3' in 132 pixels. `of` makes one of any other survey.

    Listed are the attributes that `Survey` lacks, and those that mean more here.

    Attributes:
        name: Name of the survey, written into the files.
        noise_jy: Median over the survey of the noise of a field, Jy/beam.
        noise_scatter: Standard deviation of the natural logarithm of that noise.
        frequency_hz: Center of the band, Hz. Fluxes are drawn at 1.4 GHz and scaled by
            the spectral index.
        size: Rows and columns of a field.
        snapshot: Whether a Y-shaped array observed at few hour angles, as the VLA did.
            Noise and sidelobes then have six arms; otherwise they are round.
        stripes: Mean amplitude of the stripes of gain errors far from sources, in units
            of the noise.
        sidelobes: Median peak of the residual sidelobes of a source, as a fraction of
            its peak.
        largest_arcsec: Largest angular scale of the array, arcsec. Flux on larger
            scales is missing, which leaves a negative bowl of that FWHM at a source.
        bowl: Flux of the bowl as a fraction of the flux of the source.
        min_beams: Area of the smallest island that is kept, in beam areas. The default
            is four pixels of 1.8" for FIRST's beam.
        edges: Fraction of fields at an edge of the survey's images, where pixels are
            blank (NaN).

    Raises:
        ValueError: A value is out of its range.
    """

    name: str = "FIRST"
    beam_major_arcsec: float = surveys.FIRST.beam_major_arcsec
    beam_minor_arcsec: float = surveys.FIRST.beam_minor_arcsec
    pixel_arcsec: float = 1.375
    # Measured in 153 real cutouts: median 0.175 mJy, scatter of the logarithm 0.140.
    # Both are larger than the values drawn, to which stripes, sidelobes and the error
    # of the measurement add.
    noise_jy: float = 1.65e-4
    noise_scatter: float = 0.11
    frequency_hz: float = surveys.FIRST.frequency_hz
    size: int = 132
    snapshot: bool = True
    stripes: float = 0.4
    sidelobes: float = 0.004
    largest_arcsec: float = 120.0
    # With this, the median source-free pixel is as negative as in the cutouts.
    bowl: float = 0.33
    min_beams: float = 0.39
    edges: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "largest_arcsec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be > 0, got {getattr(self, name)}.")
        for name in (
            "noise_scatter", "stripes", "sidelobes", "bowl", "min_beams", "edges",
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be >= 0, got {getattr(self, name)}.")

    @classmethod
    def of(cls, survey: Survey) -> "SimulatedSurvey":
        """Returns what imitates a survey in fields of 3', with FIRST's artifacts.

        Its noise and sidelobes are round, as those of long tracks. The stripes, the
        strength of the sidelobes, the bowl and the scatter of the noise were measured
        on FIRST alone; give others with `dataclasses.replace` where they are known.
        Sources are as bright as in FIRST: the faint ones of a deep survey are missing.
        FIRST itself is `FIRST_NATIVE`, the snapshots that all this was measured on.

        Args:
            survey: Sets name, beam, pixels, noise and frequency.
        """
        if survey == surveys.FIRST:
            return FIRST_NATIVE
        known = {f.name: getattr(survey, f.name) for f in dataclasses.fields(Survey)}
        size = max(1, round(FIELD_ARCSEC / survey.pixel_arcsec))
        return cls(**known, size=size, snapshot=False)

    @property
    def field_arcsec(self) -> float:
        """Side of a field, arcsec."""
        return self.size * self.pixel_arcsec

    @property
    def beam_area_pixels(self) -> float:
        """Solid angle of the beam, in pixels.

        >>> round(FIRST.beam_area_pixels, 2)
        17.48
        """
        return beam_area_pixels(self.beam_arcsec / self.pixel_arcsec)

    @property
    def min_pixels(self) -> int:
        """Number of pixels of the smallest island that is kept.

        >>> FIRST.min_pixels, FIRST_NATIVE.min_pixels
        (7, 4)
        """
        return max(1, round(self.min_beams * self.beam_area_pixels))


FIRST = SimulatedSurvey()
FIRST_NATIVE = SimulatedSurvey(size=100, pixel_arcsec=1.8)
# For giants. Sources as bright as FIRST J151227.2+454026 have residual sidelobes of
# 0.9% of their peak, and a wider field contains more of these.
FIRST_WIDE = SimulatedSurvey(size=128, pixel_arcsec=1.8, sidelobes=0.008)
