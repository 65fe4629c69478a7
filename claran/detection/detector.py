"""The detector as an astronomer uses it: FITS in, table and figure out."""

import dataclasses
import itertools
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import keras
import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure

from claran import plotting
from claran.catalog.tables import detection_table
from claran.detection.counting import FieldIslands, network_threshold, recount
from claran.errors import ImageError
from claran.fields.field import beam_pixels, unlabelled
from claran.fields.outlines import islands_and_peaks
from claran.fields.preprocessing import Channels, NetworkInput, place
from claran.io.paths import FITS_ENDINGS
from claran.layers.box_decoder import Detections
from claran.layers.proposals import Proposals
from claran.models.faster_rcnn import FasterRcnn
from claran.models.presets import PRESETS, preset_weights
from claran.models.vgg16 import BGR_MEAN
from claran.models.weights import WeightsError
from claran.sky.images import SkyImage, read_picture, read_sky_image
from claran.sky.pictures import METHODS, fuse, infrared_field, picture_to_array

__all__ = ["Detector", "Found", "UntrainedWarning", "read_infrared", "with_beam"]

STEP = 16  # Pixels.
SMALL = 256  # Pixels; larger fields come in coarser steps of size.


class UntrainedWarning(UserWarning):
    """The network has random weights; its detections mean nothing."""


class Found(NamedTuple):
    """Detections in one picture, by falling score."""

    boxes: Float[np.ndarray, "n 4"]  # Pixels of the picture, row 0 on top.
    labels: Int[np.ndarray, "n"]  # Class, from 1.
    scores: Float[np.ndarray, "n"]


class Detector:
    """Finds and classifies the radio sources in a field.

    Such as `Detector.from_preset("claran_first").detect("radio.fits")`.

    Args:
        model: The network.
        trained: Whether its weights mean something.
    """

    def __init__(self, model: FasterRcnn, *, trained: bool = True) -> None:
        self.model = model
        self.trained = trained
        # Not `model.predict`: it runs the network once without compiling it.
        self._run = jax.jit(model.stateless_call)

    @classmethod
    def from_preset(
        cls,
        name: str | os.PathLike,
        *,
        nms_threshold: float | None = None,
        rpn_nms_threshold: float | None = None,
    ) -> "Detector":
        """Returns the detector of a preset or of a `.keras` file.

        Args:
            name: One of `claran.models.presets.PRESETS`, of which `claran_first` comes
                with trained weights; or a path.
            nms_threshold: IoU above which of two detections of one class the worse is
                dropped; None for the model's own.
            rpn_nms_threshold: Likewise for proposals.

        Raises:
            ValueError: A threshold is not in [0, 1].
            WeightsError: There is no such preset or file, or it is damaged.
        """
        path = preset_weights(str(name)) if str(name) in PRESETS else Path(name)
        model = PRESETS[str(name)]() if path is None else _load(path)
        if path is None:
            warnings.warn(
                f"The weights of {name} are untrained (random): its detections mean "
                "nothing. Train it with --mode=train, or take a model that is: "
                "the original's come in by --mode=convert.",
                UntrainedWarning,
                stacklevel=2,
            )
        _set_threshold(model.detections, "nms_threshold", nms_threshold)
        _set_threshold(model.proposals, "rpn_nms_threshold", rpn_nms_threshold)
        return cls(model, trained=path is not None)

    def detect(
        self,
        radio: Any,
        infrared: Any = None,
        *,
        wcs: WCS | None = None,
        beam_arcsec: float | None = None,
        score_threshold: float = 0.5,
    ) -> QTable:
        """Returns the sources in a field.

        Args:
            radio: Path of a FITS file, HDU, 2-D array (y up) or `SkyImage`.
            infrared: The same, or path or uint8 BGR array of a picture of the same
                field (y down). Networks that see radio alone (D1) need none.
            wcs: Celestial WCS of an array, or in place of the file's.
            beam_arcsec: Full width at half maximum of the beam, in place of the
                header's; without either see `claran.fields.field.beam_width`.
            score_threshold: Detections with a higher score are returned.

        Returns:
            See `claran.catalog.tables.detection_table`; boxes in the FITS array frame:
            y up, pixel i covers [i, i + 1].

        Raises:
            ImageError: A file cannot be read or used; says which and what to do.
            ValueError: The network needs an infrared image and there is none.
        """
        field = with_beam(_radio(radio, wcs), beam_arcsec)
        seen = self.look(field, infrared)
        (found,) = self.detect_inputs(
            [seen], score_threshold=self.network_threshold(score_threshold)
        )
        return self.field_table(field, seen, found, score_threshold=score_threshold)

    def plot(
        self,
        radio: Any,
        infrared: Any = None,
        table: QTable | None = None,
        *,
        wcs: WCS | None = None,
        beam_arcsec: float | None = None,
        score_threshold: float = 0.5,
    ) -> Figure:
        """Returns a figure of a field with its sources: `.savefig("field.png")`.

        A notebook shows it once `%matplotlib inline` was said.

        Args:
            radio: See `detect`.
            infrared: See `detect`; the background, if given.
            table: What `detect` returned; None detects now.
            wcs: See `detect`.
            beam_arcsec: See `detect`.
            score_threshold: See `detect`.
        """
        field = with_beam(_radio(radio, wcs), beam_arcsec)
        infrared = read_infrared(infrared)
        if table is None:
            table = self.detect(field, infrared, score_threshold=score_threshold)
        background = None if infrared is None else infrared_field(field, infrared)
        return plotting.plot_field(field, table, background=background)

    def look(self, radio: Any, infrared: Any = None) -> NetworkInput:
        """Returns what the network sees of a field; takes what `detect` takes."""
        radio, infrared = _radio(radio, None), read_infrared(infrared)
        if self.model.fusion in METHODS:
            return self.look_at_picture(fuse(radio, infrared, method=self.model.fusion))
        field = unlabelled(radio, infrared)
        beam = self.model.beam
        scale = 1.0 if beam is None else beam / beam_pixels(field)
        longest = math.ceil(max(radio.values.shape) * scale)
        # Few sizes, as each is compiled; multiples of the network's largest stride.
        step = STEP if longest <= SMALL else 4 * STEP
        return Channels(size=step * math.ceil(longest / step), beam=self.model.beam)(
            field
        )

    def look_at_picture(self, picture: UInt8[np.ndarray, "h w 3"]) -> NetworkInput:
        """Returns what the network sees of a ready-made BGR picture, scaled to fit.

        Raises:
            ValueError: The network looks at radio images; or `picture` is not uint8
                with three channels.
        """
        if self.model.fusion not in METHODS:
            raise ValueError(
                f"{self.model.name} looks at radio images, not at pictures: give FITS "
                "files, or a model that was trained on pictures."
            )
        _check(picture)
        size = self.model.image_size
        image = np.empty((size, size, 3), np.float32)
        image[:] = BGR_MEAN
        info = place(picture, image)
        return NetworkInput(
            image, info, np.zeros((0, 4), np.float32), picture.shape[:2]
        )

    def network_threshold(self, score_threshold: float) -> float:
        """See `claran.detection.counting.network_threshold`."""
        return network_threshold(score_threshold, self.model.count_trust)

    def field_table(
        self,
        radio: SkyImage,
        seen: NetworkInput,
        found: Found,
        *,
        score_threshold: float = 0.0,
    ) -> QTable:
        """Returns what was found in a field that was seen so, as `detect` does."""
        shape = radio.values.shape
        boxes = picture_to_array(found.boxes, shape, seen.picture_shape)
        labels, scores = found.labels, found.scores
        if self.model.detections.clip_both_ends:  # A scaled field has whole pixels.
            boxes = np.clip(boxes, 0, np.array([*shape[::-1]] * 2))
        if self.model.count_trust:
            islands, peaks = islands_and_peaks(unlabelled(radio))
            counted = FieldIslands(
                islands.boxes.astype(np.float64), peaks.counts(len(islands))
            )
            boxes, labels, scores = recount(
                boxes, labels, scores, counted, self.model.class_names,
                trust=self.model.count_trust,
            )  # fmt: skip
        keep = scores > score_threshold
        found = Found(boxes[keep], labels[keep], scores[keep])
        return detection_table(
            radio.name, self.names(found), found.scores, found.boxes, wcs=radio.wcs
        )

    def names(self, found: Found) -> list[str]:
        """Returns the class code of each detection, such as "2_3"."""
        return [self.model.class_names[label - 1] for label in found.labels]

    def detect_pictures(
        self,
        pictures: Iterable[UInt8[np.ndarray, "h w 3"]],
        *,
        score_threshold: float = 0.5,
        batch_size: int = 1,
    ) -> Iterator[Found]:
        """Yields what is found in each BGR picture, whatever its size and shape.

        Pictures are scaled to fit the network's square; the rest of it is blank.

        Raises:
            ValueError: `batch_size` is not positive, or a picture is not uint8 with
                three channels.
        """
        return self.detect_inputs(
            map(self.look_at_picture, pictures),
            score_threshold=score_threshold,
            batch_size=batch_size,
        )

    def detect_inputs(
        self,
        inputs: Iterable[NetworkInput],
        *,
        score_threshold: float = 0.5,
        batch_size: int = 1,
    ) -> Iterator[Found]:
        """Yields what is found in each of the inputs, in their order.

        Neighbours of one size share a batch; all batches are filled up to one length,
        so that the network is compiled once a size.

        Raises:
            ValueError: `batch_size` is not positive.
        """
        if not batch_size > 0:
            raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
        for _, group in itertools.groupby(inputs, key=lambda one: one.image.shape):
            while batch := list(itertools.islice(group, batch_size)):
                yield from self._detect_batch(batch, batch_size, score_threshold)

    def _detect_batch(
        self, batch: list[NetworkInput], batch_size: int, score_threshold: float
    ) -> Iterator[Found]:
        padded = batch + [batch[0]] * (batch_size - len(batch))
        detected, _ = self._run(
            [variable.value for variable in self.model.trainable_variables],
            [variable.value for variable in self.model.non_trainable_variables],
            {
                "images": np.stack([one.image for one in padded]),
                "image_info": np.stack([one.image_info for one in padded]),
            },
        )
        detected = jax.device_get(detected)
        for i in range(len(batch)):
            keep = detected.valid[i] & (detected.scores[i] > score_threshold)
            yield Found(
                detected.boxes[i][keep],
                detected.labels[i][keep],
                detected.scores[i][keep],
            )


def with_beam(radio: SkyImage, beam_arcsec: float | None) -> SkyImage:
    """Returns the image with a round beam, or as it is if None is given.

    Raises:
        ValueError: The beam is not above 0.
        ImageError: The image does not say how large its pixels are.
    """
    if beam_arcsec is None:
        return radio
    if not beam_arcsec > 0:
        raise ValueError(f"`beam_arcsec` must be above 0, got {beam_arcsec}.")
    if radio.pixel_arcsec is None:
        raise ImageError(
            f"{radio.name}: has no WCS, so that a beam in arcsec does not say how many "
            "pixels it is; leave the beam out, and it is taken for three pixels."
        )
    return dataclasses.replace(radio, beam=(beam_arcsec, beam_arcsec, 0.0))


def read_infrared(source: Any) -> SkyImage | UInt8[np.ndarray, "h w 3"] | None:
    """Returns an infrared image: FITS as a `SkyImage`, a picture as a BGR array."""
    if source is None or isinstance(source, SkyImage):
        return source
    if isinstance(source, (str, os.PathLike)):
        is_fits = str(source).lower().endswith(FITS_ENDINGS)
        return read_sky_image(source) if is_fits else read_picture(source)
    if isinstance(source, np.ndarray) and source.ndim == 3:
        return source
    return read_sky_image(source)


def _radio(source: Any, wcs: WCS | None) -> SkyImage:
    if not isinstance(source, SkyImage):
        return read_sky_image(source, wcs=wcs)
    return source if wcs is None else dataclasses.replace(source, wcs=wcs)


def _check(picture: Any) -> None:
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,) or picture.size == 0:
        raise ValueError(
            "`pictures` must be uint8 (height, width, 3), got "
            f"{picture.dtype} {picture.shape}."
        )


def _set_threshold(
    part: Detections | Proposals, name: str, threshold: float | None
) -> None:
    if threshold is None:
        return
    if not 0 <= threshold <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], got {threshold}.")
    part.iou_threshold = threshold


def _load(path: Path) -> FasterRcnn:
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file, and no preset of that name ({', '.join(PRESETS)})."
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # A damaged archive has a dozen ways to fail.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path}: not a model of claran, or damaged ({reason}); make it again with "
            "--mode=train or --mode=convert, or copy it anew."
        ) from None
    if not isinstance(model, FasterRcnn):
        raise WeightsError(
            f"{path}: holds a {type(model).__name__}, not a claran.FasterRcnn."
        )
    return model
