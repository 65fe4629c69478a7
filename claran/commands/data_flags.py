"""Flags for data, and the labelled fields that they name."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.data.sources import FieldSource, open_source
from claran.simulation.endless import SIMULATED, SimulatedFields

__all__ = [
    "are_simulated",
    "data_set",
    "labelled_fields",
    "rgz",
    "simulated_fields",
]

flags.DEFINE_string(
    "data",
    None,
    "Data set: rgz/simulated_small, _1k, _12k or _100k; rgz/pairs, rgz/d1, rgz/d3 or "
    "rgz/d4 (see datasets/rgz/README.md). preview, train, eval: also a path of your "
    "own data: a folder with annotations.csv and FITS files, or with PASCAL VOC .xml "
    "files and pictures; a COCO .json file; or a prepared folder. train, eval: also "
    "simulated, simulated/balanced or simulated/first, whose fields are made when "
    "they are needed.",
)
flags.DEFINE_string(
    "split",
    None,
    "preview, eval: train, validation, test, all, or a part such as 'train[:100]'; "
    "default: train in preview, test in eval.",
)
flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Folder of data sets.")
flags.DEFINE_string(
    "manual_dir",
    None,
    "prepare: folder of your own files; see datasets/rgz/README.md for the layout.",
)
flags.DEFINE_integer(
    "workers",
    None,
    "Number of processes that make fields (prepare, eval) or batches (train); 0: this "
    "process. Default: up to one per core, depending on the amount of work.",
    lower_bound=0,
)
flags.DEFINE_boolean("overwrite", False, "prepare: replace an existing data set.")
flags.DEFINE_list(
    "beam_options",
    None,
    "prepare: options of Apache Beam, to make simulated fields with it, such as "
    "--runner=DirectRunner.",
)
flags.DEFINE_integer("seed", 0, "Seed of all random numbers.", lower_bound=0)
FLAGS = flags.FLAGS

# Added to the seed, so that no field is in two splits.
SPLITS = {"train": 0, "validation": 2**31, "test": 2**32}


def data_set() -> Any:
    """Returns the builder of the data set, which is made if it does not exist.

    Raises:
        UsageError: `--data` is missing.
    """
    if not FLAGS.data:
        raise UsageError("Give --data, such as rgz/pairs or rgz/simulated_12k.")
    return rgz().prepare(
        FLAGS.data,
        data_dir=FLAGS.data_dir,
        manual_dir=FLAGS.manual_dir,
        workers=FLAGS.workers,
        overwrite=FLAGS.overwrite,
        classes=FLAGS.class_names,
        beam_options=FLAGS.beam_options,
    )


def labelled_fields(
    split: str, *, class_names: Sequence[str] | None = None, again: bool = False
) -> FieldSource:
    """Returns the fields of a split of `--data`, and prints the problems of the data.

    Args:
        split: See `claran.data.sources.open_source`.
        class_names: Names of the classes; None for `--class_names`.
        again: Whether another split was opened before, so that the problems are known.

    Raises:
        UsageError: There is no such file or folder.
        ImageError: The data cannot be used.
        ValueError: There is no such split.
    """
    data, names = FLAGS.data or "", class_names or FLAGS.class_names
    about = {"survey": survey_flags.survey(), "beam_arcsec": survey_flags.beam()}
    if not data or data.startswith("rgz/"):
        return open_source(data_set().data_dir, split, class_names=class_names, **about)
    if not Path(data).expanduser().exists():
        raise UsageError(
            f"--data={data}: no such file or folder; give one with labelled fields, or "
            "a data set such as rgz/pairs or rgz/simulated_12k."
        )
    source = open_source(data, split, class_names=names, **about)
    say(f"{data}: {len(source)} fields ({split}); {', '.join(source.class_names)}")
    if source.report.counts and not again:
        say(str(source.report))
    return source


def are_simulated() -> bool:
    """Returns whether `--data` names fields that are simulated when needed."""
    return FLAGS.data in SIMULATED


def simulated_fields(count: int, split: str) -> SimulatedFields:
    """Returns simulated fields of `--data`.

    Args:
        count: Number of fields.
        split: "train", "validation" or "test".

    Raises:
        UsageError: There is no such split.
    """
    if split not in SPLITS:
        raise UsageError(
            f"--split={split}: --data={FLAGS.data} has {', '.join(SPLITS)}."
        )
    return SimulatedFields(
        count, seed=FLAGS.seed + SPLITS[split], **SIMULATED[FLAGS.data]
    )


def rgz() -> Any:
    """Returns the module that prepares data sets; its import takes two seconds."""
    return importlib.import_module("claran_rgz.prepare")
