"""What a radio survey is to the simulator: beam, pixels, noise, frequency."""

import dataclasses
import math

__all__ = ["FIRST", "FIRST_NATIVE", "FIRST_WIDE", "Survey"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """A radio survey and the fields cut from it.

    The defaults are VLA FIRST (Becker et al. 1995, ApJ 450, 559; Helfand et al. 2015,
    ApJ 801, 26) on the grid of Radio Galaxy Zoo (Banfield et al. 2015, MNRAS 453,
    2326): fields of 3' in 132 pixels.

    Attributes:
        name: Name, written into the files.
        size: Rows and columns of a field.
        pixel_arcsec: Side of a pixel.
        beam_major_arcsec: Full width at half maximum of the restoring beam.
        beam_minor_arcsec: The same across.
        beam_angle_deg: Position angle of the major axis, from north through east.
        noise_jy: Median over the survey of a field's noise, Jy/beam.
        noise_scatter: Standard deviation of the logarithm of that noise.
        frequency_hz: Observing frequency; fluxes are drawn at 1.4 GHz and carried over.
        snapshot: Whether a Y-shaped array saw the sky at few hour angles, as the VLA
            did: noise and sidelobes then have six arms. Otherwise they are round.
        stripes: Mean amplitude of gain-error stripes far from sources, in units of the
            noise.
        sidelobes: Median peak of the sidelobes left around a source, as a fraction
            of its peak.
        largest_arcsec: Largest scale the array measures. Flux on larger scales is
            missing, so that a source sits in a bowl of that width.
        bowl: Flux of the bowl as a fraction of the source's.
        min_beams: Smallest island that counts, in beam areas. The default is four
            pixels of 1.8" for FIRST's beam.
        edges: Fraction of fields at an edge of the survey's images, where pixels are
            blank (NaN).
    """

    name: str = "FIRST"
    size: int = 132
    pixel_arcsec: float = 1.375
    beam_major_arcsec: float = 5.4
    beam_minor_arcsec: float = 5.4
    beam_angle_deg: float = 0.0
    # Measured in 153 real cutouts: median 0.175 mJy, scatter of the logarithm 0.140;
    # stripes, sidelobes and the scatter of the measurement add to what is drawn.
    noise_jy: float = 1.65e-4
    noise_scatter: float = 0.11
    frequency_hz: float = 1.4e9
    snapshot: bool = True
    stripes: float = 0.4
    sidelobes: float = 0.004
    largest_arcsec: float = 120.0
    # With a third, the median source-free pixel is as negative as in the cutouts.
    bowl: float = 0.33
    min_beams: float = 0.39
    edges: float = 0.04

    def __post_init__(self) -> None:
        positive = ("size", "pixel_arcsec", "beam_minor_arcsec", "noise_jy")
        for name in (*positive, "frequency_hz", "largest_arcsec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be > 0, got {getattr(self, name)}.")
        for name in (
            "noise_scatter",
            "stripes",
            "sidelobes",
            "bowl",
            "min_beams",
            "edges",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be >= 0, got {getattr(self, name)}.")
        if not self.beam_major_arcsec >= self.beam_minor_arcsec:
            raise ValueError(
                "`beam_major_arcsec` must be >= `beam_minor_arcsec`, got "
                f"{self.beam_major_arcsec} < {self.beam_minor_arcsec}."
            )

    @property
    def field_arcsec(self) -> float:
        """Side of a field."""
        return self.size * self.pixel_arcsec

    @property
    def beam(self) -> tuple[float, float, float]:
        """Major and minor width, arcsec, and position angle, degrees."""
        return self.beam_major_arcsec, self.beam_minor_arcsec, self.beam_angle_deg

    @property
    def beam_arcsec(self) -> float:
        """Geometric mean of the beam's two widths."""
        return math.sqrt(self.beam_major_arcsec * self.beam_minor_arcsec)

    @property
    def beam_pixels(self) -> float:
        """Area of the beam, in pixels.

        >>> round(FIRST.beam_pixels, 2)
        17.48
        """
        solid_angle = math.pi / (4 * math.log(2)) * self.beam_arcsec**2
        return solid_angle / self.pixel_arcsec**2

    @property
    def min_pixels(self) -> int:
        """Pixels of the smallest island that counts.

        >>> FIRST.min_pixels, FIRST_NATIVE.min_pixels
        (7, 4)
        """
        return max(1, round(self.min_beams * self.beam_pixels))


FIRST = Survey()
FIRST_NATIVE = Survey(size=100, pixel_arcsec=1.8)
# For giants. About those as bright as FIRST J151227.2+454026, cleaning left sidelobes
# of 0.9% of the peak, and in wider fields more of these are in sight.
FIRST_WIDE = Survey(size=128, pixel_arcsec=1.8, sidelobes=0.008)
