"""Times the counting of components and peaks in images of more and more islands.

Every image has the same number of sources per pixel, so that time should grow by a
little over two where the islands double. Detections are what a network would say: each
island alone, and pairs of near ones, with edges a pixel or two off. Memory is what the
steps allocate beyond the image, at the most.

Run as `python scripts/benchmark_counting.py`.
"""

import math
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from absl import app, flags
from scipy.spatial import KDTree

from claran.detection.classical_finder import find_sources
from claran.detection.counting import FieldIslands, recount
from claran.labels import RGZ_CLASSES
from claran.sky.islands import Islands, find_all_peaks, find_islands

flags.DEFINE_multi_integer("islands", [1000, 3000, 10000], "Islands of each image.")
FLAGS = flags.FLAGS

SPACING = 40  # Pixels from one source to the next, about; FIRST's are at 340.
BEAM = 3.0  # Full width at half maximum in pixels.
COLUMNS = "islands", "peaks", "detections", "find", "peaks", "recount", "join", "MB"


def draw_image(rng: np.random.Generator, count: int) -> np.ndarray:
    """Returns an image in units of its noise with about so many islands."""
    side = math.ceil(SPACING * math.sqrt(count))
    width = BEAM / (2 * math.sqrt(2 * math.log(2)))
    # White noise of this deviation has one of 1 after the blur.
    white = rng.normal(0, 2 * width * math.sqrt(math.pi), (side, side))
    sources = np.zeros((side, side))
    places = rng.integers(0, side, (count, 2))
    flux = 2 * math.pi * width**2 * 10 ** rng.uniform(1.2, 3, count)
    for _ in range(2):  # Blends have two peaks.
        moved = (places + rng.integers(-4, 5, (count, 2))).clip(0, side - 1)
        np.add.at(sources, (moved[:, 0], moved[:, 1]), flux)
    return cv2.GaussianBlur(white + sources, (0, 0), width).astype(np.float32)


def draw_detections(
    rng: np.random.Generator, islands: Islands
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns boxes, labels and scores: each island, and it with its nearest."""
    boxes = islands.boxes.astype(np.float64)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    _, nearest = KDTree(centers).query(centers, 2)  # The first is the island itself.
    near = boxes[np.asarray(nearest)[:, 1]]
    pairs = np.concatenate(
        [np.minimum(boxes[:, :2], near[:, :2]), np.maximum(boxes[:, 2:], near[:, 2:])],
        axis=1,
    )
    found = np.concatenate([boxes, pairs])
    labels = np.repeat([1, RGZ_CLASSES.index("2_2") + 1], len(boxes))
    return found + rng.normal(0, 1, found.shape), labels, rng.random(len(found))


def measure(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns what a call returns, its shortest time of three, and its memory in MB."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    tracemalloc.start()  # It slows Python down: apart from the time.
    result = call()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, min(times), peak


def measure_image(rng: np.random.Generator, count: int) -> list[float]:
    """Returns a row of the table; see `COLUMNS`."""
    image = draw_image(rng, count)
    islands, *finding = measure(lambda: find_islands(image, 1.0, min_pixels=4))
    peaks, *counting = measure(lambda: find_all_peaks(image, islands, 1.0))
    found = FieldIslands(
        islands.boxes.astype(np.float64), peaks.counts(len(islands))[:, None]
    )
    detections = draw_detections(rng, islands)
    _, *recounting = measure(
        lambda: recount(*detections, found, RGZ_CLASSES, trust=0.95)
    )
    _, *joining = measure(
        lambda: find_sources(
            image, pixel_arcsec=1.8, smallest=4, islands=islands, peaks=peaks
        )
    )
    steps = finding, counting, recounting, joining
    times, memories = zip(*steps, strict=True)
    return [len(islands), len(peaks), len(detections[0]), *times, max(memories)]


def main(_: Any) -> None:
    """Prints the table, with the growth of each column as the islands double."""
    rng = np.random.default_rng(1)
    print("seconds of each step; the most memory of any\n")  # noqa: T201
    print("".join(f"{name:>12}" for name in COLUMNS))  # noqa: T201
    rows = []
    for count in FLAGS.islands:
        rows.append(measure_image(rng, count))
        numbers, times, memory = rows[-1][:3], rows[-1][3:-1], rows[-1][-1]
        text = "".join(f"{number:12d}" for number in numbers)
        text += "".join(f"{one:12.4f}" for one in times)
        print(f"{text}{memory:12.1f}")  # noqa: T201
        if len(rows) > 1:
            last, row = np.array(rows[-2:])
            growth = (row / last) ** (1 / np.log2(row[0] / last[0]))
            print("".join(f"{f'x {one:.2f}':>12}" for one in growth))  # noqa: T201


if __name__ == "__main__":
    app.run(main)
