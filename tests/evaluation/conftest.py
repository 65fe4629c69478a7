import dataclasses
import types

import numpy as np
import pytest

from claran.detection.detections import Detections
from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.labels import RGZ_CLASSES
from claran.sky.images import SkyImage
from claran.sky.islands import Islands, Peaks


@dataclasses.dataclass
class ListSource:
    """Fields as a labelled source."""

    fields: list
    class_names: tuple = RGZ_CLASSES
    fingerprint: str = "of a test"

    def __len__(self):
        return len(self.fields)

    def __getitem__(self, index):
        return self.fields[index].replace()


@pytest.fixture
def list_source():
    """Makes a labelled source of fields."""
    return ListSource


@pytest.fixture
def measured_field():
    """Makes labelled fields as an evaluation has them: measured, without pixels.

    Without `islands` the field is a picture.
    """

    def make(
        name="field",
        *,
        boxes=(),
        labels=None,
        ignored=None,
        consensus=None,
        islands=None,
        pixel_arcsec=None,
        shape=(100, 100),
    ):
        boxes = np.array(boxes, float).reshape(-1, 4)
        count = len(boxes)
        objects = Objects(
            boxes=boxes,
            labels=np.ones(count, int) if labels is None else np.array(labels, int),
            ignored=np.zeros(count, bool) if ignored is None else np.array(ignored),
            consensus=consensus,
        )
        if islands is None:
            picture = np.zeros((*shape, 3), np.uint8)
            return Field(name, picture=picture, objects=objects).without_pixels()
        nothing = np.zeros((0, 0), np.float32)
        image = SkyImage(values=nothing, pixel_arcsec=pixel_arcsec)
        field = Field(name, image=image, objects=objects, noise=1.0)
        boxes = np.array(islands, np.float32).reshape(-1, 4)
        field.shape = shape
        field.islands = Islands(np.zeros((0, 0), np.int32), boxes)
        field.peaks = Peaks((boxes[:, :2] + boxes[:, 2:]) / 2, np.arange(len(boxes)))
        return field

    return make


@pytest.fixture
def make_found():
    """Makes the detections of a field, of class 1 with a score of 0.9 unless given."""

    def make(*boxes, labels=None, scores=None):
        count = len(boxes)
        return Detections(
            boxes=np.array(boxes, float).reshape(-1, 4),
            labels=np.ones(count, int) if labels is None else np.array(labels, int),
            scores=np.full(count, 0.9) if scores is None else np.array(scores, float),
        )

    return make


@pytest.fixture
def random_fields(rng, measured_field):
    """Makes fields whose detections are shifted sources and false alarms."""

    def make(count, *, classes=3, ignored=0.2, decimals=None):
        fields, found = [], []
        for i in range(count):
            n = int(rng.integers(0, 5))
            boxes, labels = _boxes(rng, n), rng.integers(1, classes + 1, n)
            left_out = rng.uniform(size=n) < ignored
            # Half of the ignored sources have no class, and match any class.
            known = np.where(left_out & (rng.uniform(size=n) < 0.5), 0, labels)
            fields.append(
                measured_field(
                    f"f{i}",
                    boxes=boxes,
                    labels=known,
                    ignored=left_out,
                    consensus=rng.uniform(0.6, 1, n),
                    pixel_arcsec=1.8,
                    islands=boxes + np.array([1, 1, -1, -1]),
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
                Detections(
                    boxes=np.concatenate([near, _boxes(rng, extra)]),
                    labels=np.r_[kinds, rng.integers(1, classes + 1, extra)],
                    scores=scores,
                )
            )
        return fields, found

    return make


def _boxes(rng, count):
    corner = rng.uniform(0, 60, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 40, (count, 2))], axis=1)


@pytest.fixture
def make_field(rng):
    """Makes fields with one double source, and a picture of twice the size."""

    def make(
        name="field", *, shape=(60, 64), infrared=True, pixel_arcsec=1.8, faint=False
    ):
        values = rng.normal(0, 1, shape).astype(np.float32)
        if not faint:
            values[10:16, 20:26] += 60
            values[12:18, 34:40] += 60
        picture = rng.integers(0, 256, (2 * shape[0], 2 * shape[1], 3), np.uint8)
        return Field(
            name,
            image=SkyImage(
                values=values, pixel_arcsec=pixel_arcsec, beam=(5.4, 5.4, 0.0)
            ),
            picture=picture if infrared else None,
            objects=Objects(
                boxes=np.array([[20, 10, 40, 18]], np.float32),
                labels=np.array([4], np.int32),
                ignored=np.array([False]),
                consensus=np.array([0.8], np.float32),
            ),
            noise=1.0,
        )

    return make


@pytest.fixture
def pycocotools():
    """COCO's own evaluation; skips the test where it is not installed."""
    reason = "needs pycocotools (extra test-all)"
    coco = pytest.importorskip("pycocotools.coco", reason=reason)
    evaluation = pytest.importorskip("pycocotools.cocoeval", reason=reason)
    return types.SimpleNamespace(COCO=coco.COCO, COCOeval=evaluation.COCOeval)
