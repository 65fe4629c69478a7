r"""The modes demo and predict: detections as a picture and a table.

One field, with a picture and a table of what is in it:
  python -m claran.main --mode=demo --radio=F.fits --ir=I.png --output=DIR

Many fields, or ready-made pictures, into one table:
  python -m claran.main --mode=predict --radio='fields/*.fits' --ir=infrared/ \
      --output=catalog.ecsv
  python -m claran.main --mode=predict --image='pictures/*.png' \
      --model=model.keras --output=DIR

An interrupted run resumes: the same command does what OUTPUT.unfinished does not hold
yet, unless a file or a setting has changed. That folder goes when the table is there.
"""

import os
from pathlib import Path

from absl import flags

from claran import examples, plotting
from claran.catalog.tables import format_table, table_format, write_table
from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.model_flags import catalog_score, load_detector
from claran.detection.detector import Detector
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.fields.field import describe_assumptions
from claran.fields.reading import read_field, read_picture_field
from claran.io.paths import FITS_ENDINGS, PICTURE_ENDINGS, expand, pair_infrared

__all__ = ["demo", "predict"]

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
FLAGS = flags.FLAGS


def demo() -> None:
    """Detects in one field; writes the picture and the table, prints the table."""
    if FLAGS.image and (FLAGS.radio or FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    if FLAGS.ir and not FLAGS.radio:
        raise UsageError("--ir needs --radio, the same field's.")
    survey, beam = survey_flags.survey(), survey_flags.beam()
    detector = load_detector()
    threshold = catalog_score(detector)
    if FLAGS.score_threshold is None and not detector.trained:
        threshold = 0.0  # Random weights give every class some 1/7: show them all.
    output = Path(FLAGS.output or "demo")
    if FLAGS.image:
        path = _single("image")
        field = read_picture_field(path)
    else:
        example = Path(examples.__file__).parent
        path = _single("radio") if FLAGS.radio else example / "simulated_radio.fits"
        infrared = _single("ir") if FLAGS.ir else None
        if not FLAGS.radio and infrared is None:
            infrared = example / "simulated_infrared.png"
        _check_infrared(detector, infrared)
        field = read_field(path, infrared, survey=survey, beam_arcsec=beam)
    (found,) = detector.engine.detect([field], score_threshold=threshold)
    table = detector.table(field, found.detections, score_threshold=threshold)
    if field.image is not None:
        figure = plotting.plot_field(field.image, table, background=field.picture)
    else:
        assert field.picture is not None  # noqa: S101 - `Field` sees to it.
        figure = plotting.plot_picture(field.picture, table)
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
    say(format_table(table))
    for assumed in detector.assumptions(field):
        say(f"Note: {path.name}: {assumed}; --survey or --beam says otherwise.")
    say(f"{len(table)} found with a score above {threshold:g} in {path.name}.")
    say(f"Picture: {picture_path}")
    say(f"Table:   {table_path}")


def predict() -> None:
    """Detects in many fields or pictures; writes one table."""
    if bool(FLAGS.image) == bool(FLAGS.radio) or (FLAGS.image and FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    survey, beam = survey_flags.survey(), survey_flags.beam()
    radio = [] if FLAGS.image else expand(FLAGS.radio, FITS_ENDINGS)
    paths = radio or expand(FLAGS.image, PICTURE_ENDINGS)
    infrared = pair_infrared(radio, expand(FLAGS.ir, None)) if FLAGS.ir else {}
    output = _table_path()
    detector = load_detector()
    if radio:
        _check_infrared(detector, infrared)
    found = predict_files(
        detector,
        paths,
        output,
        infrared=infrared,
        pictures=not radio,
        score_threshold=(
            0.05 if FLAGS.score_threshold is None else FLAGS.score_threshold
        ),
        survey=survey,
        beam_arcsec=beam,
        tell=say,
    )
    assumed = describe_assumptions(found.assumed, found.fields)
    if assumed:
        say(f"Note: {assumed}; --survey or --beam says otherwise.")
    say(f"{len(found.table)} detections in {found.fields} fields: {output}")
    if found.skipped:
        count = len(found.skipped)
        others = f" and {count - 1} others" if count > 1 else ""
        raise ImageError(
            f"{count} of {len(paths)} files could not be used: {found.skipped[0]}"
            f"{others}; the table has the rest."
        )


def _single(name: str) -> Path:
    paths = FLAGS[name].value or []
    if len(paths) != 1:
        raise UsageError(f"--mode=demo takes one --{name}, got {len(paths)}.")
    return Path(paths[0])


def _check_infrared(detector: Detector, infrared: object) -> None:
    preprocessor = detector.model.preprocessor
    if preprocessor.needs_infrared and not infrared:
        raise UsageError(
            f"{FLAGS.model} looks at radio and infrared ({preprocessor}): give --ir."
        )


def _table_path() -> Path:
    output = Path(FLAGS.output or "predictions.ecsv")
    if output.is_dir() or not output.suffix:
        output /= "predictions.ecsv"
    # What is wrong with it, it says now and not after hours of work.
    table_format(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(output.parent, os.W_OK):
        raise UsageError(
            f"{output.parent}: cannot be written to; give another --output."
        )
    return output
