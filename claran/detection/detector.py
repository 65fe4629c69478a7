"""The detector for astronomers: FITS images in, tables and figures out."""

import functools
import hashlib
import os
import secrets
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS

from claran import __version__
from claran.catalog.tables import detection_table
from claran.detection.detection_model import DetectionModel
from claran.detection.detections import Detections
from claran.detection.engine import Engine
from claran.detection.field_hosts import add_hosts, require_measured_sources
from claran.detection.loading import load_model, model_file, save_model
from claran.detection.presets import PRESETS
from claran.detection.table_rows import row_notes, table_rows
from claran.errors import ImageWarning
from claran.fields.field import Field
from claran.fields.reading import read_field, read_infrared
from claran.hosts.host_search import HostSearch
from claran.sky.surveys import Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Detector", "UntrainedWarning"]


class UntrainedWarning(UserWarning):
    """The network has random weights, so that its detections have no meaning."""


class Detector:
    """Finds and classifies the radio sources in a field.

    For example `Detector.from_preset("claran_v1").detect("radio.fits")`.

    Args:
        model: Network, preprocessor and finisher.
        name: Name of the model, for tables; by default the model's own.
        trained: Whether the network is trained.
        file: File of the model; None for a model made in this process.
        batch_size: See `claran.detection.engine.Engine`.
        average: See there.

    Raises:
        ValueError: `average` is for a model that does not count islands.
    """

    def __init__(
        self,
        model: DetectionModel,
        *,
        name: str = "",
        trained: bool = True,
        file: Path | None = None,
        batch_size: int | None = None,
        average: bool = False,
    ) -> None:
        self.model = model
        self.name = name or model.name
        self.trained = trained
        self.file = file
        self.engine = Engine(model, batch_size=batch_size, average=average)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what pickle keeps: the whole model, so that no file is needed."""
        if self.file is not None:
            _ = self._file_hash  # There may be no such file where it is opened.
        return self.__dict__

    def __repr__(self) -> str:
        model = self.model
        trained = "" if self.trained else ", untrained"
        return (
            f"<Detector {self.name!r}{trained}: {model.network.count_params():,} "
            f"weights, classes {', '.join(model.class_names)}, "
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
        average: bool = False,
    ) -> "Detector":
        """Returns the detector of a preset or of a `.keras` file.

        Args:
            name: One of `claran.detection.presets.PRESETS`, or a path. Trained are
                `claran_v1` and `claran_first`.
            nms_threshold: IoU above which the worse of two detections of one class is
                dropped; None for the model's own.
            rpn_nms_threshold: The same for proposals.
            batch_size: See `claran.detection.engine.Engine`.
            average: Whether the network looks at each window in the eight symmetries of
                the square, and the probabilities are averaged. The network takes eight
                times as long; claran_v1 gains little. Only for models that count
                islands.

        Raises:
            ValueError: A threshold is not in [0, 1], or `average` is for a model that
                does not count islands.
            WeightsError: There is no such preset or file, or it is damaged.
            AcceleratorError: This process was forked from one that had used JAX.
        """
        path = model_file(name)
        model = PRESETS[str(name)]() if path is None else load_model(path)
        if path is None:
            warnings.warn(
                f"{name} is untrained: its weights are random and its detections have "
                "no meaning. Train it with --mode=train, or give a trained model; "
                "--mode=convert makes one of a checkpoint of the original.",
                UntrainedWarning,
                stacklevel=2,
            )
        model.set_thresholds(
            nms_threshold=nms_threshold, rpn_nms_threshold=rpn_nms_threshold
        )
        return cls(
            model,
            name=Path(name).name,
            trained=path is not None,
            file=path,
            batch_size=batch_size,
            average=average,
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
        score_threshold: float | None = None,
        all_hypotheses: bool = False,
        hosts: HostSearch | None = None,
    ) -> QTable:
        """Returns the sources in a field, of which no two share emission.

        Args:
            radio: See `claran.read_field`.
            infrared: See there. Only networks for D3 and D4 need one.
            wcs: See there.
            survey: See there.
            beam_arcsec: See there.
            score_threshold: Sources with a higher probability are returned, with
                `all_hypotheses` detections with a higher score; None for
                `lowest_score`.
            all_hypotheses: Whether to return every detection, also less probable
                readings of the same emission and less probable classes. The column
                `alternative` marks these; the rows without them, with a probability
                above `CATSCORE`, are the catalog.
            hosts: Where candidates for the host galaxies come from; None to look for no
                hosts. The table then has their columns too, see docs/hosts.md.

        Returns:
            See `claran.catalog.tables.detection_table`. Boxes are in pixels of the FITS
            array, y up, pixel i covers [i, i + 1]; for a field that is only a picture,
            in its pixels, y down. A catalog of a radio image has the columns of a
            survey's sources (`claran.catalog.columns`), if islands are counted:
            positions, fluxes, sizes, errors, flags. `meta` has the model, its
            thresholds, the assumptions about the image, and notes on it; those on its
            header, and that scores are not calibrated for such images, are given as an
            `claran.errors.ImageWarning` too.

        Raises:
            ImageError: A file cannot be read or used.
            ValueError: The network needs an infrared image and there is none, the
                threshold is not in [0, 1], or hosts cannot be looked for.
        """
        infrared = read_infrared(infrared)
        field = read_field(
            radio, infrared, wcs=wcs, survey=survey, beam_arcsec=beam_arcsec
        )
        if hosts is not None:
            require_measured_sources(
                self.model, pictures=not field.has_radio, all_hypotheses=all_hypotheses
            )
        (table,) = self.detect_many(
            [field], score_threshold=score_threshold, all_hypotheses=all_hypotheses
        )
        if hosts is not None:
            add_hosts(table, field, hosts, infrared)
        return table

    def detect_many(
        self,
        fields: Iterable[Any],
        *,
        score_threshold: float | None = None,
        all_hypotheses: bool = False,
    ) -> Iterator[QTable]:
        """Yields the sources in each of many fields, in order; see `detect`.

        The next fields are read while the network runs, and some are measured at once.
        If `fields` are paths or a generator, no more than that are in memory.

        Args:
            fields: Paths, HDUs, arrays or fields, see `claran.read_field`.
            score_threshold: See `detect`.
            all_hypotheses: See `detect`.

        Raises:
            ImageError: See `detect`.
            ValueError: See `detect`.
        """
        lowest = self.lowest_score(score_threshold, all_hypotheses=all_hypotheses)
        found = self.engine.detect(
            fields, read_field, score_threshold=lowest, measured=not all_hypotheses
        )
        for one in found:
            assert one.field is not None  # noqa: S101 - nothing is skipped.
            if notes := (*one.field.notes, *one.field.domain_notes):
                warnings.warn(
                    f"{one.field.name}: {'; '.join(notes)}.",
                    ImageWarning,
                    stacklevel=3,
                )
            yield self.table(
                one.field,
                one.detections,
                score_threshold=lowest,
                all_hypotheses=all_hypotheses,
            )

    def lowest_score(
        self, score_threshold: float | None = None, *, all_hypotheses: bool = False
    ) -> float:
        """Returns the probability or score above which detections are in a table.

        Args:
            score_threshold: The given score; None for that of a catalog, 0.5 where
                islands are counted and else 0.8, or with `all_hypotheses` for that
                above which detections are evaluated, 0.003 or 0.05. Of random weights
                all are shown: they give each class about 1/7.
            all_hypotheses: See `detect`.

        Raises:
            ValueError: The score is not in [0, 1].
        """
        if score_threshold is not None:
            number = isinstance(score_threshold, float | int | np.floating)
            if not (number and 0 <= score_threshold <= 1):
                raise ValueError(
                    f"`score_threshold` must be in [0, 1], got {score_threshold!r}."
                )
            return score_threshold
        if all_hypotheses:
            return self.model.finisher.lowest_score
        return self.model.finisher.catalog_threshold if self.trained else 0.0

    def table(
        self,
        field: Field,
        found: Detections,
        *,
        score_threshold: float,
        all_hypotheses: bool = False,
    ) -> QTable:
        """Returns detections in a field as a table, see `detect`.

        Args:
            field: The field.
            found: Detections in it, measured or not, see
                `claran.detection.engine.Engine.detect`.
            score_threshold: Threshold of their scores, for the metadata.
            all_hypotheses: See `detect`.
        """
        found = table_rows(field, found, all_hypotheses=all_hypotheses)
        return detection_table(
            [field.name] * len(found),
            self.codes(found),
            found.scores,
            found.boxes,
            columns=found.columns,
            meta=self.metadata(
                score_threshold,
                field.survey,
                self.assumptions(field),
                row_notes(field, found),
                all_hypotheses=all_hypotheses,
            ),
        )

    def codes(self, found: Detections) -> list[str]:
        """Returns the class code of each detection, such as "2_3"."""
        return [self.model.class_names[label - 1] for label in found.labels]

    def assumptions(self, field: Field) -> tuple[str, ...]:
        """Returns the assumptions about a field that matter to the model."""
        return field.assumptions if self.model.preprocessor.uses_beam else ()

    def metadata(
        self,
        score_threshold: float,
        survey: Survey | None,
        assumed: Iterable[str],
        noted: Iterable[str] = (),
        *,
        all_hypotheses: bool = False,
    ) -> dict[str, Any]:
        """Returns the metadata of a table, with keys for a FITS header.

        Args:
            score_threshold: See `detect`.
            survey: Survey of the fields; None if unknown.
            assumed: Assumptions about the fields.
            noted: Notes on their headers, see `claran.sky.images.SkyImage`.
            all_hypotheses: Whether alternatives are in the table.
        """
        network = self.model.network
        about = {
            "CLARAN": __version__,
            "MODEL": self.name,
            "MODELSHA": "" if self.file is None else self.fingerprint[:16],
            "ROWS": "all hypotheses" if all_hypotheses else "catalog",
            "MINSCORE": score_threshold,
            "CATSCORE": self.model.finisher.catalog_threshold,
            "CLASSES": ",".join(self.model.class_names),
            "INCLBOX": network.decoder.offset == 1 or "",
            "NMSIOU": ""
            if network.decoder.iou_threshold is None
            else network.decoder.iou_threshold,
            "RPNIOU": network.proposals.iou_threshold,
            "AVERAGE": self.engine.average or "",
            "SURVEY": "" if survey is None else survey.name,
            "ASSUMED": "; ".join(assumed),
            "NOTES": "; ".join(noted),
        }
        return {name: value for name, value in about.items() if value != ""}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model's file; a random number for a model without a file.

        It is not a hash of the model: for its configuration Keras imports TensorFlow,
        which takes 2 s and 0.4 GB.
        """
        return secrets.token_hex() if self.file is None else self._file_hash

    @functools.cached_property
    def _file_hash(self) -> str:
        assert self.file is not None  # noqa: S101 - `fingerprint` checks it.
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
        score_threshold: float | None = None,
    ) -> "Figure":
        """Returns a Matplotlib figure of a field with its sources.

        Args:
            radio: See `detect`.
            infrared: See `detect`; the background of the figure, if given.
            table: Table of `detect`; None to detect now.
            wcs: See `detect`.
            survey: See `detect`.
            beam_arcsec: See `detect`.
            score_threshold: See `detect`.

        Raises:
            ImageError: See `detect`.
            ValueError: See `detect`.
        """
        # Matplotlib takes a quarter of a second, and who detects may draw nothing.
        from claran import plotting  # noqa: PLC0415

        field = read_field(
            radio, infrared, wcs=wcs, survey=survey, beam_arcsec=beam_arcsec
        )
        if table is None:
            table = self.detect(field, score_threshold=score_threshold)
        return plotting.plot_field(field, table)
