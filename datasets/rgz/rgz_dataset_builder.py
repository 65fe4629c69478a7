"""TFDS builder of Radio Galaxy Zoo: pairs, ClaRAN's pictures and simulated fields."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from claran.data.annotations import Report
from claran.data.field_files import FieldFiles, Place, sky_place
from claran.data.folders import divide, find_pairs
from claran.errors import ImageError
from claran.io.parallel import parallel_map
from claran.labels import RGZ_CLASSES
from claran.sky.images import read_sky_image

from . import originals, radiogalaxynet, simulated
from .examples import pair_example, pair_features, picture_features

__all__ = ["Builder", "RgzConfig"]

Example = tuple[str, dict[str, Any]]


@dataclasses.dataclass(eq=False, kw_only=True)
class RgzConfig(tfds.core.BuilderConfig):
    """A configuration of the data set.

    Attributes:
        kind: "pairs", "pictures", "radiogalaxynet" or "simulated".
        classes: The class list.
        method: For "pictures": "D1", "D3" or "D4".
        fields: For "simulated": the number of training fields.
        clean: For "radiogalaxynet": whether images are left out that show sky of a
            later split.
    """

    kind: str
    classes: tuple[str, ...] = RGZ_CLASSES
    method: str = ""
    fields: int = 0
    clean: bool = False


def _configs() -> list[RgzConfig]:
    sizes = {"small": 64, "1k": 1_000, "12k": 12_000, "100k": 100_000}
    return [
        RgzConfig(
            name="pairs",
            kind="pairs",
            description="Radio FITS with infrared images and a table of boxes.",
        ),
        *(
            RgzConfig(
                name=method.lower(),
                kind="pictures",
                method=method,
                description=f"ClaRAN's own {method} pictures.",
            )
            for method in ("D1", "D3", "D4")
        ),
        *(
            RgzConfig(
                name="radiogalaxynet" + "_clean" * clean,
                kind="radiogalaxynet",
                classes=radiogalaxynet.CLASSES,
                clean=clean,
                description="RadioGalaxyNET (EMU and WISE), "
                + ("without sky of other splits." if clean else "as published."),
            )
            for clean in (False, True)
        ),
        *(
            RgzConfig(
                name=f"simulated_{size}",
                kind="simulated",
                fields=fields,
                description=f"{fields:,} simulated training fields.",
            )
            for size, fields in sizes.items()
        ),
    ]


class Builder(tfds.core.GeneratorBasedBuilder):
    """The data set `rgz`. README.md describes its configurations and features.

    Attributes:
        workers: Processes that make examples. None means one per core for large splits,
            and no extra process for small ones.
        beam: Whether Apache Beam makes the simulated fields.
        report: Problems of the data, collected while they are prepared.
    """

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {  # noqa: RUF012 - the name is TFDS's.
        "1.0.0": "First release.",
        "1.1.0": "Simulated sources and noise follow real cutouts more closely.",
        "1.2.0": "Simulated giants; sizes of 1_3 and 2_2 as in the catalog.",
    }
    BUILDER_CONFIGS = _configs()
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "pairs: annotations.csv, and FITS and infrared files at any depth. "
        "radiogalaxynet: train.json, val.json, images. d1, d3, d4: "
        "annotation.tar, D1_images.tgz (D3, D4) and the lists trainD1.txt and "
        "testD1.txt, or the original's folders Annotations, PNGImages and "
        "ImageSets/Main. See README.md."
    )

    workers: int | None = None
    beam: bool = False

    @functools.cached_property
    def report(self) -> Report:
        return Report()

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._config
        features = picture_features if config.kind == "pictures" else pair_features
        return self.dataset_info_from_configs(
            features=features(config.classes),
            homepage="https://doi.org/10.1093/mnras/sty2646",
            metadata=tfds.core.MetadataDict(report="{}"),
        )

    @property
    def _config(self) -> RgzConfig:
        if not isinstance(self.builder_config, RgzConfig):
            raise TypeError(
                f"`config` must be an RgzConfig, got {self.builder_config}."
            )
        return self.builder_config

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        config = self._config
        if config.kind == "simulated":
            counts = simulated.split_sizes(config.fields)
            if self.beam:
                return {name: simulated.as_beam(name, n) for name, n in counts.items()}
            return {
                name: _Sized(self._simulated(name, n), n) for name, n in counts.items()
            }
        if config.kind == "radiogalaxynet":
            return self._radiogalaxynet(_manual(dl_manager))
        if config.kind == "pictures":
            sources = originals.find_sources(dl_manager, config.method)
            by_split, found = originals.read_labels(sources, config.classes)
            examples = {
                split: originals.picture_examples(
                    sources.images, own, config.classes, self.report
                )
                for split, own in by_split.items()
            }
        else:
            files, labels = find_pairs(_manual(dl_manager), config.classes)
            found = labels.report
            by_split = divide(files, [_place(field) for field in files], found)
            examples = {split: self._pairs(own) for split, own in by_split.items()}
        self.report.merge(found)
        return {
            split: self._reported(split, examples[split], len(own))
            for split, own in by_split.items()
        }

    def _generate_examples(self) -> Iterator[Example]:
        """Unused: `_split_generators` returns the generators."""
        yield from ()

    def _pairs(self, own: list[FieldFiles]) -> Iterator[Example]:
        make = functools.partial(pair_example, classes=self._config.classes)
        made = parallel_map(make, own, workers=self._workers(len(own)))
        for example, problems in made:
            for kind, message in problems:
                self.report.add(kind, message)
            if example is not None:
                yield example["name"], example

    def _radiogalaxynet(self, folder: Path) -> dict[str, "_Sized"]:
        clean = self._config.clean
        found = radiogalaxynet.read_labels(folder, clean=clean, report=self.report)
        return {
            split: self._reported(
                split,
                (
                    (example["name"], example)
                    for example in radiogalaxynet.examples(folder, labels, left_out)
                ),
                len(labels.fields) - len(left_out),
            )
            for split, (labels, left_out) in found.items()
        }

    def _simulated(self, split: str, count: int) -> Iterator[Example]:
        places = ((split, number) for number in range(count))
        workers = self._workers(count)
        yield from parallel_map(simulated.make_example, places, workers=workers)

    def _workers(self, count: int) -> int | None:
        # Starting processes takes as long as making several hundred fields.
        return 1 if self.workers is None and count < 500 else self.workers

    def _reported(
        self, split: str, examples: Iterator[Example], count: int
    ) -> "_Sized":
        """Returns the examples; after the last one the report is written."""

        def generate() -> Iterator[Example]:
            made = 0
            for made, example in enumerate(examples, start=1):  # noqa: B007
                yield example
            if not made:
                raise ImageError(f"No usable field in {split}; {self.report}.")
            self._write_report()

        return _Sized(generate(), count)

    def _write_report(self) -> None:
        """Writes the report into the data set's metadata."""
        if self.info.metadata is not None:
            self.info.metadata["report"] = json.dumps(self.report.to_dict())


def _place(files: FieldFiles) -> Place:
    radio = None
    if files.radio is not None:
        with contextlib.suppress(Exception):  # Reported once the example is made.
            radio = read_sky_image(files.radio)
    return sky_place(files.labels.name, radio)


def _manual(dl_manager: Any) -> Path:
    try:
        return Path(dl_manager.manual_dir)
    except AssertionError as error:
        raise ImageError(f"{error} Pass the folder as --manual_dir.") from None


@dataclasses.dataclass(frozen=True)
class _Sized:
    """Examples with their expected number, for TFDS's progress bar."""

    examples: Iterator[Example]
    count: int

    def __iter__(self) -> Iterator[Example]:
        return self.examples

    def __len__(self) -> int:
        return self.count
