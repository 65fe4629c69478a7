"""Radio surveys as the simulator observes them: size of a field, noise, artifacts."""

import dataclasses

from claran.simulation.arrays import ASKAP, LOFAR, MEERKAT, SKA, VLA, Array
from claran.sky import surveys
from claran.sky.beams import beam_area_pixels
from claran.sky.surveys import Survey

__all__ = [
    "FIELD_BEAMS",
    "FIRST",
    "FIRST_NATIVE",
    "FIRST_WIDE",
    "SIMULATED_SURVEYS",
    "SimulatedSurvey",
]

FIELD_BEAMS = 100 / 3  # Side of a field: 3' of FIRST, as in Radio Galaxy Zoo.
LARGEST_BEAMS = 120 / 5.4  # Largest angular scale, as of FIRST.
_ARRAYS = {
    "VLASS": VLA, "RACS": ASKAP, "EMU": ASKAP, "LoTSS": LOFAR, "MeerKAT": MEERKAT,
    "SDC1": SKA,
}  # fmt: skip


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
        array: The array of antennas, whose baselines give noise and sidelobes their
            pattern.
        stripes: Mean amplitude of the stripes of gain errors far from sources, in units
            of the noise.
        sidelobes: Median peak of the residual sidelobes of a source, as a fraction of
            its peak.
        spokes: Mean number of stripes through a source of a hundred times the noise and
            more, which errors of calibration leave; their amplitude is 0.1% to 0.4% of
            the peak.
        uneven: Fraction of fields in which the noise changes: it rises to one side, as
            toward the edge of a primary beam, or has a step, as at the seam of two
            images.
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
    array: Array = VLA
    stripes: float = 0.4
    sidelobes: float = 0.004
    spokes: float = 0.0
    uneven: float = 0.0
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
            "noise_scatter", "stripes", "sidelobes", "spokes", "uneven", "bowl",
            "min_beams", "edges",
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be >= 0, got {getattr(self, name)}.")

    @classmethod
    def of(cls, survey: Survey) -> "SimulatedSurvey":
        """Returns what imitates a survey in fields of 33 beams.

        Stripes and bowls were measured on FIRST alone. Others get the same in units of
        beam and noise, the sidelobes of `FIRST_WIDE`, and the faults that images of
        long tracks have: stripes through bright sources and noise that changes. The
        array is that of a survey claran knows, else ASKAP's. FIRST itself is
        `FIRST_NATIVE`.

        Args:
            survey: Sets name, beam, pixels, noise and frequency.
        """
        if survey == surveys.FIRST:
            return FIRST_NATIVE
        known = {f.name: getattr(survey, f.name) for f in dataclasses.fields(Survey)}
        size = max(1, round(FIELD_BEAMS * survey.beam_arcsec / survey.pixel_arcsec))
        return cls(
            **known, size=size, array=_ARRAYS.get(survey.name, ASKAP), sidelobes=0.008,
            spokes=2.0, uneven=0.25, largest_arcsec=LARGEST_BEAMS * survey.beam_arcsec,
        )  # fmt: skip

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
        return beam_area_pixels(self.beam_pixels)

    @property
    def beam_pixels(self) -> float:
        """Full width at half maximum of the beam, in pixels.

        >>> FIRST_NATIVE.beam_pixels
        3.0
        """
        return self.beam_arcsec / self.pixel_arcsec

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

SIMULATED_SURVEYS = {
    name: SimulatedSurvey.of(survey) for name, survey in surveys.SURVEYS.items()
}
"""What imitates each survey that claran knows, by its name."""
