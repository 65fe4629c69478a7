"""What a process needs for all of its inputs, made once: detectors and good files."""

import functools
import tempfile
from pathlib import Path

import cv2
import numpy as np

from claran import Detector
from claran.data.sources import FieldSource, open_source
from claran.detection.detection_model import DetectionModel
from claran.detection.finisher import IslandFinisher
from claran.detection.presets import claran_first, claran_v01
from fuzzing.fits_seeds import fits_seed, primary, radio_sky

CLASSES = ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3")
LABELS = """first_id,box_x0,box_y0,box_x1,box_y1,cls,consensus,peak_ras,peak_decs,\
host_ra,host_dec,split,image
field0,19,25,38,39,2_2,0.9,180.001;179.999,30.001;29.999,180.0,30.0,train,field0.fits
field0,46,8,54,16,1_1,1.0,180.01,30.01,,,train,field0.fits
field1,19,25,38,39,2_2,0.8,,,179.999,30.001,test,
field2,46,8,54,16,1_1,0.7,180.0,30.0,,,validation,
"""
"""Labels of `good_fields`."""


@functools.cache
def detector() -> Detector:
    """Returns the detector that comes with claran."""
    return Detector.from_preset("claran_v1")


@functools.cache
def model_bytes() -> bytes:
    """Returns the file of a tiny network with random weights."""
    model = claran_first(
        widths=(4, 4, 8, 8), depths=(1, 1, 1, 1), features=8, rpn_width=8, head_width=8
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return path.read_bytes()


@functools.cache
def picture_detector() -> Detector:
    """Returns a detector for pictures, with random weights."""
    model = claran_v01(
        backbone_widths=[4, 8, 8, 8, 8], rpn_width=8, head_width=16, image_size=64,
        method="D3",
    )  # fmt: skip
    clipped = DetectionModel(
        network=model.network, preprocessor=model.preprocessor,
        finisher=IslandFinisher(clip=True), class_names=model.class_names,
    )  # fmt: skip
    return Detector(clipped)


@functools.cache
def picture(ending: str) -> bytes:
    """Returns a good picture, such as `".png"`."""
    gray = cv2.normalize(radio_sky(), None, 0, 255, cv2.NORM_MINMAX)  # pyright: ignore
    colors = np.stack([gray, gray // 2, 255 - gray], axis=-1).astype(np.uint8)
    return cv2.imencode(ending, colors)[1].tobytes()


@functools.cache
def good_fields() -> dict[str, bytes]:
    """Returns FITS files of three fields, by their names."""
    return {f"field{i}.fits": primary(radio_sky(i), CRVAL2=30.0 + i) for i in range(3)}


@functools.cache
def labelled() -> FieldSource:
    """Returns good fields with good labels."""
    folder = Path(tempfile.mkdtemp(prefix="claran_fuzz_good_"))
    write({**good_fields(), "annotations.csv": LABELS.encode()}, folder)
    return open_source(folder, "all", class_names=CLASSES)


@functools.cache
def good_boxes() -> np.ndarray:
    """Returns the boxes that are found in the image `plain`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "good.fits")
        path.write_bytes(fits_seed("plain"))
        table = detector().detect(path, score_threshold=0.05)
    return boxes_of(table, "good.fits")


def boxes_of(table: object, image: str) -> np.ndarray:
    """Returns the boxes of an image in a table, `(n, 4)`."""
    rows = table[np.asarray(table["image"]) == image]  # pyright: ignore
    return np.stack([np.asarray(rows[n], float) for n in ("x0", "y0", "x1", "y1")], 1)


def ignore(_: str) -> None:
    """Takes what is said to the user."""


def write(files: dict[str, bytes], folder: Path) -> None:
    """Writes files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
