"""The data set that the flags ask for."""

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
    "rgz/simulated_small, _1k, _12k or _100k; rgz/pairs, rgz/d1, rgz/d3 or rgz/d4 (see "
    "datasets/rgz/README.md). But in prepare also your own: a folder with "
    "annotations.csv and FITS files, one with PASCAL VOC .xml files and pictures, a "
    "COCO .json file, or a prepared folder. In train and eval also simulated, "
    "simulated/balanced or simulated/first: made as they are asked for.",
)
flags.DEFINE_string(
    "split",
    None,
    "preview, eval: train, validation, test, all, or a part like 'train[:100]'; "
    "default train in preview, test in eval.",
)
flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Where data sets are kept.")
flags.DEFINE_string(
    "manual_dir", None, "prepare: your own files; their layout is in that README.md."
)
flags.DEFINE_integer(
    "workers",
    None,
    "Processes that make fields (prepare) or batches (train, eval); with 0 this one "
    "does, batches in a thread of it. Default: as many as pay, one a core at most.",
    lower_bound=0,
)
flags.DEFINE_boolean("overwrite", False, "prepare: make it again if it is there.")
flags.DEFINE_list(
    "beam_options",
    None,
    "prepare: options of Apache Beam, which then makes simulated fields, such as "
    "--runner=DirectRunner.",
)
flags.DEFINE_integer("seed", 0, "Decides all that is drawn at random.", lower_bound=0)
FLAGS = flags.FLAGS

# Added to the seed: no field of one split is in another.
SPLITS = {"train": 0, "validation": 2**31, "test": 2**32}


def data_set() -> Any:
    """Returns the builder of the data set; makes it if need be."""
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
    split: str, *, class_names: Sequence[str] | None = None
) -> FieldSource:
    """Returns the fields of a split of what `--data` names; says what is wrong there.

    Args:
        split: See `claran.data.sources.open_source`.
        class_names: Likewise; None for what `--class_names` says.
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
    if source.report.counts:
        say(str(source.report))
    return source


def are_simulated() -> bool:
    """Returns whether `--data` names fields that are made as they are asked for."""
    return FLAGS.data in SIMULATED


def simulated_fields(count: int, split: str) -> SimulatedFields:
    """Returns as many of the fields that `--data` names.

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
    """Returns the module that prepares; two seconds to import, so not at the top."""
    return importlib.import_module("claran_rgz.prepare")
