"""The modes simulate, prepare and preview: make training data, and check them."""

import dataclasses

import numpy as np
from absl import flags
from tqdm.auto import tqdm

from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.data_flags import data_set, labelled_fields, rgz
from claran.commands.outputs import output_folder, refuse_inputs
from claran.fields.augmentation import usual_augmentation
from claran.fields.batches import PipelineOptions, training_batches
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.preprocessing import Preprocessor
from claran.fields.preview import write_preview
from claran.simulation import simulated_field as simulated
from claran.simulation.observation import FIRST, SimulatedSurvey
from claran.simulation.populations import BALANCED, CATALOG
from claran.simulation.simulated_files import make_room, write_fields

__all__ = ["prepare", "preview", "simulate"]

FLAGS = flags.FLAGS

PREVIEW_PIXELS = 264  # Side of a field on a page.
PAGE_FIELDS = 16


def simulate() -> None:
    """Writes simulated fields and the table of their sources."""
    population = {"catalogue": CATALOG, "balanced": BALANCED}[FLAGS.population]
    survey = survey_flags.survey()
    observed = FIRST if survey is None else SimulatedSurvey.of(survey)
    if observed.name != FIRST.name:  # As many neighbors as its depth shows.
        population = dataclasses.replace(population, crowding=(1.0, 1.0))
    output = output_folder("fields")
    make_room(output, overwrite=FLAGS.overwrite)
    root = np.random.SeedSequence(FLAGS.seed)
    fields = (
        simulated.simulate(
            np.random.default_rng(*root.spawn(1)),
            population=population, survey=observed,
        )
        for _ in tqdm(range(FLAGS.num), unit="field", disable=None)
    )  # fmt: skip
    count = write_fields(fields, output)
    say(f"{count} fields, and annotations.csv with their sources: {output}")


def prepare() -> None:
    """Makes a data set; prints its contents and the problems of its files."""
    builder = data_set()
    say(rgz().summary(builder))


def preview() -> None:
    """Writes pages of random fields as a network sees them in training."""
    folder = output_folder("preview")
    refuse_inputs([folder], [FLAGS.data])
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
        batch_size=PAGE_FIELDS, slots=128, size=(PREVIEW_PIXELS, PREVIEW_PIXELS),
        seed=FLAGS.seed,
    )  # fmt: skip
    augment = usual_augmentation(preprocessor, has_radio=source.has_radio)
    if not FLAGS.augment:
        augment = []
    with training_batches(
        source, preprocessor, augment=augment, options=options
    ) as batches:
        pages = write_preview(
            batches, folder, pages=FLAGS.pages, class_names=source.class_names
        )
        for path in pages:
            say(str(path))
