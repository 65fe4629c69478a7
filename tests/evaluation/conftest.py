import types

import numpy as np
import pytest

from claran.evaluation.truth import FieldDetections, FieldTruth


def _boxes(rng, count):
    corner = rng.uniform(0, 60, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 40, (count, 2))], axis=1)


@pytest.fixture
def random_fields(rng):
    """Makes fields whose detections are shifted sources and false alarms."""

    def make(count, *, classes=3, ignored=0.2, decimals=None):
        truths, found = [], []
        for i in range(count):
            n = int(rng.integers(0, 5))
            boxes, labels = _boxes(rng, n), rng.integers(1, classes + 1, n)
            left_out = rng.uniform(size=n) < ignored
            # Half of the ignored sources have no class, and match any class.
            known = np.where(left_out & (rng.uniform(size=n) < 0.5), 0, labels)
            truths.append(
                FieldTruth(
                    name=f"f{i}",
                    boxes=boxes,
                    labels=known,
                    ignored=left_out,
                    consensus=rng.uniform(0.6, 1, n),
                    pixel_arcsec=1.8,
                    shape=(100, 100),
                )
            )
            copies = rng.integers(0, 3, n)
            near = np.repeat(boxes, copies, axis=0)
            near = near + rng.normal(0, 2.5, near.shape)
            kinds = np.repeat(labels, copies)
            wrong = rng.uniform(size=len(kinds)) < 0.3
            kinds = np.where(wrong, rng.integers(1, classes + 1, len(kinds)), kinds)
            extra = int(rng.integers(0, 3))
            scores = rng.uniform(size=len(kinds) + extra)
            if decimals is not None:
                scores = scores.round(decimals)
            found.append(
                FieldDetections(
                    boxes=np.concatenate([near, _boxes(rng, extra)]),
                    labels=np.r_[kinds, rng.integers(1, classes + 1, extra)],
                    scores=scores,
                )
            )
        return truths, found

    return make


@pytest.fixture
def make_element(rng):
    """Makes fields with one double source, and a picture of twice the size."""

    def make(name="field", *, shape=(60, 64), infrared=True):
        radio = rng.normal(0, 1, shape).astype(np.float32)
        radio[10:16, 20:26] += 60
        radio[12:18, 34:40] += 60
        picture = rng.integers(0, 256, (2 * shape[0], 2 * shape[1], 3), np.uint8)
        return {
            "name": name,
            "radio": radio,
            "noise": 1.0,
            "beam": 3.0,
            "pixel_arcsec": 1.8,
            "infrared": picture if infrared else None,
            "boxes": np.array([[20, 10, 40, 18]], np.float32),
            "labels": np.array([4], np.int32),
            "ignored": np.array([False]),
            "consensus": np.array([0.8], np.float32),
        }

    return make


@pytest.fixture
def pycocotools():
    """COCO's own evaluation; skips the test where it is not installed."""
    reason = "needs pycocotools (extra test-all)"
    coco = pytest.importorskip("pycocotools.coco", reason=reason)
    evaluation = pytest.importorskip("pycocotools.cocoeval", reason=reason)
    return types.SimpleNamespace(COCO=coco.COCO, COCOeval=evaluation.COCOeval)
