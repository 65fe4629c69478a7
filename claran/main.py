r"""Finds and classifies radio galaxies, from the command line.

One field, with a picture and a table of what is in it:
  python -m claran.main --mode=demo --radio=F.fits --ir=I.png --output=DIR

Many fields, or ready-made pictures, into one table:
  python -m claran.main --mode=predict --radio='fields/*.fits' --ir=infrared/ \
      --model=model.keras --output=catalog.ecsv
  python -m claran.main --mode=predict --image='pictures/*.png' --output=DIR

A checkpoint of the original ClaRAN into a model:
  python -m claran.main --mode=convert --tf_checkpoint=VGGnet_fast_rcnn-80000 \
      --output=model.keras

Simulated fields as files, with a table of their sources:
  python -m claran.main --mode=simulate --num=100 --output=DIR

A data set for training: simulated, from your own files, or the original's pictures;
and pages of random fields with their boxes, to look at before training:
  python -m claran.main --mode=prepare --data=rgz/simulated_12k --data_dir=DIR
  python -m claran.main --mode=prepare --data=rgz/pairs --manual_dir=FILES
  python -m claran.main --mode=preview --data=rgz/simulated_12k --data_dir=DIR
"""

import importlib
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags, logging
from astropy.table import QTable
from tqdm import tqdm

from claran import accelerator, plotting
from claran.accelerator import AcceleratorError
from claran.data.augment import AddNoise, DropInfrared, Move
from claran.data.files import expand, pair_infrared
from claran.data.fits import ImageError, SkyImage, read_picture, read_sky_image
from claran.data.fusion import METHODS
from claran.data.inputs import Channels, Picture
from claran.data.pipeline import PipelineOptions, Transform, training_batches
from claran.data.preview import write_preview
from claran.data.records import open_split
from claran.detector import Detector, UntrainedWarning
from claran.models.weights import WeightsError, load_claran_checkpoint
from claran.simulation import field as simulated
from claran.simulation.files import write_fields
from claran.simulation.populations import BALANCED, CATALOGUE
from claran.survey.catalog import (
    detection_table,
    format_table,
    stack_tables,
    table_format,
    write_table,
)

MODES = ("demo", "predict", "convert", "simulate", "prepare", "preview")

flags.DEFINE_enum("mode", None, MODES, "What to do; see above.")
flags.DEFINE_enum("accelerator", "auto", accelerator.ACCELERATORS, "Where to compute.")
flags.DEFINE_integer("device_index", 0, "Which of several accelerators.")
flags.DEFINE_string(
    "model", "claran_v0.1", "Name of a preset, or path of a .keras file."
)
flags.DEFINE_string(
    "output",
    None,
    "demo: folder. predict: folder, or file ending in .ecsv, .csv, .fits, .vot or "
    ".xml. convert: file ending in .keras. simulate, preview: folder.",
)
flags.DEFINE_list(
    "radio",
    None,
    "Radio FITS file; in predict also a folder, a pattern like 'fields/*.fits', "
    "several with commas between, or @list.txt with one on each line. Without it, "
    "demo takes the simulated field that comes with claran.",
)
flags.DEFINE_list(
    "ir",
    None,
    "Infrared picture (PNG) or FITS image of the same field; in predict as many as "
    "radio files, of the same names but for an ending like _infrared or _ir.",
)
flags.DEFINE_list(
    "image",
    None,
    "Ready-made pictures instead of --radio and --ir, as the network was trained on; "
    "files as for --radio.",
)
flags.DEFINE_float(
    "score_threshold",
    None,
    "Only detections with a higher score; default 0.8 in demo, 0.05 in predict.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "nms_threshold",
    None,
    "Of two detections of one class the worse is dropped above this IoU; default: the "
    "model's own, 0.3.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "rpn_nms_threshold",
    None,
    "Likewise for proposals; default: the model's own, 0.7. The original's demo: 0.5.",
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_integer(
    "batch_size",
    None,
    "Fields at once; default 1 on a CPU, 16 elsewhere.",
    lower_bound=1,
)
flags.DEFINE_string(
    "tf_checkpoint", None, "Checkpoint of the original, path without its ending."
)
flags.DEFINE_integer(
    "image_size", 600, "convert: side of the network's input, pixels.", lower_bound=16
)
flags.DEFINE_enum(
    "fusion", "D4", METHODS, "convert: kind of picture the checkpoint was trained on."
)
flags.DEFINE_list(
    "class_names", None, "convert, prepare: names of classes, if not the six of RGZ."
)
flags.DEFINE_list(
    "anchor_scales", None, "convert: its anchors in cells of 16 px, if not six."
)
flags.DEFINE_list(
    "anchor_ratios", None, "convert: height over width of its anchors, if not 1."
)
flags.DEFINE_integer("num", 16, "simulate: number of fields.", lower_bound=1)
flags.DEFINE_enum(
    "population",
    "catalogue",
    ("catalogue", "balanced"),
    "simulate: classes as frequent as in Radio Galaxy Zoo, or equally frequent.",
)
flags.DEFINE_integer("seed", 0, "simulate, preview: what is drawn.", lower_bound=0)
flags.DEFINE_string(
    "data",
    None,
    "prepare, preview: rgz/simulated_small, _1k, _12k or _100k; rgz/pairs, rgz/d1, "
    "rgz/d3 or rgz/d4 (see datasets/rgz/README.md).",
)
flags.DEFINE_string(
    "data_dir", "~/tensorflow_datasets", "prepare, preview: where data sets are kept."
)
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
flags.DEFINE_string("split", "train", "preview: split, or a part like 'train[:100]'.")
flags.DEFINE_enum(
    "inputs",
    "channels",
    ("channels", "picture", *METHODS),
    "preview: what the network sees; picture is that of rgz/d1, d3 and d4.",
)
flags.DEFINE_boolean("augment", True, "preview: with random changes, as in training.")
flags.DEFINE_integer("pages", 4, "preview: pages of 16 fields.", lower_bound=1)
FLAGS = flags.FLAGS


class UsageError(ValueError):
    """Flags that do not go together."""


def demo() -> None:
    """Detects in one field; writes the picture and the table, prints the table."""
    if FLAGS.image and (FLAGS.radio or FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    if FLAGS.ir and not FLAGS.radio:
        raise UsageError("--ir needs --radio, the same field's.")
    detector = _detector()
    threshold = FLAGS.score_threshold
    if threshold is None:
        # Random weights give every class some 1/7: show them all rather than nothing.
        threshold = 0.8 if detector.trained else 0.0
    output = Path(FLAGS.output or "demo")
    if FLAGS.image:
        path = _single("image")
        picture = read_picture(path)
        (found,) = detector.detect_pictures([picture], score_threshold=threshold)
        table = detection_table(
            path.name, detector.names(found), found.scores, found.boxes
        )
        figure = plotting.plot_picture(picture, table)
    else:
        examples = Path(__file__).parent / "examples"
        path = _single("radio") if FLAGS.radio else examples / "simulated_radio.fits"
        infrared = _single("ir") if FLAGS.ir else None
        if not FLAGS.radio and infrared is None:
            infrared = examples / "simulated_infrared.png"
        _check_infrared(detector, infrared)
        table = detector.detect(path, infrared, score_threshold=threshold)
        figure = detector.plot(path, infrared, table)
    picture_path = (
        output / f"{path.name.split('.fit')[0].removesuffix('.png')}_pred.png"
    )
    table_path = picture_path.with_suffix(".ecsv")
    output.mkdir(parents=True, exist_ok=True)
    partial = picture_path.with_name(f".{picture_path.name}.partial")
    try:
        figure.savefig(partial, format="png")
        write_table(table, table_path)
        partial.replace(picture_path)
    finally:
        partial.unlink(missing_ok=True)
    _say(format_table(table))
    _say(f"{len(table)} found with a score above {threshold:g} in {path.name}.")
    _say(f"Picture: {picture_path}")
    _say(f"Table:   {table_path}")


def predict() -> None:
    """Detects in many fields or pictures; writes one table."""
    if bool(FLAGS.image) == bool(FLAGS.radio) or (FLAGS.image and FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    radio = [] if FLAGS.image else expand(FLAGS.radio, (".fits", ".fit", ".fits.gz"))
    images = expand(FLAGS.image, (".png", ".jpg", ".tif")) if FLAGS.image else []
    infrared = pair_infrared(radio, expand(FLAGS.ir, None)) if FLAGS.ir else {}
    output = _table_path()
    detector = _detector()
    if radio:
        _check_infrared(detector, infrared)
    threshold = 0.05 if FLAGS.score_threshold is None else FLAGS.score_threshold
    failed: list[str] = []
    # Only of the batch under way: a survey does not fit into memory.
    fields: deque[tuple[str, SkyImage | None, tuple[int, ...]]] = deque()

    def pictures() -> Iterator[np.ndarray]:
        for path in tqdm(images or radio, unit="field", disable=None):
            try:
                if images:
                    field, picture = None, read_picture(path)
                else:
                    field = read_sky_image(path)
                    picture = detector.picture(field, infrared.get(path))
            except ImageError as error:
                failed.append(str(error))
                tqdm.write(f"Skipped: {error}", file=sys.stderr)
                continue
            fields.append((path.name, field, picture.shape))
            yield picture

    tables: list[QTable] = []
    found_in = detector.detect_pictures(
        pictures(), score_threshold=threshold, batch_size=_batch_size()
    )
    for found in found_in:
        name, field, shape = fields.popleft()
        if field is not None:
            tables.append(detector.field_table(field, shape[:2], found))
        else:
            labels = detector.names(found)
            tables.append(detection_table(name, labels, found.scores, found.boxes))
    if not tables:
        raise ImageError(
            f"None of {len(failed)} files could be used (see above); wrote nothing."
        )
    table = stack_tables(tables)
    write_table(table, output)
    _say(f"{len(table)} detections in {len(tables)} fields: {output}")
    if failed:
        raise ImageError(
            f"{len(failed)} of {len(images or radio)} files could not be used (see "
            "above); the table has the others."
        )


def convert() -> None:
    """Imports a checkpoint of the original; writes a `.keras` model."""
    if not FLAGS.tf_checkpoint:
        raise UsageError("Give --tf_checkpoint, the path without .index or .data-....")
    output = Path(FLAGS.output or "model.keras")
    if output.suffix != ".keras":
        raise UsageError(f"--output must end in .keras, got {output}.")
    model = load_claran_checkpoint(
        FLAGS.tf_checkpoint,
        image_size=FLAGS.image_size,
        fusion=FLAGS.fusion,
        class_names=FLAGS.class_names,
        anchor_scales=_numbers("anchor_scales"),
        anchor_ratios=_numbers("anchor_ratios"),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.stem}.partial.keras")
    try:
        model.save(partial)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    _say(
        f"{model.count_params():,} weights, classes {', '.join(model.class_names)}, "
        f"input {model.image_size} px ({model.fusion}): {output}"
    )


def simulate() -> None:
    """Writes simulated fields and the table of their sources."""
    population = {"catalogue": CATALOGUE, "balanced": BALANCED}[FLAGS.population]
    output = Path(FLAGS.output or "simulated")
    seeds = np.random.SeedSequence(FLAGS.seed).spawn(FLAGS.num)
    fields = (
        simulated.simulate(np.random.default_rng(seed), population=population)
        for seed in tqdm(seeds, unit="field", disable=None)
    )
    count = write_fields(fields, output)
    _say(f"{count} fields, and annotations.csv with their sources: {output}")


def prepare() -> None:
    """Makes a data set; prints what is in it and what was wrong with its files."""
    builder = _data_set()
    _say(_rgz().summary(builder))


def preview() -> None:
    """Writes pages of random fields as a network in training sees them."""
    source = open_split(_data_set().data_dir, FLAGS.split)
    if FLAGS.inputs == "channels":
        inputs = Channels(size=160)
    else:
        inputs = Picture(
            method=None if FLAGS.inputs == "picture" else FLAGS.inputs, size=264
        )
    augment: list[Transform] = []
    if FLAGS.augment:
        augment = [Move(shift=8), AddNoise()]
        if FLAGS.inputs == "channels":
            augment.append(DropInfrared())
    options = PipelineOptions(batch_size=16, slots=64, seed=FLAGS.seed)
    with training_batches(source, inputs, augment=augment, options=options) as batches:
        folder = Path(FLAGS.output or "preview")
        for path in write_preview(batches, folder, pages=FLAGS.pages):
            _say(str(path))


def main(arguments: Sequence[str]) -> int:
    """Runs the mode; returns the exit status."""
    try:
        if len(arguments) > 1:
            raise UsageError(
                f"Unexpected argument {arguments[1]!r}: flags start with --, and a "
                "pattern like '*.fits' needs quotes."
            )
        if FLAGS.mode is None:
            raise UsageError(f"Give --mode, one of {', '.join(MODES)}; see --help.")
        accelerator.use_accelerator(FLAGS.accelerator, index=FLAGS.device_index)
        modes = (demo, predict, convert, simulate, prepare, preview)
        {mode.__name__: mode for mode in modes}[FLAGS.mode]()
    except (
        AcceleratorError, ImageError, UsageError, ValueError, WeightsError, OSError,
    ) as error:  # fmt: skip
        _fail(error)
        return 1
    return 0


def parse_flags(arguments: list[str]) -> list[str]:
    """Returns what are no flags; ends the process for `--help` or a wrong flag."""
    if {"-h", "-help", "--help", "--helpshort"} & set(arguments):
        # Absl's own is empty for the installed command, and ends with status 1.
        _say(f"{__doc__}{FLAGS.module_help(sys.modules[__name__])}")
        sys.exit(0)
    try:
        return FLAGS(arguments)
    except flags.Error as error:
        _fail(error)
        sys.exit(1)


def run() -> None:
    """The `claran` command."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of every platform it lacks.
    app.run(main, flags_parser=parse_flags)


def _data_set() -> Any:
    """Returns the builder of the data set the flags name; makes it if need be."""
    if not FLAGS.data:
        raise UsageError("Give --data, such as rgz/pairs or rgz/simulated_12k.")
    return _rgz().prepare(
        FLAGS.data,
        data_dir=FLAGS.data_dir,
        manual_dir=FLAGS.manual_dir,
        workers=FLAGS.workers,
        overwrite=FLAGS.overwrite,
        classes=FLAGS.class_names,
        beam_options=FLAGS.beam_options,
    )


def _rgz() -> Any:
    # Two seconds to import, and only some modes need it.
    return importlib.import_module("claran_rgz.prepare")


def _detector() -> Detector:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UntrainedWarning)
        detector = Detector.from_preset(
            FLAGS.model,
            nms_threshold=FLAGS.nms_threshold,
            rpn_nms_threshold=FLAGS.rpn_nms_threshold,
        )
    for warning in caught:
        _say(f"Note: {warning.message}")
    return detector


def _batch_size() -> int:
    import jax  # noqa: PLC0415 - only after the accelerator is chosen

    return FLAGS.batch_size or (1 if jax.default_backend() == "cpu" else 16)


def _single(name: str) -> Path:
    paths = FLAGS[name].value or []
    if len(paths) != 1:
        raise UsageError(f"--mode=demo takes one --{name}, got {len(paths)}.")
    return Path(paths[0])


def _check_infrared(detector: Detector, infrared: object) -> None:
    if detector.model.fusion != "D1" and not infrared:
        raise UsageError(
            f"{FLAGS.model} looks at radio and infrared ({detector.model.fusion}): "
            "give --ir."
        )


def _table_path() -> Path:
    output = Path(FLAGS.output or "predictions.ecsv")
    if output.is_dir() or not output.suffix:
        output /= "predictions.ecsv"
    table_format(output)  # Or raises: now, not after hours of work.
    return output


def _numbers(name: str) -> list[float] | None:
    texts = FLAGS[name].value or []
    try:
        return [float(text) for text in texts] or None
    except ValueError:
        raise UsageError(f"--{name} must be numbers, got {','.join(texts)}.") from None


def _fail(error: Exception) -> None:
    print("claran:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201


def _say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    run()
