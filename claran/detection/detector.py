"""The detector as an astronomer uses it: FITS in, table and figure out."""

import dataclasses
import hashlib
import os
import secrets
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from astropy.table import QTable
from astropy.wcs import WCS
from matplotlib.figure import Figure

from claran import __version__, plotting
from claran.catalog.tables import detection_table, sky_columns
from claran.detection.detection_model import DetectionModel
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.loading import load_model, model_file, save_model
from claran.detection.presets import PRESETS
from claran.fields.field import Field
from claran.fields.reading import read_field
from claran.sky.pictures import array_to_picture
from claran.sky.surveys import Survey

__all__ = ["Detector", "UntrainedWarning", "in_file"]


class UntrainedWarning(UserWarning):
    """The network has random weights; its detections mean nothing."""


class Detector:
    """Finds and classifies the radio sources in a field.

    Such as `Detector.from_preset("claran_first").detect("radio.fits")`.

    Args:
        model: Network, preprocessor and finisher.
        name: Of the model, as tables have it.
        trained: Whether its weights mean something.
        file: Where it came from; None for a model made in this process.
        batch_size: See `claran.detection.engine.Engine`.
    """

    def __init__(
        self,
        model: DetectionModel,
        *,
        name: str = "",
        trained: bool = True,
        file: Path | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.model = model
        self.name = name or model.name
        self.trained = trained
        self.file = file
        self.engine = Engine(model, batch_size=batch_size)

    def __repr__(self) -> str:
        model = self.model
        trained = "" if self.trained else ", untrained"
        return (
            f"<Detector {self.name!r}{trained}: {model.network.count_params():,} "
            f"weights, classes {', '.join(model.class_names)}, sees "
            f"{model.preprocessor}, {model.finisher}>"
        )

    @classmethod
    def from_preset(
        cls,
        name: str | os.PathLike,
        *,
        nms_threshold: float | None = None,
        rpn_nms_threshold: float | None = None,
        batch_size: int | None = None,
    ) -> "Detector":
        """Returns the detector of a preset or of a `.keras` file.

        Args:
            name: One of `claran.detection.presets.PRESETS`, of which `claran_first`
                comes with trained weights; or a path.
            nms_threshold: IoU above which of two detections of one class the worse is
                dropped; None for the model's own.
            rpn_nms_threshold: Likewise for proposals.
            batch_size: See `claran.detection.engine.Engine`.

        Raises:
            ValueError: A threshold is not in [0, 1].
            WeightsError: There is no such preset or file, or it is damaged.
        """
        path = model_file(name)
        model = PRESETS[str(name)]() if path is None else load_model(path)
        if path is None:
            warnings.warn(
                f"The weights of {name} are untrained (random): its detections mean "
                "nothing. Train it with --mode=train, or take a model that is: "
                "the original's come in by --mode=convert.",
                UntrainedWarning,
                stacklevel=2,
            )
        network = model.network
        _set_threshold(network.decoder, "nms_threshold", nms_threshold)
        _set_threshold(network.proposals, "rpn_nms_threshold", rpn_nms_threshold)
        return cls(
            model,
            name=Path(name).name,
            trained=path is not None,
            file=path,
            batch_size=batch_size,
        )

    def save(self, path: str | os.PathLike) -> None:
        """Writes network, preprocessor and finisher as one `.keras` file."""
        save_model(self.model, Path(path))

    def detect(
        self,
        radio: Any,
        infrared: Any = None,
        *,
        wcs: WCS | None = None,
        survey: Survey | None = None,
        beam_arcsec: float | None = None,
        score_threshold: float = 0.5,
    ) -> QTable:
        """Returns the sources in a field.

        Args:
            radio: See `claran.read_field`.
            infrared: Likewise. Networks that see radio alone (D1) need none.
            wcs: Likewise.
            survey: Likewise.
            beam_arcsec: Likewise.
            score_threshold: Detections with a higher score are returned.

        Returns:
            See `claran.catalog.tables.detection_table`; boxes in the FITS array frame:
            y up, pixel i covers [i, i + 1]; but y down for a picture alone. `meta` has
            model, thresholds, and what was assumed.

        Raises:
            ImageError: A file cannot be read or used; says which and what to do.
            ValueError: The network needs an infrared image and there is none.
        """
        field = read_field(
            radio, infrared, wcs=wcs, survey=survey, beam_arcsec=beam_arcsec
        )
        (table,) = self.detect_many([field], score_threshold=score_threshold)
        return table

    def detect_many(
        self, fields: Iterable[Any], *, score_threshold: float = 0.5
    ) -> Iterator[QTable]:
        """Yields the sources in each of many fields, in order; see `detect`.

        While the network looks at some, the next are read: give paths or a generator,
        and no more than a few fields are in memory.

        Args:
            fields: Whatever `claran.read_field` takes, `Field` included.
            score_threshold: Detections with a higher score are returned.
        """
        found = self.engine.detect(fields, read_field, score_threshold=score_threshold)
        for one in found:
            assert one.field is not None  # noqa: S101 - nothing is skipped.
            yield self.table(one.field, one.detections, score_threshold=score_threshold)

    def table(
        self, field: Field, found: Detections, *, score_threshold: float
    ) -> QTable:
        """Returns detections in a field as a table.

        Args:
            field: The field.
            found: In it.
            score_threshold: What they were cut at, for the metadata.
        """
        found = in_file(field, found)
        return detection_table(
            [field.name] * len(found),
            self.codes(found),
            found.scores,
            found.boxes,
            columns=found.columns,
            meta=self.metadata(score_threshold, field.survey, self.assumptions(field)),
        )

    def codes(self, found: Detections) -> list[str]:
        """Returns the class code of each detection, such as "2_3"."""
        return [self.model.class_names[label - 1] for label in found.labels]

    def assumptions(self, field: Field) -> tuple[str, ...]:
        """Returns what was assumed of a field, as far as it matters to the model."""
        return field.assumptions if self.model.preprocessor.uses_beam else ()

    def metadata(
        self, score_threshold: float, survey: Survey | None, assumed: Iterable[str]
    ) -> dict[str, Any]:
        """Returns what a table says of how it was made; keys suit a FITS header."""
        network = self.model.network
        about = {
            "CLARAN": __version__,
            "MODEL": self.name,
            "MODELSHA": self.fingerprint[:16],
            "MINSCORE": score_threshold,
            "NMSIOU": network.decoder.iou_threshold,
            "RPNIOU": network.proposals.iou_threshold,
            "SURVEY": "" if survey is None else survey.name,
            "ASSUMED": "; ".join(assumed),
        }
        return {name: value for name, value in about.items() if value != ""}

    @property
    def fingerprint(self) -> str:
        """Hash of the model's file; random for a model that has none.

        Not of its settings: for these Keras imports TensorFlow, 2 s and 0.4 GB.
        """
        if self.file is None:
            return secrets.token_hex()
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def plot(
        self,
        radio: Any,
        infrared: Any = None,
        table: QTable | None = None,
        *,
        wcs: WCS | None = None,
        survey: Survey | None = None,
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
            survey: See `detect`.
            beam_arcsec: See `detect`.
            score_threshold: See `detect`.
        """
        field = read_field(
            radio, infrared, wcs=wcs, survey=survey, beam_arcsec=beam_arcsec
        )
        if table is None:
            table = self.detect(field, score_threshold=score_threshold)
        assert field.image is not None  # noqa: S101 - `read_field` reads radio images.
        return plotting.plot_field(field.image, table, background=field.picture)


def in_file(field: Field, found: Detections) -> Detections:
    """Returns detections as a table has them.

    Args:
        field: The field.
        found: In it; boxes in the FITS array frame, y up.

    Returns:
        Boxes of a picture with y down, as in its file; those of an image with a WCS
        with the columns of `claran.catalog.tables.sky_columns`.
    """
    if not field.has_radio:
        boxes = array_to_picture(found.boxes, field.shape, field.shape)
        return dataclasses.replace(found, boxes=boxes)
    if field.wcs is None:
        return found
    return found.with_columns(**sky_columns(field.wcs, found.boxes))


def _set_threshold(part: Any, name: str, threshold: float | None) -> None:
    if threshold is None:
        return
    if not 0 <= threshold <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], got {threshold}.")
    part.iou_threshold = threshold
