"""The network of a survey, in this process and in those that work for it."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.detector import Detector
from claran.detection.finisher import IslandFinisher
from claran.detection.network_calls import CompiledNetwork, network_batch
from claran.detection.symmetries import (
    SYMMETRIES,
    in_all_looks,
    turned,
    turned_shape,
)
from claran.errors import ImageError
from claran.fields.channels import Channels
from claran.fields.preprocessing import View

__all__ = ["SurveyNetwork"]


class SurveyNetwork:
    """A detector's network, which is compiled once in each process.

    Another process opens the detector's file, which it must see under the same path. A
    detector without a file is sent whole.

    Args:
        detector: The detector.

    Raises:
        ValueError: It sees whole fields, so that it cannot search mosaics.
    """

    def __init__(self, detector: Detector) -> None:
        self.model: DetectionModel = detector.model
        finisher, preprocessor = self.model.finisher, self.model.preprocessor
        if not (
            isinstance(preprocessor, Channels)
            and preprocessor.uses_beam
            and not preprocessor.centered
            and isinstance(finisher, IslandFinisher)
            and finisher.counts_islands
        ):
            raise ValueError(
                f"{detector.name} sees whole fields, so that it cannot search mosaics; "
                "take a model that counts islands, such as claran_v1."
            )
        self.finisher, self.preprocessor = finisher, preprocessor
        self._file = detector.file
        self._hash = detector.fingerprint
        self._batch_size = detector.engine.compiled.batch_size
        self.average = detector.engine.average

    @property
    def fingerprint(self) -> str:
        """What stands for the network in `claran.survey.fingerprints`."""
        return f"{self._hash} {self._choices()}"

    @functools.cached_property
    def _compiled(self) -> CompiledNetwork:
        return CompiledNetwork(self.model, batch_size=self._batch_size)

    @functools.cached_property
    def _weights(self) -> Any:
        return self._compiled.weights()

    def detect(self, views: Sequence[View], size: tuple[int, int]) -> list[Any]:
        """Returns the network's detections in each view, as NumPy arrays.

        Args:
            views: Views that fit into one size, with one number of `island_slots`.
            size: Rows and columns of the network's input.
        """
        if not self.average:
            return self._look(views, size)
        looks = [
            self._look([turned(one, k) for one in views], turned_shape(size, k))
            for k in range(SYMMETRIES)
        ]
        return [
            in_all_looks(outputs, view.image_info)
            for view, *outputs in zip(views, *looks, strict=True)
        ]

    def _look(self, views: Sequence[View], size: tuple[int, int]) -> list[Any]:
        outputs: list[Any] = []
        capacity = self._compiled.capacity(*size)
        blank = self.model.preprocessor.blank
        for start in range(0, len(views), capacity):
            part = list(views[start : start + capacity])
            filled = part + part[:1] * (capacity - len(part))
            batch = network_batch(filled, size, blank=blank)
            output = self._compiled(self._weights, batch)
            outputs += [
                jax.tree.map(lambda array, row=row: array[row], output)
                for row in range(len(part))
            ]
        return outputs

    def _choices(self) -> dict[str, Any]:
        network = self.model.network
        return {
            "nms_threshold": network.decoder.iou_threshold,
            "rpn_nms_threshold": network.proposals.iou_threshold,
            "average": self.average,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        model = self.model if self._file is None else None
        options = {"batch_size": self._batch_size, **self._choices()}
        return _open_again, (model, self._file, self._hash, options)


def _open_again(
    model: DetectionModel | None,
    file: Path | None,
    fingerprint: str,
    options: dict[str, Any],
) -> SurveyNetwork:
    """Returns a copy of a network in another process.

    Raises:
        ImageError: The detector's file is not there, or another one.
    """
    accelerator.use_accelerator()
    if model is None:
        assert file is not None  # noqa: S101 - one of them is there.
        detector = Detector.from_preset(file, **options)
        if detector.fingerprint != fingerprint:
            raise ImageError(
                f"{file}: is another model on a worker; all need the same files."
            )
        return SurveyNetwork(detector)
    kept = {name: options[name] for name in ("batch_size", "average")}
    copy = SurveyNetwork(Detector(model, **kept))
    copy._hash = fingerprint
    return copy
