"""Damaged inputs of every kind, and faults that the fuzzer must find.

`scripts/fuzz.py` tries as many inputs as one likes.
"""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pytest
from astropy.wcs import WCS
from fuzzing import damage, fits_seeds, sense, text_damage, trials, workers
from fuzzing.failures import place_in
from fuzzing.planted_cases import FAULTS

from claran import Field
from claran.catalog.tables import detection_table, sky_columns
from claran.fields.objects import Objects
from claran.sky.images import SkyImage

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SEED = 2019
COUNT = 60  # Each kind has its share.
LIGHT = sorted(trials.KINDS.keys() - {"models"})  # A model takes seconds to make.


@pytest.mark.slow
def test_no_damaged_input_breaks_claran():
    jobs = fuzz.plan(list(fuzz.SHARES), COUNT, 0)
    failed = [
        fuzz.report(SEED, one)
        for one in workers.try_all(SEED, jobs, workers=1)
        if one.failure is not None
    ]
    assert not failed, "\n".join([f"{len(failed)} failures:", *failed])


@pytest.mark.slow
def test_planted_faults_are_found(tmp_path):
    drawn = {trials.make_case(0, "planted", n).how: n for n in range(60)}
    assert set(drawn) == set(FAULTS)
    # What ends its process comes last, as another takes seconds to start.
    last = sorted(drawn, key=("crash", "memory", "hang").__contains__)
    only = ",".join(f"planted:{drawn[fault]}" for fault in last)
    command = [sys.executable, SCRIPTS / "fuzz.py", f"--only={only}", "--seconds=10",
               "--memory_gb=1", f"--keep={tmp_path}"]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert f"{len(FAULTS)} inputs, {len(FAULTS) - 1} failures" in ended.stdout
    kept = {path.name: path for path in tmp_path.iterdir()}
    del drawn["nothing"]
    assert sorted(kept) == sorted(f"planted_0_{number}" for number in drawn.values())
    for fault, number in drawn.items():
        path = kept[f"planted_0_{number}"]
        text = (path / "failure.txt").read_text()
        assert text.startswith(f"{fault} in ")
        assert f"--seed=0 --only=planted:{number}" in text
        assert (path / "input.fits").is_file()


@pytest.mark.parametrize("kind", LIGHT)
def test_inputs_follow_from_their_numbers(kind):
    cases = [trials.make_case(SEED, kind, number) for number in range(20)]
    again = [trials.make_case(SEED, kind, number) for number in range(20)]
    assert cases == again
    assert len({case.note for case in cases}) > (5 if kind == "planted" else 12)
    others = [trials.make_case(SEED + 1, kind, number) for number in range(20)]
    assert cases != others


@pytest.mark.parametrize("name", [*fits_seeds.SEEDS, *fits_seeds.COMPRESSED])
def test_good_images_have_sources(name, tmp_path):
    ending = {True: ".fits.gz", False: ".fits"}[name.startswith("gz")]
    case = sense.Case(
        files={
            f"image{ending}": fits_seeds.fits_seed(name),
            "good.fits": fits_seeds.fits_seed("plain"),
        },
        note="good", how="labels",
    )  # fmt: skip
    assert trials.attempt("fits", case, tmp_path) is None


def test_kinds_are_mixed():
    jobs = list(fuzz.plan(["headers", "models"], 60, 5))
    assert jobs[:3] == [("headers", 5), ("models", 5), ("headers", 6)]
    assert [number for kind, number in jobs if kind == "models"] == [5, 6, 7]
    endless = fuzz.plan(["fits"], None, 0)
    assert [number for _, number in itertools.islice(endless, 45)] == list(range(45))


@pytest.fixture
def field():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ["RA---SIN", "DEC--SIN"], [5, 5]
    wcs.wcs.crval, wcs.wcs.cdelt = [180.0, 30.0], [-0.0005, 0.0005]
    values = np.random.default_rng(0).normal(size=(10, 20)).astype("f4")
    return Field("f", image=SkyImage(values=values, wcs=wcs))


def table_of(field, box=(1.0, 2.0, 5.0, 9.0), score=0.9, **columns):
    boxes = np.array([box], np.float64)
    sky = sky_columns(field.wcs, np.array([[1.0, 2.0, 5.0, 9.0]]))
    sky |= {name: np.array([value]) for name, value in columns.items()}
    return detection_table([field.name], ["1_1"], np.array([score]), boxes, columns=sky)


def test_good_table_passes(field):
    sense.check_table(table_of(field), {"f": field})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"box": (1, 2, 20.5, 9)}, "outside of 20 x 10"),
        ({"box": (-1, 2, 5, 9)}, "outside of 20 x 10"),
        ({"box": (5, 2, 1, 9)}, "reversed"),
        ({"box": (1, 2, 1, 9)}, "without width"),
        ({"box": (1, 2, np.nan, 9)}, "not finite"),
        ({"score": 1.5}, "score of 1.5"),
        ({"score": np.nan}, "not finite"),
        ({"ra": np.nan}, "sky is not finite"),
        ({"height": np.inf}, "sky is not finite"),
        ({"width": -1.0}, "not positive"),
        ({"width": 1e9}, "beyond the sky"),
    ],
)
def test_nonsense_in_tables_is_found(field, changes, message):
    with pytest.raises(sense.Nonsense, match=message):
        sense.check_table(table_of(field, **changes), {"f": field})


def test_rows_of_no_field_and_lost_positions_are_found(field):
    with pytest.raises(sense.Nonsense, match="'f', which is no field"):
        sense.check_table(table_of(field), {})
    table = table_of(field)
    table.remove_columns(["center", "width", "height"])
    with pytest.raises(sense.Nonsense, match="no positions"):
        sense.check_table(table, {"f": field})
    bare = Field("f", image=SkyImage(values=field.image.values))
    with pytest.raises(sense.Nonsense, match="without a WCS"):
        sense.check_table(table_of(field), {"f": bare})


@pytest.mark.parametrize(
    "label, ignored, box, message",
    [
        (7, False, (0, 0, 5, 5), "labels"),
        (0, False, (0, 0, 5, 5), "not ignored"),
        (1, False, (0, 0, 5, 50), "outside"),
    ],
)
def test_nonsense_in_labels_is_found(field, label, ignored, box, message):
    objects = Objects(
        boxes=np.array([box], np.float32), labels=np.array([label], np.int32),
        ignored=np.array([ignored]),
    )  # fmt: skip
    with pytest.raises(sense.Nonsense, match=message):
        sense.check_field(field.replace(objects=objects), 6)


def test_messages_must_name_their_cause(tmp_path):
    case = sense.Case(files={"a/damaged.fits": b""}, note="")
    for message, clear in (
        ("damaged.fits: not a FITS file", True),
        (f"{tmp_path}: no such folder", True),
        ("`wcs` must be celestial", True),
        ("--beam must be positive", True),
        ("cannot broadcast (3,) to (4,)", False),
        (f"damaged.fits: {'x' * sense.LONGEST}", False),
    ):
        assert sense.names_its_cause(message, tmp_path, case) == clear


def test_headers_are_followed_through_a_file():
    data = fits_seeds.fits_seed("many_hdus")
    places = damage.headers(data)
    assert len(places) == 4
    assert [data[start : start + 8] for start, _ in places] == [
        b"SIMPLE  ", b"XTENSION", b"XTENSION", b"XTENSION",
    ]  # fmt: skip
    assert damage.headers(data[:100]) == [(0, 2880)]
    assert damage.headers(b"no FITS") == []
    many = b"NAXIS   =           2147483648"
    assert damage.headers(data.replace(b"NAXIS   =                    0", many))
    negative = data.replace(
        b"NAXIS   =                    2", b"NAXIS   =                    1"
    )
    negative = re.sub(rb"NAXIS1  = +\d+", b"NAXIS1  =                  -99", negative)
    assert len(damage.headers(negative)) >= 2  # It comes to an end.


def test_deep_and_long_values_are_written():
    rng = np.random.default_rng(0)
    texts = [text_damage.damage_json(rng, '{"a": [1, 2]}')[0] for _ in range(200)]
    assert any(b"[" * 20000 in text for text in texts)
    assert any(b"9" * 5000 in text for text in texts)


def test_place_is_the_last_of_claran():
    trace = (
        '  File "/a/claran/sky/images.py", line 7, in _plane\n'
        '  File "/usr/numpy/core.py", line 9, in sum\n'
    )
    assert place_in(trace) == "sky/images.py:7 in _plane"
    assert place_in("") == ""
