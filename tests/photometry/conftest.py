"""Simulated images: Gaussians on noise that is correlated over the beam."""

import numpy as np
import pytest

from claran.photometry.pixel_beams import PixelBeam, covariance


class SimulatedImages:
    """Draws images in units of the noise.

    Attributes:
        beam: Of the images.
    """

    def __init__(self, rng: np.random.Generator, beam: PixelBeam) -> None:
        self.rng, self.beam = rng, beam

    def noise(self, shape: tuple[int, int]) -> np.ndarray:
        """Returns noise of 1 whose autocorrelation is the beam."""
        (xx, xy), (_, yy) = self.covariance() / 2
        y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])
        power = np.exp(-2 * np.pi**2 * (xx * x**2 + 2 * xy * x * y + yy * y**2))
        noise = np.fft.ifft2(np.fft.fft2(self.rng.normal(size=shape)) * power).real
        return (noise / noise.std()).astype(np.float32)

    def covariance(self, major=0.0, minor=0.0, angle=0.0) -> np.ndarray:
        """Returns the covariance of a source, beam included; pixels."""
        axes = (
            (self.beam.major, self.beam.minor, self.beam.angle),
            (major, minor, angle),
        )
        return sum(covariance(*np.array(one, float)[:, None])[0] for one in axes)

    def source(self, shape, x, y, peak, size=(0.0, 0.0, 0.0)) -> np.ndarray:
        """Returns a Gaussian at a position in pixel edges."""
        dy, dx = np.indices(shape) + 0.5
        offset = np.stack([dx - x, dy - y], axis=-1)
        inverse = np.linalg.inv(self.covariance(*size))
        square = np.einsum("yxi,ij,yxj->yx", offset, inverse, offset)
        return (peak * np.exp(-square / 2)).astype(np.float32)

    def area(self, size) -> float:
        """Returns the flux of a source with a peak of 1."""
        ratio = np.linalg.det(self.covariance(*size)) / np.linalg.det(self.covariance())
        return float(np.sqrt(ratio))


@pytest.fixture
def simulated(rng):
    return SimulatedImages(rng, PixelBeam(3.0, 3.0))


@pytest.fixture
def oblique(rng):
    """Images with an elliptical beam."""
    return SimulatedImages(rng, PixelBeam(5.0, 3.2, 30.0))
