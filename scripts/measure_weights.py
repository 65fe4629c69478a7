"""Measures a model on all that weights are judged by, as one table in Markdown.

    python scripts/measure_weights.py                      # the shipped weights
    python scripts/measure_weights.py --model=NEW.keras --average --only=real,pairs

Sections: `real` (labeled FIRST cutouts), `simulated` (FIRST, and other surveys with
seeds of their own), `pairs` (unrelated compact sources on the Galactic plane), `double`
(a wide double in fields of 8' and 11'), `sidelobes` (false sources around bright ones)
and `speed`. Real images are looked for in `$CLARAN_SHARED/data`; where they are not,
their sections are left out with a note. Intervals hold 95% of bootstrap resamples of
the fields.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags
from astropy.coordinates import SkyCoord
from tqdm.auto import tqdm

import claran
from claran import accelerator
from claran.data.sources import open_source
from claran.detection.counting import GROUP
from claran.detection.detections import Detections
from claran.detection.detector import Detector
from claran.detection.field_results import PreparedField
from claran.detection.prediction import predict_files
from claran.evaluation.bootstrap import Estimate, resamples
from claran.evaluation.metrics import EvaluationOptions
from claran.evaluation.results import Evaluation
from claran.evaluation.running import evaluate_detector
from claran.fields.field import Field
from claran.labels import display_name
from claran.simulation import source_drawing
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.simulated_field import observe, simulate
from claran.simulation.simulated_files import write_field
from claran.sky.images import SkyImage

FLAGS = flags.FLAGS

CATALOG = 0.5
OTHERS = ("vlass", "racs", "emu", "lotss", "meerkat")
# Those of `--mode=eval` for FIRST; of other surveys seeds that nothing else has.
SEED, OTHER_SEED, BRIGHT_SEED = 2**32, 2**32 + 1300, 2**32 + 1400
FAINTEST, BRIGHTEST = 300.0, 3000.0  # Sigma.
MOST_OF_NONE = 3.0  # With 95%, if none was seen.
TIMED, ROUNDS = 200, 3
DRAWS = 1000  # Of resampled fields, and of hits by chance.

# Right ascension and declination of compact islands, degrees, in
# scorpio_atca_mosaic/ScorpioExtendedSourceField.fits. At commit 741d48c each pair was
# one 2C_2P, with scores of 0.89 to 0.96. Nothing is between or around them.
PAIRS = (
    ((257.2785, -43.0390), (257.3174, -43.0438)),
    ((256.8722, -43.2395), (256.8940, -43.2634)),
    ((257.0075, -43.3280), (256.9765, -43.3366)),
)
DOUBLE = SkyCoord("15h12m27.2s +45d40m26s")
SAME_ARCSEC = 10.0
DOUBLE_ARCSEC = 100.0  # Sources this close to it are the double, or parts of it.


class Row(NamedTuple):
    """A line of the table."""

    measure: str
    value: str


def main(arguments: list[str]) -> None:
    """Prints the table."""
    if arguments[1:]:
        raise app.UsageError(f"unexpected argument {arguments[1]!r}.")
    unknown = set(FLAGS.only) - SECTIONS.keys()
    if unknown:
        raise app.UsageError(
            f"--only={','.join(FLAGS.only)}: {', '.join(sorted(unknown))} is none of "
            f"{', '.join(SECTIONS)}."
        )
    accelerator.use_accelerator()
    detector = Detector.from_preset(FLAGS.model, average=FLAGS.average)
    averaged = ", averaged" if FLAGS.average else ""
    rows = []
    for name in FLAGS.only or SECTIONS:
        rows += list(SECTIONS[name](detector))
    print(f"| measure | {Path(FLAGS.model).stem}{averaged} |\n|---|---|")  # noqa: T201
    for row in rows:
        print(f"| {row.measure} | {row.value} |")  # noqa: T201


def measure_real(detector: Detector) -> Iterator[Row]:
    """Yields AP, association and calibration on labeled cutouts of FIRST."""
    folder = shared("rgz_first_dev")
    if folder is not None:
        names = detector.model.class_names
        source = open_source(folder, "all", class_names=names)
        yield from described("FIRST, real", evaluated(detector, source))


def measure_simulated(detector: Detector) -> Iterator[Row]:
    """Yields the same on simulated fields of FIRST and of other surveys."""
    first = SimulatedFields(FLAGS.fields, seed=SEED, **SIMULATED["simulated/first"])
    every = [evaluated(detector, first)]
    yield from described("FIRST, simulated", every[0])
    for number, name in enumerate(OTHERS):
        source = SimulatedFields(
            FLAGS.fields // 2,
            seed=OTHER_SEED + number,
            **SIMULATED[f"simulated/{name}"],
        )
        every.append(evaluated(detector, source))
        yield from described(f"{name}, simulated", every[-1])
    yield Row("all simulated: calibration error", calibration_error(every))


def evaluated(detector: Detector, source: Any) -> Evaluation:
    """Returns the evaluation of a detector on some fields."""
    options = EvaluationOptions(score_threshold=CATALOG)
    return evaluate_detector(detector.engine, source, options=options, tell=told)


def described(name: str, found: Evaluation) -> Iterator[Row]:
    """Yields the rows of an evaluation."""
    count = sum(one.sources >= found.options["min_sources"] for one in found.classes)
    yield Row(f"{name}: AP50, {count} classes", said(found.mean_common))
    for which, share in found.associated.items():
        yield Row(f"{name}: association, {which}", said(share))
    yield Row(f"{name}: calibration error", calibration_error([found]))


def calibration_error(evaluations: Sequence[Evaluation]) -> str:
    """Returns the expected calibration error with its interval, and that of chance.

    The latter is what probabilities that are right would have on so few detections.
    """
    scores, hits, fields = counted(evaluations)
    bins = len(evaluations[0].calibration.counts)
    place = np.clip(scores * bins, 0, bins - 1).astype(int)

    def error(hits: np.ndarray, weights: np.ndarray) -> float:
        gaps = np.bincount(place, weights * (scores - hits), bins)
        return float(np.abs(gaps).sum() / max(weights.sum(), 1))

    once = np.ones(len(scores))
    drawn = resamples(sum(one.fields for one in evaluations), count=DRAWS)
    spread = [error(hits, weights) for weights in drawn[:, fields]]
    rng = np.random.default_rng(0)
    right = [error(rng.random(len(scores)) < scores, once) for _ in range(DRAWS)]
    estimate = Estimate.of(error(hits, once), np.array(spread))
    return f"{said(estimate)}; by chance {np.mean(right):.3f}"


def counted(evaluations: Sequence[Evaluation]) -> tuple[np.ndarray, ...]:
    """Returns scores, hits and fields of all detections that are not ignored."""
    scores, hits, fields, before = [], [], [], 0
    for evaluation in evaluations:
        for one in evaluation.matches:
            kept = ~one.ignored[0]
            scores.append(one.scores[kept])
            hits.append(one.hits[0][kept])
            fields.append(one.fields[kept] + before)
        before += evaluation.fields
    return tuple(np.concatenate(column) for column in (scores, hits, fields))


def measure_pairs(detector: Detector) -> Iterator[Row]:
    """Yields whether unrelated compact sources are joined, and how probably."""
    folder = shared("scorpio_atca_mosaic")
    if folder is None:
        return
    field = claran.read_field(folder / "ScorpioExtendedSourceField.fits")
    found = groups(detector, field)
    for pair in PAIRS:
        sky: Any = SkyCoord(pair, unit="deg")
        islands = [island_at(field, position) for position in sky]
        both = [set(islands) <= set(group.islands.tolist()) for group in found[GROUP]]
        joined = found[np.array(both, bool) & (min(islands) >= 0)]
        chance = f"{joined.probability.max(initial=0):.2f} to be in one source"
        is_joined = joined.in_catalog(CATALOG).any()
        separation = sky[0].separation(sky[1]).arcsec
        yield Row(
            f'compact pair {separation:.0f}" apart',
            f"{'joined' if is_joined else 'apart'} ({chance})",
        )


def measure_double(detector: Detector) -> Iterator[Row]:
    """Yields the sources that a wide double is seen as."""
    folder = shared("first_wise_pairs")
    if folder is None:
        return
    for side in (8, 11):
        field = claran.read_field(folder / f"FIRSTJ151227.2+454026_{side}.fits")
        found = groups(detector, field)
        found = found[found.in_catalog(CATALOG)]
        sky = middles(field, found.boxes)
        near = sky.separation(DOUBLE).arcsec < DOUBLE_ARCSEC
        words = [
            f"{display_name(code)} {score:.2f} ({len(group.islands)} islands)"
            for code, score, group in zip(
                detector.codes(found[near]), found.scores[near], found[GROUP][near],
                strict=True,
            )
        ]  # fmt: skip
        yield Row(f"wide double in {side}'", ", ".join(words) or "nothing")


def measure_sidelobes(detector: Detector) -> Iterator[Row]:
    """Yields the mean number of false sources around a bright one, by survey.

    It also gives the mean number of islands other than that of the bright source: so
    many false sources there would be if every island were taken for one.
    """
    for number, name in enumerate(("first", *OTHERS)):
        surveys = SIMULATED[f"simulated/{name}"]["surveys"]
        fields = [
            bright_field(BRIGHT_SEED + number, i, surveys[i % len(surveys)])
            for i in range(FLAGS.bright)
        ]
        found = list(detector.engine.detect(fields, score_threshold=CATALOG))
        counts = np.array(
            [away(one.item, one.detections.catalog().boxes) for one in found]
        )
        islands = np.mean([away(one.item, one.item.islands.boxes) for one in found])
        drawn = resamples(len(counts))
        estimate = Estimate.of(counts.mean(), drawn @ counts / len(counts))
        if not counts.any():  # Then so are all resamples.
            estimate = Estimate(0.0, 0.0, MOST_OF_NONE / len(counts))
        yield Row(
            f"{name}: false sources above {CATALOG:g} around one of {FAINTEST:g} to "
            f"{BRIGHTEST:g} sigma",
            f"{said(estimate)}, of {islands:.2f} islands",
        )


def bright_field(seed: int, number: int, survey: SimulatedSurvey) -> Field:
    """Returns a field with one bright compact source in its middle."""
    rng = np.random.default_rng([seed, number])
    sigma = survey.noise_jy
    peak = sigma * np.exp(rng.uniform(np.log(FAINTEST), np.log(BRIGHTEST)))
    source = source_drawing.draw_source(rng, "compact", survey, peak=peak)
    made = observe(rng, [source], sigma=sigma, survey=survey)
    image = SkyImage(
        values=made.radio, pixel_arcsec=survey.pixel_arcsec, beam=survey.beam,
        unit="Jy/beam",
    )  # fmt: skip
    return Field(f"bright {number}", image=image)


def away(field: Field, boxes: np.ndarray) -> int:
    """Returns how many boxes do not hold the middle of the field."""
    middle = np.array(field.shape[::-1]) / 2
    held = (boxes[:, :2] <= middle) & (middle < boxes[:, 2:])
    return int((~held.all(axis=1)).sum())


def measure_speed(detector: Detector) -> Iterator[Row]:
    """Yields fields a CPU second from files to table, in turns with claran_first."""
    own = Detector.from_preset("claran_first")
    rates: dict[str, list[float]] = {"own": [], "given": []}
    with tempfile.TemporaryDirectory() as folder:
        survey = SIMULATED["simulated/first"]["surveys"][1]
        paths = [
            write_field(
                simulate(np.random.default_rng([SEED, i]), survey=survey),
                Path(folder), f"f{i}",
            )[0]
            for i in range(TIMED)
        ]  # fmt: skip
        for turn in range(ROUNDS + 1):  # The first one compiles.
            for name, one in (("own", own), ("given", detector)):
                start = time.process_time()
                predict_files(one, paths, Path(folder, "t.ecsv"), tell=told)
                if turn:
                    rates[name].append(TIMED / (time.process_time() - start))
    given, first = (statistics.median(rates[name]) for name in ("given", "own"))
    yield Row("predict, fields a CPU second, start left out", f"{given:.1f}")
    yield Row("the same over that of claran_first", f"{given / first:.2f}")


def groups(detector: Detector, field: Field) -> Detections:
    """Returns all groups of islands in a field, each with its `GROUP`."""
    engine = detector.engine
    ((_, prepared, outputs),) = engine.network_outputs([field])
    assert isinstance(prepared, PreparedField)  # noqa: S101 - errors are raised.
    lowest = detector.model.finisher.lowest_score
    return engine.finish(prepared, outputs, score_threshold=lowest)


def island_at(field: Field, position: SkyCoord) -> int:
    """Returns the number of the island at a place; -1 if there is none."""
    separation = middles(field, field.islands.boxes).separation(position).arcsec
    nearest = int(separation.argmin())
    return nearest if separation[nearest] < SAME_ARCSEC else -1


def middles(field: Field, boxes: np.ndarray) -> Any:
    """Returns the positions of the middles of boxes on the sky."""
    wcs: Any = field.wcs
    return wcs.pixel_to_world(*((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5).T)


def shared(name: str) -> Path | None:
    """Returns a folder of real images; None, with a note, where it is not."""
    root = os.environ.get("CLARAN_SHARED")
    folder = Path(root or ".", "data", name)
    if root and folder.is_dir():
        return folder
    told(f"Left out: there is no {name} in $CLARAN_SHARED/data.")
    return None


def told(line: str) -> None:
    """Prints a line beside the table."""
    tqdm.write(line, file=sys.stderr)


def said(estimate: Estimate) -> str:
    """Returns a value with its interval."""
    value, _, interval = str(estimate).partition("  ")
    return f"{value} ({interval})" if interval else value


SECTIONS = {
    "real": measure_real, "simulated": measure_simulated, "pairs": measure_pairs,
    "double": measure_double, "sidelobes": measure_sidelobes, "speed": measure_speed,
}  # fmt: skip

if __name__ == "__main__":
    flags.DEFINE_string("model", "claran_v1", "Preset or .keras file.")
    flags.DEFINE_bool("average", False, "Average over the eight symmetries.")
    flags.DEFINE_list("only", [], f"Sections, with commas: {', '.join(SECTIONS)}.")
    flags.DEFINE_integer("fields", 1000, "Simulated fields of FIRST; half of others.")
    flags.DEFINE_integer("bright", 100, "Bright sources of each survey.")
    app.run(main)
