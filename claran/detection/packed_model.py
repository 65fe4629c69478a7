"""Copies of a model, for `pickle`, also in processes that cannot run the network."""

import dataclasses
import hashlib
from typing import Any

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.finisher import Finisher
from claran.detection.presets import PRESETS
from claran.fields.preprocessing import Preprocessor
from claran.layers.box_decoder import BoxDecoder
from claran.layers.group_decoder import GroupDecoder
from claran.layers.proposals import Proposals

__all__ = ["PackedModel", "open_copy", "pack"]

_KNOWN = PRESETS  # Their import tells Keras of every kind of layer.


@dataclasses.dataclass
class PackedNetwork:
    """What tables say of a network; see `claran.models.faster_rcnn.FasterRcnn`."""

    decoder: BoxDecoder | GroupDecoder
    proposals: Proposals
    num_classes: int
    weights: int

    def count_params(self) -> int:
        """Returns the number of weights."""
        return self.weights


@dataclasses.dataclass
class PackedModel:
    """A copy of a `DetectionModel` in a forked process, where JAX would hang.

    Another process runs its network, see `claran.detection.forked_engine`.

    Attributes:
        content: Keras's function that makes the model, and its arguments.
        network: What is known of the network.
        name: See `DetectionModel`.
        preprocessor: See there.
        finisher: See there.
        class_names: See there.
        fingerprint: Hash of the model; other thresholds give it another one.
    """

    content: tuple[Any, tuple[Any, ...]]
    network: PackedNetwork
    name: str
    preprocessor: Preprocessor
    finisher: Finisher
    class_names: tuple[str, ...]
    fingerprint: str

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):  # Such as `save`; Python itself asks for those.
            accelerator.check_not_forked()
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def set_thresholds(self, **thresholds: float | None) -> None:
        """See `DetectionModel.set_thresholds`."""
        DetectionModel.set_thresholds(self, **thresholds)  # pyright: ignore
        about = f"{self.fingerprint} {thresholds}"
        self.fingerprint = hashlib.sha256(about.encode()).hexdigest()

    def model_hash(self) -> str:
        """See `DetectionModel.model_hash`."""
        return self.fingerprint

    def __reduce__(self) -> tuple[Any, ...]:
        network = self.network
        facts = (
            type(network.decoder), network.decoder.get_config(),
            network.proposals.get_config(), network.num_classes, network.weights,
        )  # fmt: skip
        return open_copy, (
            self.content, facts, self.name, self.preprocessor, self.finisher,
            self.class_names, self.fingerprint,
        )  # fmt: skip


def pack(model: DetectionModel, content: tuple[Any, ...]) -> PackedModel:
    """Returns a model as `pickle` keeps it.

    Args:
        model: The model.
        content: What Keras would let `pickle` keep.
    """
    network = model.network
    return PackedModel(
        content=(content[0], content[1]),
        network=PackedNetwork(
            network.decoder, network.proposals, network.num_classes,
            network.count_params(),
        ),
        name=model.name,
        preprocessor=model.preprocessor,
        finisher=model.finisher,
        class_names=model.class_names,
        fingerprint=model.model_hash(),
    )  # fmt: skip


def open_copy(
    content: tuple[Any, tuple[Any, ...]], facts: tuple[Any, ...], *others: Any
) -> DetectionModel | PackedModel:
    """Returns a copy of a model; in a forked process, one that is not opened.

    Args:
        content: See `PackedModel`.
        facts: Class of the decoder, configurations of decoder and proposals, numbers of
            classes and weights.
        *others: The further attributes of `PackedModel`.
    """
    kind, decoder, proposals, *numbers = facts
    if accelerator.is_forked():
        parts = kind.from_config(decoder), Proposals.from_config(proposals)
        return PackedModel(content, PackedNetwork(*parts, *numbers), *others)
    make, arguments = content
    model = make(*arguments)
    model.set_thresholds(
        nms_threshold=decoder.get("iou_threshold"),
        rpn_nms_threshold=proposals["iou_threshold"],
    )
    return model
