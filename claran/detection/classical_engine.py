"""The classical finder with the interface of the engine, as a baseline."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from claran.detection.classical_finder import find_sources
from claran.detection.detections import Detections
from claran.detection.engine import load_item
from claran.detection.field_results import FieldResult, Item
from claran.errors import ImageError
from claran.fields.field import Field
from claran.labels import RGZ_CLASSES
from claran.sky.islands import smallest_island

__all__ = ["ClassicalEngine"]


class ClassicalEngine:
    """Finds sources without a network; see `claran.detection.classical_finder`.

    Args:
        class_names: Names of the labels 1, 2 ...; sources of other classes are left
            out.
    """

    def __init__(self, class_names: Sequence[str] = RGZ_CLASSES) -> None:
        self.class_names = tuple(class_names)

    def detect(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Field] | None = None,
        *,
        score_threshold: float,
        skip_unusable: bool = False,
    ) -> Iterator[FieldResult[Item]]:
        """Yields the sources in each field, in order; see `Engine.detect`.

        Args:
            items: Fields, or what `load` takes.
            load: Makes a field of an item; None if the items are fields.
            score_threshold: Detections with a higher score are returned.
            skip_unusable: See `Engine.detect`.

        Raises:
            ImageError: A field cannot be used; not with `skip_unusable`.
            ValueError: A field is a picture, or its pixel size is not known.
        """
        for item in items:
            try:
                field = load_item(item, load, skip_unusable=skip_unusable)
                found = self._find(field)
            except ImageError as error:
                if not skip_unusable:
                    raise
                yield FieldResult(item, None, Detections.none(), error)
                continue
            yield FieldResult(item, field, found[found.scores > score_threshold])

    def __repr__(self) -> str:
        return f"<ClassicalEngine for {', '.join(self.class_names)}>"

    def _find(self, field: Field) -> Detections:
        if not field.has_radio:
            raise ValueError(
                f"{field.name}: is a picture; the classical finder (--model=classical) "
                "needs radio FITS images."
            )
        if not field.pixel_arcsec > 0:
            raise ValueError(
                f"{field.name}: the classical finder (--model=classical) needs the "
                "size of a pixel; give an image with a WCS, or --survey."
            )
        found = find_sources(
            field.signal_to_noise,
            pixel_arcsec=field.pixel_arcsec,
            smallest=smallest_island(field.beam_pixels),
            islands=field.islands,
            peaks=field.peaks,
        )
        numbers = {name: number for number, name in enumerate(self.class_names, 1)}
        labels = np.array([numbers.get(code, 0) for code in found.codes], np.int64)
        return Detections(
            boxes=found.boxes.astype(np.float64), labels=labels, scores=found.scores
        )[labels > 0]
