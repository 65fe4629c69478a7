"""All flags, each with the modes in which it counts and what it means there.

This loads nothing heavy, so that help and mistakes are answered at once.
"""

from typing import Any

from absl import flags

from claran.accelerator import ACCELERATORS
from claran.commands.flag_kinds import (
    Boolean,
    Choice,
    Integer,
    Names,
    Number,
    Numbers,
    Path,
    Paths,
    SingleFlag,
    Text,
)
from claran.commands.modes import MODES
from claran.sky.surveys import SURVEYS

__all__ = ["MEANINGS", "flags_of", "modes_of"]

MEANINGS: dict[str, dict[str, str]] = {}
"""Help of each flag, by the modes in which it counts."""

LARGEST_SEED = 2**32 - 1  # NumPy's and Keras's.
DATA_SETS = (
    "rgz/simulated_small, _1k, _12k or _100k; rgz/pairs, rgz/d1, rgz/d3 or rgz/d4; "
    "rgz/radiogalaxynet or _clean (see datasets/rgz/README.md)"
)
OWN_DATA = (
    "Labelled fields: your own as a folder with annotations.csv and FITS files, a "
    "folder with PASCAL VOC .xml files and pictures, a COCO .json file, or a prepared "
    f"folder; or a data set: {DATA_SETS}"
)
SIMULATED = (
    "; or simulated, simulated/balanced, simulated/surveys, or simulated/NAME with the "
    f"name of a survey ({', '.join(SURVEYS)}), whose fields are made when they are "
    "needed."
)
FIELDS_CLASSES = (
    "Names of the classes, in the order of the labels; default: those of --data. "
    "Objects of other classes are ignored."
)
NMS = "IoU above which the worse of two detections of one class is dropped. Default: "
SURVEY = (
    f"Survey of the radio images: {', '.join(SURVEYS)}, or a .toml file with name, "
    "beam_arcsec, pixel_arcsec, noise_jy and frequency_hz. "
)
WORKERS = "0: this process. Default: up to one per core, depending on the work."


def modes_of(name: str) -> tuple[str, ...]:
    """Returns the modes in which a flag counts; none if it is not a flag of claran."""
    return tuple(MEANINGS.get(name, ()))


def flags_of(mode: str) -> list[str]:
    """Returns the flags that count in a mode, in the order of this table."""
    return [name for name, meanings in MEANINGS.items() if mode in meanings]


def _define(name: str, parser: Any, default: Any, **meanings: str) -> None:
    """Defines a flag.

    Args:
        name: Its name.
        parser: Its kind.
        default: Its value unless it is given.
        meanings: What it means, by modes with underscores between them.
    """
    known = {
        mode: text for modes, text in meanings.items() for mode in modes.split("_")
    }
    MEANINGS[name] = {mode: known[mode] for mode in MODES if mode in known}
    is_list = isinstance(parser, flags.ListParser)
    flag = SingleFlag(
        parser,
        flags.CsvListSerializer(",") if is_list else flags.ArgumentSerializer(),
        name,
        default,
        " ".join(meanings.values()),
        boolean=isinstance(parser, Boolean),
    )
    flags.DEFINE_flag(flag, module_name=__name__)


EVERY = "_".join(MODES)
NETWORK = "demo_predict_survey_eval_train"

# fmt: off
_define("mode", Choice(tuple(MODES)), None, **{EVERY: "What to do."})
_define("radio", Paths(), None,
    demo="Radio FITS file; default: a simulated field that comes with claran.",
    predict="Radio FITS files: a file, a folder, a pattern such as 'fields/*.fits', "
        "several of these with commas, or @list.txt with one on each line.",
    survey="Mosaics: FITS files of any size (.fits, .fits.gz, .fits.fz), a folder, a "
        "pattern such as 'mosaics/*.fits', several of these with commas, or "
        "@list.txt with one on each line.")
_define("ir", Paths(), None,
    demo="Infrared picture (PNG) or FITS image of the same field.",
    predict="Infrared pictures (PNG) or FITS images, files as for --radio: one for "
        "each radio file, with the same name apart from _infrared or _ir at its end.",
    survey="Infrared FITS images of any size and number, files as for --radio: those "
        "that cover a mosaic by their WCS are shown to the network too. A picture "
        "(PNG) belongs to the mosaic of the same name, apart from _infrared or _ir.")
_define("image", Paths(), None,
    demo="Picture as the network was trained on, instead of --radio and --ir.",
    predict="Pictures as the network was trained on, instead of --radio and --ir; "
        "files as for --radio.")
_define("data", Path(), None,
    prepare=f"Data set to make: {DATA_SETS}.",
    preview=f"{OWN_DATA}.",
    eval_train=f"{OWN_DATA}{SIMULATED}")
_define("split", Text(), None,
    preview_eval="Fields to take: train, validation, test, all, or a part such as "
        "'train[:100]'; simulated fields have train, validation and test. Default: "
        "train in preview, test in eval.")
_define("data_dir", Path(), "~/tensorflow_datasets",
    prepare="Folder of data sets, where the new one goes.",
    preview_eval_train="Folder of data sets, for --data=rgz/...")
_define("manual_dir", Path(), None,
    prepare_preview_eval_train="Folder of your own files, of which rgz/pairs, rgz/d1, "
        "rgz/d3, rgz/d4 and rgz/radiogalaxynet are made if they are not there yet; "
        "see datasets/rgz/README.md for the layout.")
_define("model", Path(), "claran_v1",
    demo_predict="Detector: a preset (claran_v1, claran_first, claran_v0.1), or the "
        "path of a .keras file.",
    survey="Detector that counts islands: the preset claran_v1 or claran_first, or the "
        "path of a .keras file.",
    eval="Detector to evaluate: a preset (claran_v1, claran_first, claran_v0.1), the "
        "path of a .keras file, or classical, a finder without a network.",
    train="Network to train: a preset (claran_v1, claran_first, claran_v0.1), or the "
        "path of a .keras file, to fine-tune it.")
_define("predictions", Path(), None,
    eval="Detections to evaluate, instead of a model: a table of --mode=predict "
        "--all_hypotheses, a folder of VOC's CLASS.txt, or a .json of COCO results. "
        "Hosts in a table of --mode=predict are compared with those of --data.")
_define("tf_checkpoint", Path(), None,
    convert="Checkpoint of the original: path without .index and .data-....")
_define("old_model", Path(), None,
    convert="A .keras file of an older claran, instead of --tf_checkpoint.")
_define("output", Path(), None,
    demo="Output folder. Default: demo.",
    predict="Table, a file ending in .ecsv, .csv, .fits, .vot, .xml or .parquet; or a "
        "folder, for DIR/predictions.ecsv. Default: predictions.ecsv.",
    survey="Output folder. Default: survey.",
    convert="Model, a file ending in .keras. Default: model.keras.",
    simulate="Output folder. Default: fields.",
    preview="Output folder. Default: preview.",
    eval="Output folder. Default: evaluation.",
    train="Output folder for the model and its logs.")
_define("overwrite", Boolean(), False,
    simulate="Replace the simulated fields in the output folder.",
    prepare="Replace an existing data set.")
_define("class_names", Names(), None,
    convert="Names of the checkpoint's classes; default: the six of RGZ.",
    prepare="Names of the classes of rgz/pairs; default: the six of RGZ.",
    preview_train=FIELDS_CLASSES,
    eval=f"{FIELDS_CLASSES} For --predictions and --model=classical, as a network has "
        "its own.")
_define("survey", Path(), None,
    demo_predict_survey_preview_eval_train=f"{SURVEY}It is used if the header lacks "
        "them. Without it FIRST's beam is assumed, with a note in the output and in "
        "the metadata of the table.",
    simulate=f"{SURVEY}This one is simulated. Default: FIRST.")
_define("beam", Number(above=0), None,
    demo_predict_survey_preview_eval_train="Full width at half maximum of the radio "
        "beam, arcsec, to replace the headers'.")
_define("score_threshold", Number(0.0, 1.0), None,
    demo="Only sources with a higher probability. Default: 0.5, or 0.8 for networks "
        "that do not count islands, such as claran_v0.1.",
    survey="Only sources with a higher probability. Default: 0.5.",
    predict="Only sources with a higher probability. Default: 0.5, or 0.8 for networks "
        "that do not count islands, such as claran_v0.1. With --all_hypotheses, only "
        "detections with a higher score; default: 0.003 or 0.05.",
    eval="Probability above which sources are in the catalog, for association and "
        "confusion. Default: 0.5, or 0.8 for networks that do not count islands, such "
        "as claran_v0.1.")
_define("all_hypotheses", Boolean(), False,
    predict="Write every detection, also less probable readings of the same emission "
        "and less probable classes (the column alternative marks them), for the curves "
        "of --mode=eval --predictions. Default: a catalog.")
_define("nms_threshold", Number(0.0, 1.0), None,
    **{NETWORK: f"{NMS}the model's own, 0.3."})
_define("rpn_nms_threshold", Number(0.0, 1.0), None,
    **{NETWORK: "The same for proposals. Default: the model's own, 0.7. The "
        "original's demo: 0.5."})
_define("batch_size", Integer(1), None,
    demo_predict_survey_eval="Fields in a call of the network, on GPUs and TPUs. "
        "Default: depends on their size. On a CPU it has no effect.",
    train="Fields in a batch. Default: the recipe's.")
_define("average", Boolean(), False,
    demo_predict_survey_eval="Let the network look at each source in the eight "
        "symmetries of the square, and average the probabilities. The network takes "
        "eight times as long; claran_v1 gains little. Only for models that count "
        "islands.")
_define("ignore_unlabelled", Boolean(), False,
    eval="Detections that overlap no labelled source are no false alarms; for fields "
        "in which not all sources are labelled.")
_define("resamples", Integer(1, 10**6), 1000,
    eval="Number of bootstrap resamples for the 95% intervals.")
_define("num", Integer(1, 10**7), 16, simulate="Number of fields.")
_define("population", Choice(("catalogue", "balanced")), "catalogue",
    simulate="Frequencies of the classes, as in Radio Galaxy Zoo or equal.")
_define("inputs", Choice(("channels", "picture", "D1", "D3", "D4")), None,
    preview="The network's input. picture is for data that are only pictures, such as "
        "rgz/d4, COCO and VOC. Default: channels, or picture for such data.")
_define("augment", Boolean(), True,
    preview="With augmentation, as in training.")
_define("pages", Integer(1), 4, preview="Pages of 16 fields.")
_define("steps", Integer(1), None, train="Number of steps. Default: the recipe's.")
_define("learning_rate", Number(above=0), None,
    train="Largest learning rate; below 10. Default: the recipe's.")
_define("precision", Choice(("float32", "bfloat16")), "float32",
    train="Precision of the layers; bfloat16 is faster on GPUs and TPUs. Boxes and "
        "weights are float32 in both.")
_define("start", Choice(("auto", "pretrained", "imagenet", "random")), "auto",
    train="Initial weights of a preset. pretrained: the trained weights that come "
        "with it, to fine-tune them; imagenet: only for claran_v0.1, whose recipe "
        "needs them, a download of 59 MB; auto: imagenet for claran_v0.1, random for "
        "the others. A .keras file has its own weights.")
_define("centered", Boolean(), False,
    train="Show the network how far each pixel is from the center of the field, and do "
        "not shift fields. For cutouts that were made around the sources to find. The "
        "model then expects such fields, and cannot search mosaics.")
_define("save_every", Integer(1), 500, train="Number of steps between checkpoints.")
_define("validate_every", Integer(1), 2,
    train="Number of checkpoints between validations.")
_define("keep_models", Boolean(), False,
    train="Keep each model that is validated, as step-NNNNNN.keras, to compare them.")
_define("validation_fields", Integer(0), 500,
    train="Number of fields to validate on; 0 for none.")
_define("slots", Integer(1), 128, train="Largest number of objects in a field.")
_define("image_size", Integer(16, 10_000), 600,
    convert="Side of the network's input, pixels.")
_define("fusion", Choice(("D1", "D3", "D4")), "D4",
    convert="Kind of picture the checkpoint was trained on.")
_define("anchor_scales", Numbers(), None,
    convert="Sides of its anchors, in cells of 16 px; default: 1,2,4,8,16,32.")
_define("anchor_ratios", Numbers(), None,
    convert="Height over width of its anchors; default: 1.")
_define("seed", Integer(0, LARGEST_SEED), 0,
    simulate_preview_train="Seed of all random numbers.",
    eval="Seed of the bootstrap, and of simulated fields.")
_define("workers", Integer(0, 1000), None,
    prepare_eval=f"Number of processes that make or read fields; {WORKERS}",
    train=f"Number of processes that make batches; {WORKERS}",
    survey="Processes of a local Dask cluster; 0: threads of this process, one per "
        "core. Default: 0.")
_define("scheduler", Text(), None,
    survey="Address of a running Dask scheduler, such as tcp://10.0.0.1:8786, instead "
        "of --workers. Its workers need claran and the same files.")
_define("tile_size", Integer(64, 16384), 1024,
    survey="Side of the tiles that mosaics are worked through in, pixels. Smaller "
        "ones need less memory. The catalog does not depend on it.")
_define("component_snr", Number(above=0), 5.0,
    survey="Signal-to-noise that a component needs, unless it belongs to a source. In "
        "a crowded mosaic, faint sources count as noise.")
_define("acronym", Text(), "CLARAN",
    survey="Acronym of the catalog, with which the names of sources begin, as in "
        "CLARAN J123456.7+123456.")
_define("write_maps", Boolean(), False,
    survey="Also write the background and the noise of each mosaic as FITS images.")
_define("hosts", Boolean(), False,
    demo_predict="Say where the host galaxy of each source can be, by its radio "
        "emission, and which source on the infrared image (--ir) it is, with a "
        "probability (needs pip install 'claran[hosts]'). FITS images keep their "
        "magnitudes, which count too; pictures have none.",
    survey="Say where the host galaxy of each source can be, by its radio emission, "
        "and which infrared source it is: candidates are measured on the FITS images "
        "of --ir (needs pip install 'claran[hosts]').",
    eval="Say where the host galaxy of each source can be, by its radio emission, and "
        "which source on the field's infrared picture it is, and compare with the "
        "hosts of the labels (needs pip install 'claran[hosts]').")
_define("ir_catalog", Path(), None,
    demo_predict_survey_eval="Table of infrared sources (AllWISE, CatWISE, unWISE, "
        "Legacy Surveys or another one: Parquet, FITS, VOTable, CSV) in which to look "
        "for the host of each source.")
_define("fetch", Choice(("allwise", "catwise", "unwise")), None,
    demo_predict_survey_eval="Public catalog in which to look for the host of each "
        "source; it is fetched for the sky of the radio images (needs pip install "
        "'claran[vo]').")
_define("fetch_cache", Path(), None,
    demo_predict_survey_eval="Folder that keeps what was fetched; default: "
        "~/.cache/claran/catalogs.")
_define("offline", Boolean(), False,
    demo_predict_survey_eval="Use only what --fetch has fetched before.")
_define("beam_options", flags.ListParser(), None,
    prepare="Options of Apache Beam, to make simulated fields with it, such as "
        "--runner=DirectRunner.")
_define("accelerator", Choice(ACCELERATORS), "auto",
    **{NETWORK: "Device for the computations."})
_define("device_index", Integer(0), 0,
    demo_predict_survey_eval="Number of the accelerator, from 0.",
    train="Number of the accelerator, from 0; the training then uses only this one.")
_define("debug", Boolean(), False,
    **{EVERY: "Show where in the code an error was raised."})
# fmt: on
