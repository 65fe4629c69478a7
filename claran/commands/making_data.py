"""The modes simulate, prepare and preview: data to train on, and a look at them.

Simulated fields as files, with a table of their sources; as FIRST sees them, or another
survey:
  python -m claran.main --mode=simulate --num=100 --output=DIR
  python -m claran.main --mode=simulate --survey=vlass --output=DIR

A data set for training: simulated, from your own files, or the original's pictures;
and pages of random fields with their boxes, to look at before training:
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
    "simulate: classes as frequent as in Radio Galaxy Zoo, or equally frequent.",
)
flags.DEFINE_enum(
    "inputs",
    None,
    ("channels", "picture", *METHODS),
    "preview: what the network sees; picture is one that comes as such, as in rgz/d4, "
    "COCO and VOC. Default: that, or channels where there are radio values.",
)
flags.DEFINE_boolean("augment", True, "preview: with random changes, as in training.")
flags.DEFINE_integer("pages", 4, "preview: pages of 16 fields.", lower_bound=1)
FLAGS = flags.FLAGS

PREVIEW_PIXELS = 264  # Side of a field on a page.


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
    """Makes a data set; prints what is in it and what was wrong with its files."""
    for name in ("survey", "beam"):
        if FLAGS[name].value is not None:
            raise UsageError(
                f"--{name}: a data set keeps what the headers say; give --{name} to "
                "train, eval or preview instead."
            )
    builder = data_set()
    say(rgz().summary(builder))


def preview() -> None:
    """Writes pages of random fields as a network in training sees them."""
    source = labelled_fields(FLAGS.split or "train")
    seen = FLAGS.inputs or ("channels" if source.has_radio else "picture")
    if not source.has_radio and seen != "picture":
        raise UsageError(f"{FLAGS.data} holds pictures: give --inputs=picture.")
    if seen == "channels":
        preprocessor: Preprocessor = Channels(
            beam_pixels=None, image_size=PREVIEW_PIXELS
        )
    else:
        preprocessor = Picture(
            method="D3" if seen == "picture" else seen, image_size=PREVIEW_PIXELS
        )
    augment: list[Transform] = []
    if FLAGS.augment:
        # Of a source in a picture nobody knows the outline: quarter turns are exact.
        augment = [Move(shift=8, step=0 if source.has_radio else 90)]
        if source.has_radio:
            augment.append(AddNoise())
        if seen == "channels":
            augment.append(DropInfrared())
    options = PipelineOptions(
        batch_size=16, slots=64, size=(PREVIEW_PIXELS, PREVIEW_PIXELS), seed=FLAGS.seed
    )
    with training_batches(
        source, preprocessor, augment=augment, options=options
    ) as batches:
        folder = Path(FLAGS.output or "preview")
        pages = write_preview(
            batches, folder, pages=FLAGS.pages, class_names=source.class_names
        )
        for path in pages:
            say(str(path))
