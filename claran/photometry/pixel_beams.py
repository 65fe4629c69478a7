"""The beam in pixels, and coordinates in which it is round."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float

from claran.sky.beams import beam_area_pixels, fwhm_to_sigma

__all__ = ["PixelBeam", "covariance", "ellipse", "turned"]


@dataclasses.dataclass(frozen=True)
class PixelBeam:
    """The restoring beam, in the frame of the array.

    Attributes:
        major: FWHM of the major axis, pixels.
        minor: FWHM of the minor axis, pixels.
        angle: Of the major axis, degrees from +y counter-clockwise, towards -x.

    Raises:
        ValueError: An axis is not positive and finite, or the angle is not finite.
    """

    major: float
    minor: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        for name in "major", "minor":
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` of the beam must be positive and finite, got "
                    f"{getattr(self, name)} pixels."
                )
        if not math.isfinite(self.angle):
            raise ValueError(f"`angle` of the beam must be finite, got {self.angle}.")

    @property
    def area(self) -> float:
        """Pixels that make up one beam."""
        return beam_area_pixels(math.sqrt(self.major * self.minor))

    @functools.cached_property
    def to_sigmas(self) -> Float[np.ndarray, "2 2"]:
        """Matrix from offsets in pixels to coordinates with a round beam of sigma 1."""
        widths, axes = np.linalg.eigh(self._covariance)
        return (axes / np.sqrt(widths)) @ axes.T

    @functools.cached_property
    def to_pixels(self) -> Float[np.ndarray, "2 2"]:
        """The inverse of `to_sigmas`."""
        widths, axes = np.linalg.eigh(self._covariance)
        return (axes * np.sqrt(widths)) @ axes.T

    @property
    def _covariance(self) -> Float[np.ndarray, "2 2"]:
        return covariance(*np.array([[self.major], [self.minor], [self.angle]]))[0]


def covariance(
    major: Float[np.ndarray, "n"],
    minor: Float[np.ndarray, "n"],
    angle: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n 2 2"]:
    """Returns the covariances of Gaussians with some axes and angles.

    Args:
        major: FWHM.
        minor: FWHM.
        angle: Degrees from +y counter-clockwise.
    """
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    along, across = (fwhm_to_sigma(1.0) * major) ** 2, (fwhm_to_sigma(1.0) * minor) ** 2
    xx = along * sine**2 + across * cosine**2
    yy = along * cosine**2 + across * sine**2
    xy = (across - along) * sine * cosine
    return np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)


def ellipse(
    matrices: Float[np.ndarray, "n 2 2"],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Returns the FWHM of both axes, and the angle in [0, 180), of covariances.

    A negative square of an axis counts as 0.
    """
    xx, xy, yy = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    squares = np.maximum(np.stack([half + spread, half - spread]), 0)
    major, minor = np.sqrt(squares) / fwhm_to_sigma(1.0)
    angle = np.degrees(np.arctan2(-2 * xy, yy - xx)) / 2
    return major, minor, angle % 180


def turned(
    matrix: Float[np.ndarray, "2 2"], covariances: Float[np.ndarray, "n 2 2"]
) -> Float[np.ndarray, "n 2 2"]:
    """Returns covariances in coordinates that a symmetric matrix leads to.

    In products of numbers: those of BLAS depend on how many rows there are.
    """
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[1, 1]
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    found = [
        a * a * xx + 2 * a * b * xy + b * b * yy,
        a * b * xx + (a * c + b * b) * xy + b * c * yy,
        b * b * xx + 2 * b * c * xy + c * c * yy,
    ]
    return np.stack([found[k] for k in (0, 1, 1, 2)], axis=-1).reshape(-1, 2, 2)
