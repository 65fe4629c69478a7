"""The modes demo and predict: detect sources and write them as a table."""

import warnings
from pathlib import Path

import numpy as np
from absl import flags
from astropy.table import QTable

from claran import examples
from claran.catalog.tables import format_table, table_format, write_table
from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.given_files import given_files
from claran.commands.host_flags import (
    detector_for_hosts,
    host_search,
    host_tables,
)
from claran.commands.outputs import output_file, output_folder, refuse_inputs
from claran.detection.detections import ALTERNATIVE, PROBABILITY
from claran.detection.detector import Detector
from claran.detection.field_hosts import host_notes
from claran.detection.prediction import predict_files
from claran.errors import ImageError, ImageWarning
from claran.fields.notes import assumption_note, notes_for_user
from claran.fields.reading import read_field, read_infrared, read_picture_field
from claran.hosts.host_columns import count_hosts
from claran.io.atomic import replace_file
from claran.io.paths import (
    FITS_ENDINGS,
    PICTURE_ENDINGS,
    bare_name,
    pair_infrared,
    readable,
)

__all__ = ["demo", "predict"]

FLAGS = flags.FLAGS


def demo() -> None:
    """Detects in one field; writes a figure and a table, and prints the table."""
    path, infrared = _demo_files()
    figure_path, table_path = _demo_outputs(path)
    hosts = host_search(infrared=infrared is not None)
    refuse_inputs(
        [figure_path, table_path],
        [path, *([infrared] if infrared else []), *host_tables(hosts)],
    )
    survey = survey_flags.survey()
    detector = detector_for_hosts(hosts)
    name = readable(path.name)
    shown = None
    if FLAGS.image:
        field = read_picture_field(path, name=name)
    else:
        _check_infrared(detector, infrared)
        shown = read_infrared(infrared)
        field = read_field(
            path, shown, name=name, survey=survey, beam_arcsec=FLAGS.beam
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # Said below.
        table = detector.detect(
            field, None if hosts is None else shown, hosts=hosts,
            score_threshold=FLAGS.score_threshold,
        )  # fmt: skip
    write_table(table, table_path)
    figure = detector.plot(field, table=table)
    replace_file(figure_path, lambda partial: figure.savefig(partial, format="png"))
    say(format_table(table))
    if notes := (table.meta or {}).get("NOTES"):
        say(f"Note: {name}: {notes}.")
    if hosts is not None and len(table):
        for line in host_notes(table.meta or {}):
            say(line)
    for assumed in detector.assumptions(field):
        say(assumption_note(f"{name}: {assumed}"))
    lowest = detector.lowest_score(FLAGS.score_threshold)
    say(f"{len(table)} found with a probability above {lowest:g} in {name}.")
    _say_hosts(table)
    say(f"Figure: {figure_path}")
    say(f"Table:  {table_path}")


def _demo_outputs(path: Path) -> tuple[Path, Path]:
    """Returns where the figure and the table of an image are written."""
    names = [f"{bare_name(path)}_pred{ending}" for ending in (".png", ".ecsv")]
    folder = output_folder("demo", names)
    return folder / names[0], folder / names[1]


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
    survey = survey_flags.survey()
    radio = [] if FLAGS.image else given_files("radio", FITS_ENDINGS)
    paths = radio or given_files("image", PICTURE_ENDINGS)
    infrared = pair_infrared(radio, given_files("ir", None)) if FLAGS.ir else {}
    output = _table_path()
    hosts = host_search(infrared=bool(infrared))
    refuse_inputs([output], [*paths, *infrared.values(), *host_tables(hosts)])
    detector = detector_for_hosts(hosts)
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
        beam_arcsec=FLAGS.beam,
        hosts=hosts,
        tell=say,
    )
    for line in notes_for_user(found.assumed, found.noted, found.fields, found.first):
        say(line)
    say(
        f"{len(found.table)} detections in {found.fields} fields: {output} "
        f"({_rows(detector, found.table)})"
    )
    _say_hosts(found.table)
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
        return f"a catalog: probabilities above {lowest:g}"
    score = detector.model.finisher.catalog_threshold
    known = PROBABILITY if PROBABILITY in table.colnames else "score"
    others = np.asarray(table[ALTERNATIVE])
    count = int((~others & (np.asarray(table[known]) > score)).sum())
    return (
        f"all hypotheses with scores above {lowest:g}; {count} of them, with "
        f"probabilities above {score:g}, are the catalog"
    )


def _say_hosts(table: QTable) -> None:
    if "host_probability" in table.colnames:
        say(f"Hosts: {count_hosts(table)}")


def _single(name: str) -> Path:
    names: list[str] = FLAGS[name].value or []
    count = len(names)
    if count == 1:
        paths = given_files(name, None)
        if len(paths) == 1:
            return paths[0]
        count = len(paths)
    raise UsageError(f"--mode=demo takes one --{name}, got {count}.")


def _check_infrared(detector: Detector, infrared: object) -> None:
    preprocessor = detector.model.preprocessor
    if preprocessor.needs_infrared and not infrared:
        raise UsageError(
            f"{FLAGS.model} needs an infrared image too ({preprocessor}): give --ir."
        )


def _table_path() -> Path:
    given = FLAGS.output or "predictions.ecsv"
    if given.endswith("/") or Path(given).is_dir() or not Path(given).suffix:
        return output_folder(given) / "predictions.ecsv"
    output = output_file(given)
    try:
        table_format(output)
    except ValueError as error:
        raise UsageError(f"--output={error}") from None
    return output
