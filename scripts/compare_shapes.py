"""Compares the shapes of simulated sources with those of real ones of equal size.

The real cutouts were selected by people and contain large, bright sources. Each real
source of `rgz_first_dev` is compared with the twelve simulated sources of its class
that are closest to it in signal-to-noise and extent, so that only the shape differs.
The last column of the table ("floor") is the distance between two samples of the
simulator.
"""

import csv
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags
from astropy.io import fits

from claran.fields.outlines import owners
from claran.labels import RGZ_CLASSES
from claran.simulation.observation import FIRST_NATIVE
from claran.simulation.populations import BALANCED, Population
from claran.simulation.simulated_field import simulate
from claran.sky.islands import Islands, class_code, find_all_peaks, find_islands
from claran.sky.noise import noise

_SHARED = flags.DEFINE_string("shared", "../shared/data", "Folder of the real data.")
_NUM = flags.DEFINE_integer("num", 400, "Simulated sources of each class.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random numbers.")

NEAREST = 12
FEATURES = (
    "log10 peak [sigma]", "log10 extent [arcsec]", "mean width [arcsec]",
    "log10 total / peak [beams]", "axis ratio", "area / hull", "second / first peak",
    "area above half, first [beams]", "area above half, second [beams]",
    "rim [sigma]", "peak distance / extent",
)  # fmt: skip
PIXEL = FIRST_NATIVE.pixel_arcsec
BEAM = FIRST_NATIVE.beam_area_pixels


def main(_: list[str]) -> None:
    """Prints a table of medians and Kolmogorov-Smirnov distances."""
    real = read_cutouts(Path(_SHARED.value) / "rgz_first_dev")
    rng = np.random.default_rng(_SEED.value)
    lines = defaultdict(list)
    for code in RGZ_CLASSES:
        if len(real[code]) < 10:
            continue
        one, pool = real[code], draw(rng, code, _NUM.value)
        away = ((one[:, None, :2] - pool[None, :, :2]) / (0.15, 0.06)) ** 2
        two = pool[away.sum(axis=2).argsort(axis=1)[:, :NEAREST].ravel()]
        for k, feature in enumerate(FEATURES):
            ours, theirs = (side[np.isfinite(side[:, k]), k] for side in (two, one))
            if len(theirs):
                lines[feature].append((code, theirs, ours))
    print_line(
        f"| | {' | '.join(c for c in RGZ_CLASSES if len(real[c]) >= 10)} | KS | floor |"
    )
    print_line("|---" * (3 + sum(len(found) >= 10 for found in real.values())) + "|")
    for feature, found in lines.items():
        cells = {
            code: f"{np.median(theirs):.2f} / {np.median(ours):.2f}"
            for code, theirs, ours in found
        }
        texts = [cells.get(c, "") for c in RGZ_CLASSES if len(real[c]) >= 10]
        distance = np.mean([distance_of(a, b) for _, a, b in found])
        floor = np.mean(
            [distance_of(rng.choice(b, len(a)), b) for _, a, b in found * 10]
        )
        print_line(
            f"| {feature} | {' | '.join(texts)} | {distance:.2f} | {floor:.2f} |"
        )


def read_cutouts(folder: Path) -> dict[str, np.ndarray]:
    """Returns the features of real sources whose class by the rule is that of RGZ."""
    found = defaultdict(list)
    with (folder / "annotations.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["box_inside_cutout"] == "1"]
    for row in rows:
        values = fits.getdata(folder / "fits" / f"{row['first_id']}.fits")
        image = np.nan_to_num(np.asarray(values, np.float32))
        islands = find_islands(image, noise(image), min_pixels=4)
        box = [float(row[f"box_{edge}"]) for edge in ("x0", "y0", "x1", "y1")]
        own = np.flatnonzero(owners(islands.boxes, np.array([box], np.float32)) == 0)
        code, values = measure(image, islands, own)
        if code == row["cls"]:
            found[code].append(values)
    return {code: np.array(found[code]) for code in RGZ_CLASSES}


def draw(rng: np.random.Generator, code: str, number: int) -> np.ndarray:
    """Returns the features of simulated sources of a class, drawn as for training."""
    population = Population(
        weights={c: float(c == code) for c in RGZ_CLASSES}, neighbors=0.0,
        sizes=BALANCED.sizes, brightness=BALANCED.brightness,
    )  # fmt: skip
    found = []
    while len(found) < number:
        one = simulate(rng, population=population, survey=FIRST_NATIVE)
        image = np.nan_to_num(one.radio)
        islands = find_islands(image, one.sigma, min_pixels=4)
        for index, source in enumerate(one.sources):
            if source.code == code and not source.ignore:
                labels = np.unique(islands.labels[one.membership == index + 1])
                found.append(measure(image, islands, labels[labels > 0] - 1)[1])
    return np.array(found)


def measure(
    image: np.ndarray, islands: Islands, own: np.ndarray
) -> tuple[str, list[float]]:
    """Returns the class of a source and its `FEATURES`; NaN for those it lacks.

    Args:
        image: The radio image, Jy/beam.
        islands: The islands of the image.
        own: Indices of the islands that belong to the source.
    """
    sigma = noise(image)
    if not len(own):
        return "0_0", [np.nan] * len(FEATURES)
    peaks = find_all_peaks(image, islands, sigma)
    positions = peaks.positions[np.isin(peaks.islands, own)]
    code = class_code(len(own), len(positions))
    places = (positions - 0.5).astype(int)
    heights = image[places[:, 1], places[:, 0]]
    order = np.argsort(-heights)
    places, heights = places[order], heights[order]
    mask = np.isin(islands.labels, own + 1)
    rows, columns = np.nonzero(mask)
    bright = image[mask]
    extent = np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)
    pixels = np.stack([columns, rows])
    # The variance of a uniform pixel is 1/12 on each axis.
    spread = np.linalg.eigvalsh(np.cov(pixels, aweights=bright) + np.eye(2) / 12)
    hull = cv2.convexHull(pixels.T.astype(np.int32))
    area = cv2.contourArea(hull) + cv2.arcLength(hull, closed=True) / 2 + 1
    inner, outer = (cv2.dilate(mask.view(np.uint8), np.ones((n, n))) for n in (3, 9))
    rim = (outer > inner) & (islands.labels == 0)
    second = len(heights) > 1
    return code, [
        np.log10(heights[0] / sigma), np.log10(extent * PIXEL),
        len(rows) / extent * PIXEL, np.log10(bright.sum() / heights[0] / BEAM),
        np.sqrt(spread[0] / spread[1]), len(rows) / area,
        heights[1] / heights[0] if second else np.nan,
        half_area(image, places[0]), half_area(image, places[1]) if second else np.nan,
        image[rim].mean() / sigma,
        np.hypot(*(places[0] - places[1])) / extent if second else np.nan,
    ]  # fmt: skip


def half_area(image: np.ndarray, place: np.ndarray) -> float:
    """Returns the area around a peak that is brighter than half of it, in beams."""
    column, row = place
    above = (image > image[row, column] / 2).view(np.uint8)
    labels = np.asarray(cv2.connectedComponents(above, connectivity=4)[1])
    return float((labels == labels[row, column]).sum() / BEAM)


def distance_of(one: np.ndarray, two: np.ndarray) -> float:
    """Returns the Kolmogorov-Smirnov distance of two samples."""
    places = np.concatenate([one, two])
    shares = [np.searchsorted(np.sort(s), places, "right") / len(s) for s in (one, two)]
    return float(np.abs(shares[0] - shares[1]).max())


def print_line(line: str) -> None:
    """Prints a line of the table."""
    print(line)  # noqa: T201


if __name__ == "__main__":
    app.run(main)
