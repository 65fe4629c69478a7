"""Finishers: from the network's detections to those of a field."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from claran.detection.alternatives import sharing_places
from claran.detection.counting import FAINT, FieldIslands, recount
from claran.detection.detections import ALTERNATIVE, Detections
from claran.detection.group_members import MEMBERS
from claran.detection.symmetries import LOOK
from claran.errors import ImageError
from claran.fields.field import Field
from claran.labels import RGZ_CLASSES

__all__ = [
    "LOWEST_SCORE",
    "Finisher",
    "IslandFinisher",
    "finisher_from_config",
    "trust_in_counting",
]

LOWEST_SCORE = 0.05  # As in the original's evaluation.
COUNT_TRUST = 0.95  # Counting is right for 159 of 168 real sources.


@runtime_checkable
class Finisher(Protocol):
    """Makes a field's detections from the network's."""

    @property
    def counts_islands(self) -> bool:
        """Whether a detection is a group of islands.

        Then the network is not shown the empty sky.
        """
        ...

    @property
    def catalog_threshold(self) -> float:
        """Probability above which sources are included in a catalog."""
        ...

    @property
    def lowest_score(self) -> float:
        """Score above which detections are hypotheses, and are evaluated."""
        ...

    def for_classes(self, class_names: Sequence[str]) -> "Finisher":
        """Returns the finisher for other classes."""
        ...

    def network_threshold(self, score_threshold: float) -> float:
        """Returns the lowest score of the network's detections to take."""
        ...

    def __call__(
        self,
        field: Field,
        found: Detections,
        islands: Int[np.ndarray, "k"],
        class_names: Sequence[str],
    ) -> Detections:
        """Returns the detections in a cluster of islands, with the alternatives marked.

        Args:
            field: The field.
            found: Detections of the network; boxes in pixels of the field's array.
            islands: Numbers of the field's islands in the cluster.
            class_names: Names of the labels 1, 2 ...
        """
        ...

    def get_config(self) -> dict[str, Any]:
        """Returns values for JSON, see `finisher_from_config`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class IslandFinisher:
    """Clips boxes to the field, and classifies by counting islands and peaks.

    Attributes:
        count_trust: Fraction of a source's probability that goes to the class obtained
            by counting its islands and peaks, see `claran.detection.counting`. With 0
            nothing is counted: boxes and classes are the network's.
        clip: Whether boxes are clipped to the field. ClaRAN does not: a box entirely
            outside remains, with its edges exchanged.
        groups: Whether the network judges groups of islands, so that what it says of
            them is what a detection is, whatever its classes.

    Raises:
        ValueError: `count_trust` is not in [0, 1].
    """

    count_trust: float = 0.0
    clip: bool = True
    groups: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.count_trust <= 1:
            raise ValueError(
                f"`count_trust` must be in [0, 1], got {self.count_trust}."
            )

    @property
    def counts_islands(self) -> bool:
        """Whether a detection is a group of islands."""
        return self.count_trust > 0 or self.groups

    @property
    def catalog_threshold(self) -> float:
        """Probability above which sources are included in a catalog.

        Where islands are counted, no two sources above 0.5 share an island. ClaRAN's
        demo uses 0.8.
        """
        return 0.5 if self.counts_islands else 0.8

    @property
    def lowest_score(self) -> float:
        """Score above which detections are hypotheses, and are evaluated.

        0.05 as in the original's evaluation, 0.003 where islands are counted.
        """
        return self.network_threshold(LOWEST_SCORE)

    def network_threshold(self, score_threshold: float) -> float:
        """Returns the lowest score of the network's detections to take.

        Counting adds up the probabilities of a source's classes. The sum may exceed a
        threshold that none of them exceeds.
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
        if self.clip:  # The scene is rounded to whole pixels, and may be a bit larger.
            boxes = np.clip(boxes, 0, np.array([*field.shape[::-1]] * 2))
        if not (self.counts_islands and field.has_radio):
            taken = sharing_places(boxes, found.scores, _island_boxes(field))
            found = found.with_columns(**{ALTERNATIVE: taken})
            return dataclasses.replace(found, boxes=boxes)
        members = None
        if self.groups:  # Numbers in the field; those of the cluster are in order.
            members = found.columns.get(MEMBERS, np.zeros((len(found), 0), np.int64))
            own = np.searchsorted(islands, members)
            members = np.where(members >= 0, own, -1)
        return recount(
            boxes,
            found.labels,
            found.scores,
            FieldIslands(
                field.islands.boxes[islands].astype(np.float64),
                field.peak_counts[islands],
                islands,
            ),
            class_names,
            trust=self.count_trust,
            looks=found.columns.get(LOOK),
            members=members,
        )

    def for_classes(self, class_names: Sequence[str]) -> "IslandFinisher":
        """Returns the finisher for other classes; counts only classes of counts."""
        trust = min(self.count_trust, trust_in_counting(class_names))
        return dataclasses.replace(self, count_trust=trust)

    def get_config(self) -> dict[str, Any]:
        """Returns values for JSON, see `finisher_from_config`."""
        return {"kind": "islands"} | dataclasses.asdict(self)


def _island_boxes(field: Field) -> Float[np.ndarray, "k 4"]:
    """Returns the boxes of a field's islands; none for a picture."""
    try:
        return field.islands.boxes.astype(np.float64)
    except ImageError:  # Its noise cannot be measured, but D1 needs none.
        return np.zeros((0, 4))


def trust_in_counting(class_names: Sequence[str]) -> float:
    """Returns how often counting gives the right class.

    It is 0 for classes that are not numbers of components and peaks.

    >>> trust_in_counting(["1_1", "2_3"]), trust_in_counting(["FR-I", "FR-II"])
    (0.95, 0.0)
    """
    return COUNT_TRUST if set(class_names) <= set(RGZ_CLASSES) else 0.0


def finisher_from_config(config: dict[str, Any]) -> Finisher:
    """Returns the finisher with the configuration of its `get_config`.

    Raises:
        ValueError: The kind is unknown, or a value is out of range.
    """
    values = dict(config)
    kind = values.pop("kind", None)
    if kind != "islands":
        raise ValueError(f"`kind` of a finisher must be islands, got {kind!r}.")
    return IslandFinisher(**values)
