"""The mode survey: makes a catalog of the sources in mosaics of any size."""

from absl import flags

from claran.commands import survey_flags
from claran.commands.common import UsageError, say
from claran.commands.given_files import given_files
from claran.commands.host_flags import host_search, host_tables
from claran.commands.model_flags import load_detector
from claran.commands.outputs import output_folder, refuse_inputs
from claran.errors import ImageError
from claran.io.paths import FITS_ENDINGS
from claran.survey.products import PRODUCTS
from claran.survey.run import SurveyOptions, run_survey

__all__ = ["survey"]

FLAGS = flags.FLAGS


def survey() -> None:
    """Searches mosaics; writes the catalog and prints a summary."""
    paths = given_files("radio", FITS_ENDINGS)
    infrared = given_files("ir", None) if FLAGS.ir else []
    known = survey_flags.survey()
    hosts = host_search(infrared=bool(infrared))
    folder = output_folder("survey", PRODUCTS)
    outputs = [folder / name for name in PRODUCTS]
    refuse_inputs(outputs, [*paths, *infrared, *host_tables(hosts)])
    detector = load_detector()
    finisher, preprocessor = detector.model.finisher, detector.model.preprocessor
    centered = getattr(preprocessor, "centered", False)
    if centered or not (finisher.counts_islands and preprocessor.uses_beam):
        raise UsageError(
            f"--model={FLAGS.model}: sees whole fields, so that it cannot search "
            "mosaics; give a model that counts islands, such as claran_v1."
        )
    catalog = run_survey(
        detector,
        paths,
        folder,
        SurveyOptions(
            survey=known,
            beam_arcsec=FLAGS.beam,
            score_threshold=detector.lowest_score(FLAGS.score_threshold),
            component_snr=FLAGS.component_snr,
            acronym=FLAGS.acronym,
            tile_size=FLAGS.tile_size,
            workers=FLAGS.workers or 0,
            scheduler=FLAGS.scheduler,
            write_maps=FLAGS.write_maps,
            hosts=hosts,
        ),
        infrared=infrared,
        tell=say,
    )
    say(catalog.summary)
    if catalog.skipped:
        count = len(catalog.skipped)
        others = f" and {count - 1} others" if count > 1 else ""
        raise ImageError(
            f"{count} of {len(paths)} mosaics could not be used: {catalog.skipped[0]}"
            f"{others}; the catalog has the rest."
        )
