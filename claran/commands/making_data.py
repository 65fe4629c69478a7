"""The modes simulate, prepare and preview: make training data, and check them.

Simulated fields as files, with a table of their sources; for FIRST or another survey:
  python -m claran.main --mode=simulate --num=100 --output=DIR
  python -m claran.main --mode=simulate --survey=vlass --output=DIR

A data set for training: simulated, from your own files, or the original's pictures;
and figures of random fields with their boxes, to check before a training:
  python -m claran.main --mode=prepare --data=rgz/simulated_12k --data_dir=DIR
  python -m claran.main --mode=prepare --data=rgz/pairs --manual_dir=FILES
  python -m claran.main --mode=preview --data=rgz/simulated_12k --data_dir=DIR
  python -m claran.main --mode=preview --data=FILES --split=all --noaugment
"""

from pathlib import Path

import numpy as np
from absl import flags
from tqdm.auto import tqdm

from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.data_flags import data_set, labelled_fields, rgz
from claran.fields.augmentation import AddNoise, DropInfrared, Move
from claran.fields.batches import PipelineOptions, Transform, training_batches
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preprocessing import Preprocessor
from claran.fields.preview import write_preview
from claran.simulation import simulated_field as simulated
from claran.simulation.observation import FIRST, SimulatedSurvey
from claran.simulation.populations import BALANCED, CATALOG
from claran.simulation.simulated_files import write_fields
from claran.sky.pictures import METHODS

__all__ = ["prepare", "preview", "simulate"]

flags.DEFINE_integer("num", 16, "simulate: number of fields.", lower_bound=1)
flags.DEFINE_enum(
    "population",
    "catalogue",
    ("catalogue", "balanced"),
    "simulate: frequencies of the classes, as in Radio Galaxy Zoo or equal.",
)
flags.DEFINE_enum(
    "inputs",
    None,
    ("channels", "picture", *METHODS),
    "preview: the network's input. picture is for data that are only pictures, such as "
    "rgz/d4, COCO and VOC. Default: channels, or picture for such data.",
)
flags.DEFINE_boolean("augment", True, "preview: with augmentation, as in training.")
flags.DEFINE_integer("pages", 4, "preview: pages of 16 fields.", lower_bound=1)
FLAGS = flags.FLAGS

PREVIEW_PIXELS = 264  # Side of a field on a page.
PAGE_FIELDS = 16


def simulate() -> None:
    """Writes simulated fields and the table of their sources."""
    population = {"catalogue": CATALOG, "balanced": BALANCED}[FLAGS.population]
    survey = survey_flags.survey()
    observed = FIRST if survey is None else SimulatedSurvey.of(survey)
    output = Path(FLAGS.output or "fields")
    seeds = np.random.SeedSequence(FLAGS.seed).spawn(FLAGS.num)
    fields = (
        simulated.simulate(
            np.random.default_rng(seed), population=population, survey=observed
        )
        for seed in tqdm(seeds, unit="field", disable=None)
    )
    count = write_fields(fields, output)
    say(f"{count} fields, and annotations.csv with their sources: {output}")


def prepare() -> None:
    """Makes a data set; prints its contents and the problems of its files."""
    for name in ("survey", "beam"):
        if FLAGS[name].value is not None:
            raise UsageError(
                f"--{name}: a data set keeps what the headers say; give --{name} to "
                "train, eval or preview instead."
            )
    builder = data_set()
    say(rgz().summary(builder))


def preview() -> None:
    """Writes pages of random fields as a network sees them in training."""
    source = labelled_fields(FLAGS.split or "train")
    seen = FLAGS.inputs or ("channels" if source.has_radio else "picture")
    if not source.has_radio and seen != "picture":
        raise UsageError(
            f"--inputs={seen}: {FLAGS.data} has only pictures; give --inputs=picture."
        )
    preprocessor: Preprocessor
    if seen == "channels":
        preprocessor = Channels(beam_pixels=None, image_size=PREVIEW_PIXELS)
    else:
        method = "D3" if seen == "picture" else seen
        preprocessor = Picture(method=method, image_size=PREVIEW_PIXELS)
    options = PipelineOptions(
        batch_size=PAGE_FIELDS, slots=64, size=(PREVIEW_PIXELS, PREVIEW_PIXELS),
        seed=FLAGS.seed,
    )  # fmt: skip
    augment = _augmentation(seen, has_radio=source.has_radio) if FLAGS.augment else []
    with training_batches(
        source, preprocessor, augment=augment, options=options
    ) as batches:
        folder = Path(FLAGS.output or "preview")
        pages = write_preview(
            batches, folder, pages=FLAGS.pages, class_names=source.class_names
        )
        for path in pages:
            say(str(path))


def _augmentation(seen: str, *, has_radio: bool) -> list[Transform]:
    if not has_radio:
        # The outline of a source in a picture is unknown, but quarter turns are exact.
        return [Move(shift=8, step=90)]
    augment: list[Transform] = [Move(shift=8), AddNoise()]
    return [*augment, DropInfrared()] if seen == "channels" else augment
