"""The network that comes with claran finds real galaxies, and the same ones again."""

import dataclasses

import cv2
import numpy as np
import pytest

from claran.data.sources import open_source
from claran.detection.detector import Detector
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.running import evaluate_detector
from claran.labels import RGZ_CLASSES
from claran.simulation.endless import SimulatedFields
from claran.simulation.field_noise import draw_noise
from claran.simulation.observation import FIRST_NATIVE
from claran.simulation.populations import BALANCED
from claran.simulation.simulated_field import observe, simulate
from claran.simulation.source_drawing import draw_source
from claran.sky.box_arrays import intersection, pairwise_iou
from claran.sky.images import SkyImage

SEED = 4021  # Of no training and no validation.


@pytest.fixture(scope="module")
def detector():
    return Detector.from_preset("claran_v1")


def evaluated(detector, source):
    options = EvaluationOptions(score_threshold=0.5, resample_count=200)
    return evaluate_detector(
        detector.engine, source, options=options, tell=lambda _: None
    )


def test_real_fields(detector, real_data):
    """Real cutouts of FIRST, without infrared; the network learned from none."""
    result = evaluated(detector, open_source(real_data / "rgz_first_dev", "all"))
    assert result.mean_common.value > 0.8
    assert result.associated["all"].value > 0.9


@pytest.mark.parametrize(
    "minutes, first, second",
    [
        (8, (129, 129, 163, 151), (197, 162, 217, 178)),
        (11, (179, 179, 214, 201), (247, 212, 267, 228)),
    ],
)
def test_a_wide_double_is_one_source(detector, real_data, minutes, first, second):
    path = real_data / f"first_wise_pairs/FIRSTJ151227.2+454026_{minutes}.fits"
    table = detector.detect(path, score_threshold=0.5)
    boxes = np.array([table[edge] for edge in ("x0", "y0", "x1", "y1")]).T
    on_it = [
        (box, label)
        for box, label in zip(boxes, table["label"], strict=True)
        if overlap(box, first) or overlap(box, second)
    ]
    ((box, label),) = on_it
    assert label[0] in "23"
    lobes = np.array([first, second])
    both = [*lobes[:, :2].min(axis=0), *lobes[:, 2:].max(axis=0)]
    np.testing.assert_allclose(box, both, atol=1)


def test_its_lobe_is_one_source_where_the_other_is_outside(detector, real_data):
    """In the 3' cutout the second lobe would begin at column 114 of 100."""
    path = real_data / "first_wise_pairs/FIRSTJ151227.2+454026_3.fits"
    (row,) = detector.detect(path, score_threshold=0.5)
    assert [row[edge] for edge in ("x0", "y0", "x1", "y1")] == [46, 46, 80, 68]


def overlap(box, other):
    return intersection(box[None], np.array([other], float))[0] > 0


def test_simulated_fields(detector):
    source = SimulatedFields(
        200, seed=SEED, population=BALANCED, surveys=[FIRST_NATIVE]
    )
    result = evaluated(detector, source)
    assert result.mean.value > 0.86
    assert result.calibration.error < 0.05


@pytest.fixture(scope="module")
def fields():
    rngs = [np.random.default_rng([SEED, i]) for i in range(80)]
    return [simulate(rng, population=BALANCED, survey=FIRST_NATIVE) for rng in rngs]


def found(detector, radio):
    image = SkyImage(values=np.ascontiguousarray(radio, np.float32))
    table = detector.detect(image, score_threshold=0.5)
    boxes = np.array([table[edge] for edge in ("x0", "y0", "x1", "y1")]).T
    return boxes.reshape(-1, 4)


def shared(first, second):
    """Returns how many boxes of each have one of the other above an IoU of 0.5."""
    iou = pairwise_iou(first, second)
    return int((iou > 0.5).any(axis=1).sum()), int((iou > 0.5).any(axis=0).sum())


def agreement(detector, fields, change):
    """Returns the share of sources found before that are found after, and vice versa.

    `change` takes a radio image and returns the new one and a function that takes
    boxes back.
    """
    counts = np.zeros((2, 2))
    for index, one in enumerate(fields):
        radio, back = change(one, np.random.default_rng([SEED, index, 1]))
        before, after = found(detector, one.radio), back(found(detector, radio))
        counts += [shared(before, after), (len(before), len(after))]
    return counts[0].sum() / counts[1].sum()


def quarter_turn(one, rng):
    size = one.radio.shape[0]
    # What is now at row r, column c was at row c, column size - 1 - r.
    back = lambda boxes: np.column_stack(
        [size - boxes[:, 3], boxes[:, 0], size - boxes[:, 1], boxes[:, 2]]
    )
    return np.rot90(one.radio), back


def half_a_pixel(one, rng):
    values = np.nan_to_num(one.radio)
    matrix = np.array([[1, 0, 0.5], [0, 1, 0.5]])
    moved = cv2.warpAffine(values, matrix, values.shape[::-1], flags=cv2.INTER_LANCZOS4)
    return moved, lambda boxes: boxes - 0.5


def more_sky(one, rng):
    """Noise of the same kind around the field."""
    wide = dataclasses.replace(FIRST_NATIVE, size=160)
    values = draw_noise(rng, wide, one.sigma)
    values[30:130, 30:130] = one.radio
    return values, lambda boxes: boxes - 30


def test_the_same_sources_are_found_in_other_noise(detector):
    counts = np.zeros((2, 2))
    for index in range(24):
        rng = np.random.default_rng([SEED, index, 2])
        code, sigma = RGZ_CLASSES[index % 6], FIRST_NATIVE.noise_jy
        source = draw_source(rng, code, FIRST_NATIVE, peak=20 * sigma)
        first, second = (
            found(
                detector,
                observe(
                    np.random.default_rng([SEED, index, noise]), [source],
                    sigma=sigma, survey=FIRST_NATIVE,
                ).radio,
            )
            for noise in (3, 4)
        )  # fmt: skip
        counts += [shared(first, second), (len(first), len(second))]
    assert counts[0].sum() / counts[1].sum() > 0.85


@pytest.mark.parametrize(
    "change, least",
    [(quarter_turn, 0.9), (half_a_pixel, 0.9), (more_sky, 0.9)],
    ids=["turned", "moved", "enlarged"],
)
def test_the_same_sources_are_found(detector, fields, change, least):
    assert agreement(detector, fields, change) > least


def test_a_mosaic_has_the_sources_of_its_fields(detector, fields):
    """More than a field of training has places for, but in a crowd that is no sky's."""
    parts = [np.nan_to_num(one.radio / one.sigma) for one in fields[:16]]
    whole = found(detector, np.block([parts[i : i + 4] for i in range(0, 16, 4)]))
    single = [
        found(detector, part) + 100 * np.array([i % 4, i // 4] * 2)
        for i, part in enumerate(parts)
    ]
    counts = shared(whole, np.concatenate(single))
    assert sum(counts) > 0.75 * (len(whole) + sum(map(len, single)))
