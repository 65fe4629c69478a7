"""Mosaics for the tests of the survey, and what searches them in this process."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.signal import fftconvolve

SIGMA = 1e-4  # Jy/beam.
PIXEL = 1.8 / 3600


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A beam or a source; lengths in pixels, the angle from +y toward -x in degrees."""

    x: float = 0.0
    y: float = 0.0
    peak: float = 1.0
    major: float = 3.0
    minor: float = 3.0
    angle: float = 0.0

    def on(self, shape: tuple[int, int]) -> np.ndarray:
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        turn = np.radians(self.angle)
        along = (y - self.y) * np.cos(turn) - (x - self.x) * np.sin(turn)
        across = (x - self.x) * np.cos(turn) + (y - self.y) * np.sin(turn)
        squares = (along / self.major) ** 2 + (across / self.minor) ** 2
        return self.peak * np.exp(-4 * np.log(2) * squares)

    @property
    def flux(self) -> float:
        """Flux in units of the peak brightness of a round beam of three pixels."""
        return self.peak * self.major * self.minor / 9


def draw(
    shape: tuple[int, int],
    sources: Sequence[Drawn] = (),
    *,
    beam: Drawn = Drawn(15.5, 15.5),
    seed: int = 0,
) -> np.ndarray:
    """Returns sources on noise that is smoothed by the beam, Jy/beam."""
    kernel = beam.on((31, 31))
    kernel /= np.sqrt((kernel**2).sum())
    sky = np.random.default_rng(seed).normal(size=[side + 30 for side in shape])
    noise = SIGMA * fftconvolve(sky, kernel, "valid")
    return (noise + sum(one.on(shape) for one in sources)).astype(np.float32)


def make_wcs(shape: tuple[int, int], ra: float = 180.0, dec: float = 30.0) -> WCS:
    """Returns the WCS of FIRST with this center."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], [ra, dec]
    wcs.wcs.cdelt = [-PIXEL, PIXEL]
    wcs.wcs.crpix = [(side + 1) / 2 for side in shape[::-1]]
    wcs.wcs.set()
    return wcs


def write(
    path: Path,
    image: np.ndarray,
    wcs: WCS | None = None,
    **cards: Any,
) -> Path:
    """Writes a mosaic; a card that is None is left out."""
    plane = image.reshape(image.shape[-2:])
    header = (wcs or make_wcs(plane.shape)).to_header()
    known = {"BMAJ": 3 * PIXEL, "BMIN": 3 * PIXEL, "BPA": 0.0, "BUNIT": "Jy/beam"}
    for name, value in (known | cards).items():
        if value is not None:
            header[name] = value
    fits.writeto(path, image, header)
    return path


@pytest.fixture(scope="session")
def sky() -> Any:
    """Functions that draw and write mosaics."""

    class Sky:
        pass

    Sky.draw, Sky.write, Sky.wcs, Sky.source = draw, write, make_wcs, Drawn
    return Sky


@pytest.fixture(scope="session")
def detector() -> Any:
    from claran.detection.detector import Detector  # noqa: PLC0415 - after the hook

    return Detector.from_preset("claran_v1")


@pytest.fixture(scope="session")
def network(detector: Any) -> Any:
    from claran.survey.survey_network import SurveyNetwork  # noqa: PLC0415

    return SurveyNetwork(detector)


@pytest.fixture(scope="session")
def search(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """Searches a mosaic in this thread."""
    from claran.sky.mosaics import open_mosaic  # noqa: PLC0415
    from claran.survey.infrared_images import InfraredImages  # noqa: PLC0415
    from claran.survey.mosaic_search import search_mosaic  # noqa: PLC0415

    scratch = tmp_path_factory.mktemp("scratch")

    def here(stage: str, function: Any, context: Any, items: Any, **_: Any) -> Any:
        return (function(context, item) for item in items)

    def run(
        path: Path,
        tile_size: int = 2048,
        infrared: Sequence[Path] = (),
        *,
        network: Any = network,
        **options: Any,
    ) -> Any:
        mosaic = open_mosaic(path, scratch=scratch, **options)
        scene = network.preprocessor.shape(mosaic)
        images = InfraredImages(infrared, [path], scratch)
        return search_mosaic(
            mosaic,
            network,
            here,
            score_threshold=0.5,
            tile_size=tile_size,
            infrared=images.of(path, mosaic, scene, here),
        )

    return run
