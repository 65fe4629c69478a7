"""Detectors and fields that the tests of detection share."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.detection.detector import Detector
from claran.detection.groupings import LEAST_REST, STEPS, TINY
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.sky.images import SkyImage


@dataclasses.dataclass
class ListSource:
    """Fields as a labelled source; pixels are copied anew, as out of a file."""

    fields: list
    class_names: tuple = ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3")
    fingerprint: str = "of a test"
    has_radio: bool = True

    def __len__(self):
        return len(self.fields)

    def __getitem__(self, index):
        field = self.fields[index]
        return Field(
            field.name,
            image=field.image,
            picture=field.picture,
            objects=field.objects,
            survey=field.survey,
        )


@pytest.fixture(scope="session")
def list_source():
    return ListSource


@pytest.fixture(scope="session")
def channels_detector(tiny_channels):
    keras.utils.set_random_seed(1)
    return Detector(tiny_channels())


@pytest.fixture(scope="session")
def picture_detector(narrow):
    keras.utils.set_random_seed(1)
    return Detector(narrow())


def header(shape, pixel=1.8):
    ny, nx = shape
    cards = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    cards["CRVAL1"], cards["CRVAL2"] = 180.0, 30.0
    cards["CRPIX1"], cards["CRPIX2"] = nx / 2 + 0.5, ny / 2 + 0.5
    cards["CDELT1"], cards["CDELT2"] = -pixel / 3600, pixel / 3600
    return cards


@pytest.fixture(scope="session")
def make_sky_field():
    """Returns a function that makes a field with point sources and a WCS."""

    def make(name, shape, places, *, seed=0, infrared=True):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=shape)
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        for x0, y0, peak in places:
            values += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 3.2)
        boxes = [[x0 - 4, y0 - 4, x0 + 4, y0 + 4] for x0, y0, _ in places]
        image = SkyImage(
            values=values.astype(np.float32), wcs=WCS(header(shape)), name=name
        )
        picture = rng.integers(0, 255, (*shape, 3), np.uint8) if infrared else None
        objects = Objects(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            labels=np.ones(len(boxes), np.int32),
            ignored=np.zeros(len(boxes), bool),
        )
        return Field(name, image=image, picture=picture, objects=objects)

    return make


@pytest.fixture
def sky_fields(make_sky_field):
    """Fields of several sizes, one of them wide, one empty, one without infrared."""
    return [
        make_sky_field("a", (60, 64), [(20, 30, 60), (40, 32, 40)], seed=1),
        make_sky_field("b", (40, 90), [(60, 12, 90)], seed=2),
        make_sky_field(
            "wide",
            (280, 400),
            [(30, 30, 50), (60, 40, 50), (200, 230, 80), (380, 20, 40)],
            seed=3,
        ),
        make_sky_field("empty", (50, 50), [], seed=4),
        make_sky_field("c", (60, 64), [(50, 8, 45)], seed=5),
        make_sky_field("d", (100, 100), [(50, 50, 200), (80, 50, 100)], seed=6),
    ]


@pytest.fixture
def write_field(tmp_path):
    """Returns a function that writes a field's radio image as FITS; the path."""

    def write(field, folder="radio"):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / f"{field.name}.fits"
        cards = header(field.shape)
        fits.PrimaryHDU(field.image.values, cards).writeto(path, overwrite=True)
        return path

    return write


@pytest.fixture(scope="session")
def by_brute_force():
    """What gives probabilities of groups by loops over all groupings."""

    def count(groups, probabilities):
        """Without logarithms, and without clusters."""
        rest = np.maximum(1 - probabilities @ groups, LEAST_REST)
        rows, evidence = [], []
        for row in itertools.product([False, True], repeat=len(groups)):
            chosen = np.array(row, bool)
            times = groups[chosen].sum(axis=0)
            if (times <= 1).all():
                rows.append(chosen)
                evidence.append(probabilities[chosen].prod() * rest[times == 0].prod())
        rows, evidence = np.array(rows, float), np.array(evidence)

        def held(weights):
            return weights @ rows / weights.sum()

        believed = np.minimum(probabilities, 1 - LEAST_REST)
        fitted = evidence.copy()
        for _ in range(STEPS):
            now = np.clip(held(fitted), TINY, 1 - TINY)
            factors = np.sqrt(believed / (1 - believed) * (1 - now) / now)
            fitted *= np.prod(np.where(rows, factors, 1), axis=1)
        return held(np.sqrt(evidence * fitted))

    return count
