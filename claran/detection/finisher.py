"""What is made of a network's detections: boxes in the field, counted classes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from claran.detection.counting import FAINT, FieldIslands, recount
from claran.detection.detections import Detections
from claran.fields.field import Field
from claran.labels import RGZ_CLASSES

__all__ = ["Finisher", "IslandFinisher", "finisher_from_config", "trust_in_counting"]

COUNT_TRUST = 0.95  # Counting is right for 159 of 168 real sources; see sky.islands.


@runtime_checkable
class Finisher(Protocol):
    """Turns what a network found in a field into its detections."""

    @property
    def counts_islands(self) -> bool:
        """Whether a detection is a group of islands, so that empty sky is not shown."""
        ...

    @property
    def catalog_threshold(self) -> float:
        """Score above which detections make a catalog."""
        ...

    def for_classes(self, class_names: Sequence[str]) -> "Finisher":
        """Returns the finisher for other classes."""
        ...

    def network_threshold(self, score_threshold: float) -> float:
        """Returns the score to cut the network's own detections at."""
        ...

    def __call__(
        self,
        field: Field,
        found: Detections,
        islands: Int[np.ndarray, "k"],
        class_names: Sequence[str],
    ) -> Detections:
        """Returns the detections of a cluster of islands.

        Args:
            field: The field.
            found: By the network; boxes in pixels of the field's array.
            islands: Which of the field's islands are in the cluster.
            class_names: Names of the labels 1, 2 ...
        """
        ...

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `finisher_from_config`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class IslandFinisher:
    """Clips boxes to the field and, if it trusts in counting, counts islands and peaks.

    Attributes:
        count_trust: Share of a source's probability that goes to the class got by
            counting its islands and peaks, see `claran.detection.counting`; 0 leaves
            boxes and classes as the network has them.
        clip: Whether boxes are clipped to the field; without, as in ClaRAN, a box
            wholly outside stays there, inverted.

    Raises:
        ValueError: `count_trust` is not in [0, 1].
    """

    count_trust: float = 0.0
    clip: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.count_trust <= 1:
            raise ValueError(
                f"`count_trust` must be in [0, 1], got {self.count_trust}."
            )

    @property
    def counts_islands(self) -> bool:
        """Whether a detection is a group of islands."""
        return self.count_trust > 0

    @property
    def catalog_threshold(self) -> float:
        """Score above which detections make a catalog.

        Where islands are counted, no two sources above 0.5 share one; ClaRAN's demo
        takes 0.8.
        """
        return 0.5 if self.counts_islands else 0.8

    def network_threshold(self, score_threshold: float) -> float:
        """Returns the score to cut the network's own detections at.

        Counting adds up the classes of a source, so that it may pass a threshold that
        none of them passes.
        """
        return min(score_threshold, FAINT) if self.counts_islands else score_threshold

    def __call__(
        self,
        field: Field,
        found: Detections,
        islands: Int[np.ndarray, "k"],
        class_names: Sequence[str],
    ) -> Detections:
        boxes: Float[np.ndarray, "n 4"] = found.boxes
        if self.clip:  # A scaled field has whole pixels.
            boxes = np.clip(boxes, 0, np.array([*field.shape[::-1]] * 2))
        if not (self.counts_islands and field.has_radio):
            return dataclasses.replace(found, boxes=boxes)
        counted = recount(
            boxes,
            found.labels,
            found.scores,
            FieldIslands(
                field.islands.boxes[islands].astype(np.float64),
                field.island_peaks[islands],
            ),
            class_names,
            trust=self.count_trust,
        )
        boxes, labels, scores = counted
        return Detections(boxes=boxes, labels=labels, scores=scores)

    def for_classes(self, class_names: Sequence[str]) -> "IslandFinisher":
        """Returns the finisher for other classes: counts only those that it can."""
        trust = min(self.count_trust, trust_in_counting(class_names))
        return dataclasses.replace(self, count_trust=trust)

    def get_config(self) -> dict[str, Any]:
        """Returns plain values for `finisher_from_config`."""
        return {"kind": "islands"} | dataclasses.asdict(self)


def trust_in_counting(class_names: Sequence[str]) -> float:
    """Returns how often counting gives the right class; 0 for classes of another kind.

    >>> trust_in_counting(["1_1", "2_3"]), trust_in_counting(["FR-I", "FR-II"])
    (0.95, 0.0)
    """
    return COUNT_TRUST if set(class_names) <= set(RGZ_CLASSES) else 0.0


def finisher_from_config(config: dict[str, Any]) -> Finisher:
    """Returns the finisher that `get_config` described.

    Raises:
        ValueError: There is no such kind, or a value makes no sense.
    """
    values = dict(config)
    kind = values.pop("kind", None)
    if kind != "islands":
        raise ValueError(f"`kind` of a finisher must be islands, got {kind!r}.")
    return IslandFinisher(**values)
