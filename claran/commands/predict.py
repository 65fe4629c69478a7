r"""The modes demo and predict: detections as a picture and a table.

One field, with a picture and a table of what is in it:
  python -m claran.main --mode=demo --radio=F.fits --ir=I.png --output=DIR

Many fields, or ready-made pictures, into one table:
  python -m claran.main --mode=predict --radio='fields/*.fits' --ir=infrared/ \
      --output=catalog.ecsv
  python -m claran.main --mode=predict --image='pictures/*.png' \
      --model=model.keras --output=DIR

Killed, the same command goes on from what OUTPUT.unfinished holds, unless a file or a
setting changed; that folder goes when the table is there.
"""

import hashlib
import json
import os
import secrets
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from tqdm.auto import tqdm

from claran import examples, plotting
from claran.catalog.tables import (
    detection_table,
    format_table,
    table_format,
    write_table,
)
from claran.commands.common import UsageError, say
from claran.commands.model_flags import batch_size, catalog_score, load_detector
from claran.detection.detector import Detector, with_beam
from claran.errors import ImageError
from claran.fields.preprocessing import NetworkInput
from claran.io.paths import (
    FITS_ENDINGS,
    PICTURE_ENDINGS,
    expand,
    pair_infrared,
    table_names,
)
from claran.io.resuming import UnfinishedTable, code_fingerprint
from claran.models.presets import PRESETS, preset_weights
from claran.sky.images import SkyImage, read_picture, read_sky_image

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
flags.DEFINE_float(
    "beam",
    None,
    "Full width at half maximum of the radio beam, arcsec, in place of the headers'. A "
    "file without either is taken for FIRST's, 5.4.",
)
FLAGS = flags.FLAGS

SKIPPED, NO_BEAM = "skipped", "no beam"  # What is noted of a file.


def demo() -> None:
    """Detects in one field; writes the picture and the table, prints the table."""
    if FLAGS.image and (FLAGS.radio or FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    if FLAGS.ir and not FLAGS.radio:
        raise UsageError("--ir needs --radio, the same field's.")
    detector = load_detector()
    threshold = catalog_score(detector.model)
    if FLAGS.score_threshold is None and not detector.trained:
        threshold = 0.0  # Random weights give every class some 1/7: show them all.
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
        example = Path(examples.__file__).parent
        path = _single("radio") if FLAGS.radio else example / "simulated_radio.fits"
        infrared = _single("ir") if FLAGS.ir else None
        if not FLAGS.radio and infrared is None:
            infrared = example / "simulated_infrared.png"
        _check_infrared(detector, infrared)
        field = _read(path)
        table = detector.detect(field, infrared, score_threshold=threshold)
        figure = detector.plot(field, infrared, table)
        _say_beams(detector, [path.name] if field.beam is None else [])
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
    say(f"{len(table)} found with a score above {threshold:g} in {path.name}.")
    say(f"Picture: {picture_path}")
    say(f"Table:   {table_path}")


def predict() -> None:
    """Detects in many fields or pictures; writes one table."""
    if bool(FLAGS.image) == bool(FLAGS.radio) or (FLAGS.image and FLAGS.ir):
        raise UsageError("Give either --radio (and --ir) or --image.")
    radio = [] if FLAGS.image else expand(FLAGS.radio, FITS_ENDINGS)
    paths = radio or expand(FLAGS.image, PICTURE_ENDINGS)
    infrared = pair_infrared(radio, expand(FLAGS.ir, None)) if FLAGS.ir else {}
    output = _table_path()
    detector = load_detector()
    if radio:
        _check_infrared(detector, infrared)
    threshold = 0.05 if FLAGS.score_threshold is None else FLAGS.score_threshold
    unfinished = UnfinishedTable(
        output.with_name(f"{output.name}.unfinished"),
        _decisive(threshold, [*paths, *infrared.values()]),
        tell=say,
    )
    if unfinished.done:
        say(f"Goes on: {unfinished.done} of {len(paths)} files are done.")
    _detect(detector, paths, infrared, unfinished, threshold)
    skipped = unfinished.said(SKIPPED)
    if len(skipped) == len(paths):
        unfinished.remove()
        raise ImageError(
            f"None of {len(skipped)} files could be used (see above); wrote nothing."
        )
    table = unfinished.table()
    write_table(table, output)
    unfinished.remove()
    _say_beams(detector, unfinished.said(NO_BEAM))
    say(f"{len(table)} detections in {len(paths) - len(skipped)} fields: {output}")
    if skipped:
        others = f" and {len(skipped) - 1} others" if len(skipped) > 1 else ""
        raise ImageError(
            f"{len(skipped)} of {len(paths)} files could not be used: {skipped[0]}"
            f"{others}; the table has the rest."
        )


def _detect(
    detector: Detector,
    paths: Sequence[Path],
    infrared: Mapping[Path, Path],
    unfinished: UnfinishedTable,
    threshold: float,
) -> None:
    """Detects in the files that are not done yet; what cannot be used is skipped."""
    names = table_names(paths)
    # Only of the batch under way: a survey does not fit into memory. Without an input
    # where a file is skipped.
    fields: deque[tuple[str, SkyImage | None, NetworkInput | None]] = deque()

    def inputs() -> Iterator[NetworkInput]:
        done = unfinished.done
        for path in tqdm(
            paths[done:], "Detecting", len(paths), initial=done, unit="field",
            disable=None,
        ):  # fmt: skip
            field = None
            try:
                if FLAGS.image:
                    seen = detector.look_at_picture(read_picture(path))
                else:
                    field = _read(path, names[path])
                    seen = detector.look(field, infrared.get(path))
            except ImageError as error:
                tqdm.write(f"Skipped: {error}", file=sys.stderr)
                fields.append((names[path], None, None))
                continue
            fields.append((names[path], field, seen))
            yield seen

    def note_skipped() -> None:
        while fields and fields[0][2] is None:
            unfinished.add(None, (SKIPPED, fields.popleft()[0]))

    first = threshold if FLAGS.image else detector.network_threshold(threshold)
    for found in detector.detect_inputs(
        inputs(), score_threshold=first, batch_size=batch_size()
    ):
        note_skipped()
        name, field, seen = fields.popleft()
        if field is None or seen is None:
            labels = detector.names(found)
            unfinished.add(detection_table(name, labels, found.scores, found.boxes))
            continue
        table = detector.field_table(field, seen, found, score_threshold=threshold)
        unfinished.add(table, *[(NO_BEAM, name)] * (field.beam is None))
    note_skipped()


def _decisive(threshold: float, paths: Sequence[Path]) -> dict[str, Any]:
    """Returns all that decides what is found, by the name that a user knows it by."""
    files = [(path, path.stat()) for path in paths]
    states = [[str(path), now.st_size, now.st_mtime_ns] for path, now in files]
    return {
        "model": _model_state(),
        "--nms_threshold": FLAGS.nms_threshold,
        "--rpn_nms_threshold": FLAGS.rpn_nms_threshold,
        "list of files": hashlib.sha256(json.dumps(states).encode()).hexdigest(),
        "--score_threshold": threshold,
        "--beam": FLAGS.beam,
        "device": jax.devices()[0].device_kind,
        "version of claran": code_fingerprint(),
    }


def _model_state() -> str:
    # Of the file: for a model's settings Keras imports TensorFlow, which takes seconds.
    path = Path(FLAGS.model)
    if FLAGS.model in PRESETS:
        path = preset_weights(FLAGS.model)
    if path is None:
        return secrets.token_hex()  # Random weights are never the same.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, name: str | None = None) -> SkyImage:
    return with_beam(read_sky_image(path, name=name), FLAGS.beam)


def _say_beams(detector: Detector, names: list[str]) -> None:
    """Says which files were taken for FIRST's."""
    if names and detector.model.beam is not None:
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        say(
            f"Note: no beam (BMAJ, BMIN) in {names[0]}{others}: took FIRST's, 5.4 "
            "arcsec; --beam says otherwise."
        )


def _single(name: str) -> Path:
    paths = FLAGS[name].value or []
    if len(paths) != 1:
        raise UsageError(f"--mode=demo takes one --{name}, got {len(paths)}.")
    return Path(paths[0])


def _check_infrared(detector: Detector, infrared: object) -> None:
    if detector.model.fusion in ("D3", "D4") and not infrared:
        raise UsageError(
            f"{FLAGS.model} looks at radio and infrared ({detector.model.fusion}): "
            "give --ir."
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
