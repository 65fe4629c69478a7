"""The data set that the flags ask for."""

import importlib
from typing import Any

from absl import flags

from claran.commands.common import UsageError

__all__ = ["data_set", "rgz"]

flags.DEFINE_string(
    "data",
    None,
    "rgz/simulated_small, _1k, _12k or _100k; rgz/pairs, rgz/d1, rgz/d3 or rgz/d4 (see "
    "datasets/rgz/README.md).",
)
flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Where data sets are kept.")
flags.DEFINE_string(
    "manual_dir", None, "prepare: your own files; their layout is in that README.md."
)
flags.DEFINE_integer(
    "workers", None, "prepare: processes; default one a core.", lower_bound=1
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


def rgz() -> Any:
    """Returns the module that prepares; two seconds to import, so not at the top."""
    return importlib.import_module("claran_rgz.prepare")
