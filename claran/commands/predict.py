r"""The modes demo and predict: detect sources and write them as a table.

One field, with a figure and a table of its sources:
  python -m claran.main --mode=demo --radio=F.fits --ir=I.png --output=DIR

Many fields, or many pictures, with one table:
  python -m claran.main --mode=predict --radio='fields/*.fits' --ir=infrared/ \
      --output=catalog.ecsv
  python -m claran.main --mode=predict --image='pictures/*.png' \
      --model=model.keras --output=DIR

The table is a catalog: no two of its rows share an island of emission, and all scores
are above 0.5 (0.8 for networks that do not count islands). With --all_hypotheses it has
every detection that --mode=eval takes, also other readings of the same emission.

Partial results are kept in OUTPUT.unfinished until the table is written. After an
interruption the same command resumes from them, unless a file or a setting has changed.
"""

import os
from pathlib import Path

import numpy as np
from absl import flags
from astropy.table import QTable

from claran import examples
from claran.catalog.tables import format_table, table_format, write_table
from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.model_flags import load_detector
from claran.detection.detections import ALTERNATIVE
from claran.detection.detector import Detector
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.fields.field import assumption_note, describe_assumptions
from claran.fields.reading import read_field, read_picture_field
from claran.io.atomic import replace_file
from claran.io.paths import FITS_ENDINGS, PICTURE_ENDINGS, expand, pair_infrared

__all__ = ["demo", "predict"]

flags.DEFINE_list(
    "radio",
    None,
    "Radio FITS file. predict: also a folder, a pattern such as 'fields/*.fits', "
    "several of these with commas, or @list.txt with one on each line. demo: the "
    "default is a simulated field that comes with claran.",
)
flags.DEFINE_list(
    "ir",
    None,
    "Infrared picture (PNG) or FITS image of the same field. predict: one for each "
    "radio file, with the same name apart from _infrared or _ir at its end.",
)
flags.DEFINE_list(
    "image",
    None,
    "Pictures as the network was trained on, instead of --radio and --ir; files as for "
    "--radio.",
)
flags.DEFINE_boolean(
    "all_hypotheses",
    False,
    "predict: write every detection, also those that share emission with one of a "
    "higher score (the column alternative marks them), for the curves of --mode=eval "
    "--predictions. Default: a catalog.",
)
FLAGS = flags.FLAGS


def demo() -> None:
    """Detects in one field; writes a figure and a table, and prints the table."""
    if FLAGS.image and (FLAGS.radio or FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    if FLAGS.all_hypotheses:
        raise UsageError(
            "--all_hypotheses is a flag of --mode=predict; demo shows a catalog."
        )
    if FLAGS.ir and not FLAGS.radio:
        raise UsageError("--ir needs --radio, the radio image of the same field.")
    survey, beam = survey_flags.survey(), survey_flags.beam()
    detector = load_detector()
    path, infrared = _demo_files()
    if FLAGS.image:
        field = read_picture_field(path)
    else:
        _check_infrared(detector, infrared)
        field = read_field(path, infrared, survey=survey, beam_arcsec=beam)
    table = detector.detect(field, score_threshold=FLAGS.score_threshold)
    stem = path.name.split(".fit")[0].removesuffix(".png")
    figure_path = Path(FLAGS.output or "demo", f"{stem}_pred.png")
    table_path = figure_path.with_suffix(".ecsv")
    write_table(table, table_path)
    figure = detector.plot(field, table=table)
    replace_file(figure_path, lambda partial: figure.savefig(partial, format="png"))
    say(format_table(table))
    for assumed in detector.assumptions(field):
        say(assumption_note(f"{path.name}: {assumed}"))
    lowest = detector.lowest_score(FLAGS.score_threshold)
    say(f"{len(table)} found with a score above {lowest:g} in {path.name}.")
    say(f"Figure: {figure_path}")
    say(f"Table:  {table_path}")


def _demo_files() -> tuple[Path, Path | None]:
    """Returns the image and the infrared image; by default those of the example."""
    if FLAGS.image:
        return _single("image"), None
    if FLAGS.radio:
        return _single("radio"), _single("ir") if FLAGS.ir else None
    example = Path(examples.__file__).parent
    return example / "simulated_radio.fits", example / "simulated_infrared.png"


def predict() -> None:
    """Detects in many fields or pictures, and writes one table."""
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
        score_threshold=FLAGS.score_threshold,
        all_hypotheses=FLAGS.all_hypotheses,
        survey=survey,
        beam_arcsec=beam,
        tell=say,
    )
    assumed = describe_assumptions(found.assumed, found.fields)
    if assumed:
        say(assumption_note(assumed))
    say(
        f"{len(found.table)} detections in {found.fields} fields: {output} "
        f"({_rows(detector, found.table)})"
    )
    if found.skipped:
        count = len(found.skipped)
        others = f" and {count - 1} others" if count > 1 else ""
        raise ImageError(
            f"{count} of {len(paths)} files could not be used: {found.skipped[0]}"
            f"{others}; the table has the rest."
        )


def _rows(detector: Detector, table: QTable) -> str:
    """Returns which detections are in a table, in words."""
    lowest = detector.lowest_score(
        FLAGS.score_threshold, all_hypotheses=FLAGS.all_hypotheses
    )
    if not FLAGS.all_hypotheses:
        return f"a catalog: scores above {lowest:g}"
    score = detector.model.finisher.catalog_threshold
    scores, others = np.asarray(table["score"]), np.asarray(table[ALTERNATIVE])
    count = int((~others & (scores > score)).sum())
    return (
        f"all hypotheses with scores above {lowest:g}; {count} of them, above "
        f"{score:g}, are the catalog"
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
            f"{FLAGS.model} needs an infrared image too ({preprocessor}): give --ir."
        )


def _table_path() -> Path:
    output = Path(FLAGS.output or "predictions.ecsv")
    if output.is_dir() or not output.suffix:
        output /= "predictions.ecsv"
    # An invalid name fails now, and not after hours.
    table_format(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(output.parent, os.W_OK):
        raise UsageError(
            f"{output.parent}: cannot be written to; give another --output."
        )
    return output
