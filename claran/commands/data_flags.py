"""The labelled fields that the flags name."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.outputs import require_writable
from claran.data.sources import FieldSource, open_source
from claran.io.paths import expand_home
from claran.simulation.endless import SIMULATED, SimulatedFields

__all__ = [
    "are_simulated",
    "data_set",
    "labelled_fields",
    "rgz",
    "simulated_fields",
]

FLAGS = flags.FLAGS

# Added to the seed, so that no field is in two splits.
SPLITS = {"train": 0, "validation": 2**31, "test": 2**32}


def data_set() -> Any:
    """Returns the builder of the data set, which is made if it does not exist.

    Raises:
        UsageError: Nothing can be written into `--data_dir`.
    """
    folder = Path(expand_home(FLAGS.data_dir))
    if not folder.is_dir():
        require_writable("data_dir", folder)
    return rgz().prepare(
        FLAGS.data,
        data_dir=folder,
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
    data, names = FLAGS.data, class_names or FLAGS.class_names
    about = {"survey": survey_flags.survey(), "beam_arcsec": FLAGS.beam}
    if data.startswith("rgz/"):
        folder = data_set().data_dir
        source = open_source(folder, split, class_names=class_names, **about)
        return _some(source, split)
    if not Path(data).exists():
        raise UsageError(
            f"--data={data}: no such file or folder; give one with labelled fields, or "
            "a data set such as rgz/pairs or rgz/simulated_12k."
        )
    source = open_source(data, split, class_names=names, **about)
    say(f"{data}: {len(source)} fields ({split}); {', '.join(source.class_names)}")
    if source.report.counts and not again:
        say(str(source.report))
    return _some(source, split)


def _some(source: FieldSource, split: str) -> FieldSource:
    if not len(source):
        raise UsageError(
            f"--data={FLAGS.data} has no field in the split {split}; give another one."
        )
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
