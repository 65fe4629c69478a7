import types

import numpy as np
import pytest

from claran.detection.engine import window_detections
from claran.detection.mosaic_windows import MosaicScene, mosaic_frame
from claran.detection.windows import Window, find_windows
from claran.errors import ImageError
from claran.fields.channels import Channels
from claran.fields.field import Field
from claran.fields.preprocessing import network_boxes
from claran.sky.images import SkyImage

CHANNELS = Channels(beam_pixels=3.0)


def make_field(rng, beam):
    values = rng.normal(size=(310, 280)).astype(np.float32)
    for y, x in rng.integers(5, 275, (12, 2)):
        values[y : y + 4, x : x + 3] += 30
    values[40:60, 100:130] = np.nan
    values[0] = np.nan
    image = SkyImage(values=values, pixel_arcsec=1.8, beam=(1.8 * beam, 1.8 * beam, 0))
    return Field("J0000+0000", image=image)


def region_of(field, rows, columns):
    ratio = np.ascontiguousarray(field.signal_to_noise[rows, columns])
    return types.SimpleNamespace(rows=rows, columns=columns, signal_to_noise=ratio)


@pytest.mark.parametrize("beam", [3.0, 2.5, 4.3, 6.0, 9.0])
def test_views_are_those_of_the_whole_image(rng, beam):
    field = make_field(rng, beam)
    scene, frame = CHANNELS(field), mosaic_frame(CHANNELS, field)
    assert (scene.shape, scene.scale) == (frame.shape, frame.scale)
    boxes = field.islands.boxes.astype(np.float64)
    np.testing.assert_array_equal(
        frame.scene_boxes(boxes), network_boxes(boxes, scene, field)
    )
    rows, columns = frame.shape
    some = [(0, 0, 1, 1), (0, 0, columns, rows), (columns - 5, rows - 7, columns, rows)]
    some += [(3, 11, 40, 45), (20, 0, 21, rows)]
    ny, nx = field.shape
    for bounds in some:
        expected = scene.view(bounds)
        needed = frame.needed(bounds)
        larger = tuple(
            slice(max(0, part.start - 9), min(part.stop + 4, side))
            for part, side in zip(needed, field.shape, strict=True)
        )
        for held in (needed, larger, (slice(0, ny), slice(0, nx))):
            view = MosaicScene(frame, region_of(field, *held)).view(bounds)
            np.testing.assert_array_equal(view.image, expected.image)
            np.testing.assert_array_equal(view.image_info, expected.image_info)
            assert view.origin == expected.origin
    whole = MosaicScene(frame, region_of(field, slice(0, ny), slice(0, nx))).view()
    np.testing.assert_array_equal(whole.image, scene.view().image)


def test_a_region_that_is_too_small_is_refused(rng):
    field = make_field(rng, 3.0)
    frame = mosaic_frame(CHANNELS, field)
    scene = MosaicScene(frame, region_of(field, slice(0, 100), slice(0, 280)))
    with pytest.raises(ValueError, match=r"`bounds` \(0, 0, 9, 9\) need rows and col"):
        scene.view((0, 0, 9, 9))


def test_a_beam_that_makes_no_sense_is_refused():
    mosaic = types.SimpleNamespace(name="m.fits", shape=(40, 30), beam_pixels=0.1)
    with pytest.raises(ImageError, match=r"m\.fits: the beam would be 0.1 pixels"):
        mosaic_frame(CHANNELS, mosaic)


@pytest.mark.parametrize("beam", [3.0, 4.3])
def test_detections_of_a_window_are_in_pixels_of_the_mosaic(rng, beam):
    field = make_field(rng, beam)
    frame = mosaic_frame(CHANNELS, field)
    island = field.islands.boxes[:1].astype(np.float64)
    (window, *_), _ = find_windows((2000, 2000), frame.scene_boxes(island))
    scene = MosaicScene(frame, None)
    assert isinstance(window, Window)
    x0, y0, *_ = window.bounds
    own = (frame.scene_boxes(island) - [x0, y0, x0, y0]) / frame.scale
    output = types.SimpleNamespace(
        boxes=own, scores=np.array([0.5]), labels=np.array([1]), valid=np.array([True])
    )
    found = window_detections(scene, field, window, output, 0.1)
    np.testing.assert_allclose(found.boxes, island, atol=1e-3)
