"""The kind `models`: damaged `.keras` files."""

from pathlib import Path

from claran import Detector, read_field
from fuzzing import tools
from fuzzing.damage import Rng, damage_archive, damage_bytes
from fuzzing.fits_seeds import fits_seed
from fuzzing.sense import Case, check_table
from fuzzing.text_damage import damage_json


def make_models(rng: Rng) -> Case:
    """Returns a model with damage to the file or to a member."""
    if rng.random() < 0.2:
        data, note = damage_bytes(rng, tools.model_bytes())
    else:
        data, note = damage_archive(rng, tools.model_bytes(), damage_json)
    files = {"damaged.keras": data, "good.fits": fits_seed("plain")}
    return Case(files=files, note=note)


def try_model(case: Case, folder: Path) -> None:
    """Loads a model and, if that works, detects with it."""
    tools.write(dict(case.files), folder)
    detector = Detector.from_preset(folder / "damaged.keras")
    field = read_field(folder / "good.fits")
    check_table(detector.detect(field, score_threshold=0.0), {field.name: field})
