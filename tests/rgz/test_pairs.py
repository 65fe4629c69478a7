"""Fields of FITS files with a table of boxes."""

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from astropy.io import fits
from astropy.wcs import WCS

from claran.errors import ImageError
from claran_rgz.prepare import prepare


def test_pairs(make, by_name, pairs_folder, tmp_path):
    builder = prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=pairs_folder)
    records = {}
    for split in ("train", "validation", "test"):
        own = by_name(builder, split)
        assert own
        records |= own
    assert set(records) == set(make.names)
    for name, record in records.items():
        objects = record["objects"]
        assert record["radio"].dtype == np.float32
        assert record["radio"][4:9, 10:16].mean() == pytest.approx(0.05, rel=0.01)  # Jy
        assert record["radio"].shape == (30, 40)
        assert record["noise"] == pytest.approx(1e-4, rel=0.2)
        assert record["beam"].tolist() == pytest.approx([5.4, 5.4, 0])
        assert record["pixel_arcsec"] == pytest.approx(1.8)
        assert objects["boxes"].tolist() == [[10, 4, 16, 9]]
        assert (objects["labels"], objects["consensus"]) == ([0], pytest.approx(0.8))
        # FITS counts the center of a pixel as a whole number, an edge as half of one.
        assert objects["component_positions"][0] == pytest.approx([13, 6], abs=1e-3)
        assert np.isnan(objects["host"]).all()
        header = fits.Header.fromstring(record["wcs"].decode(), sep="\n")
        assert WCS(header).wcs.crval[1] == pytest.approx(10 + make.names.index(name))
        assert record["has_infrared"] == (name != make.names[0])
        if record["has_infrared"]:
            assert (record["infrared"][11:16, 10:16, 0] == 200).all()
        else:
            assert record["infrared"].shape == (30, 40, 3)


def test_bad_pairs_are_counted(make, by_name, pairs_folder, tmp_path):
    (pairs_folder / f"fits/{make.names[1]}_radio.fits").unlink()
    (pairs_folder / f"fits/{make.names[2]}_radio.fits").write_bytes(b"x")
    (pairs_folder / f"{make.names[4]}_infrared.png").write_bytes(b"x")
    copy = (pairs_folder / f"fits/{make.names[5]}_radio.fits").read_bytes()
    (pairs_folder / f"fits/{make.names[5]}.fits").write_bytes(copy)
    (pairs_folder / "fits/other.fits").write_bytes(copy)
    with (pairs_folder / "annotations.csv").open("a") as file:
        file.write(f"{make.names[7]},1_1,0.8,1,,,-3,20,20,40\n")
        file.write(f"{make.names[8]},9_9,0.8,1,,,0,0,20,30\n")
        file.write(f"{make.names[10]},1_1,0.8,1,,,50,0,60,30\n")
    builder = prepare("rgz/pairs", data_dir=tmp_path / "d", manual_dir=pairs_folder)
    assert builder.report.counts == {
        "cut by the edge": 1,
        "duplicated image": 1,
        "image without annotation": 1,
        "missing image": 1,
        "outside the image": 1,
        "unknown class": 1,
        "unusable image": 1,
        "unusable infrared image": 1,
    }
    records = {}
    for split in builder.info.splits:
        records |= by_name(builder, split)
    assert set(records) == set(make.names) - {make.names[1], make.names[2]}
    assert records[make.names[7]]["objects"]["boxes"][1].tolist() == [0, 20, 20, 30]
    assert [int(label) for label in records[make.names[8]]["objects"]["labels"]] == [
        0,
        -1,
    ]
    assert records[make.names[8]]["objects"]["ignore"].tolist() == [False, True]
    assert not records[make.names[4]]["has_infrared"]


def test_pairs_with_classes_of_their_own(by_name, pairs_folder, tmp_path):
    table = pairs_folder / "annotations.csv"
    table.write_text(table.read_text().replace(",1_1,", ",FR-II,"))
    builder = prepare(
        "rgz/pairs",
        data_dir=tmp_path,
        manual_dir=pairs_folder,
        classes=["FR-I", "FR-II"],
    )
    folder = tmp_path / "rgz/pairs_fr-i_fr-ii/1.2.0"
    again = tfds.builder_from_directory(folder)
    assert again.info.features["objects"]["labels"].feature.names == ["FR-I", "FR-II"]
    record = next(iter(by_name(builder, "train").values()))
    assert record["objects"]["labels"] == [1]


def test_real_fields_have_their_flux_in_the_boxes(real_data, tmp_path):
    folder = real_data / "rgz_first_dev"
    builder = prepare("rgz/pairs", data_dir=tmp_path, manual_dir=folder, workers=2)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert sum(counts.values()) == 153
    assert set(counts) == {"train", "validation"}
    assert builder.report.counts == {"cut by the edge": 7}
    for record in builder.as_data_source("validation"):
        inside = np.zeros(record["radio"].shape, bool)
        for x0, y0, x1, y1 in record["objects"]["boxes"].astype(int):
            inside[y0:y1, x0:x1] = True
        outside = np.abs(record["radio"][~inside]).mean()
        assert record["radio"][inside].mean() > 2 * outside
        x, y = record["objects"]["component_positions"].astype(int).T
        # The catalog's peaks come from contours: take the brightest pixel nearby.
        around = cv2.dilate(record["radio"], np.ones((5, 5)))
        assert (around[y, x] > 5 * record["noise"]).all()


def test_folder_without_a_table_or_an_image_is_refused(pairs_folder, tmp_path):
    (tmp_path / "no").mkdir()
    (tmp_path / "no/a.fits").write_bytes(b"")
    with pytest.raises(
        ImageError, match=r"annotations\.csv: no such file; write the table"
    ):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=tmp_path / "no")
    (pairs_folder / "annotations.csv").rename(tmp_path / "no/annotations.csv")
    with pytest.raises(
        ImageError, match=r"none of the 24 fields in annotations\.csv has a F"
    ):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=tmp_path / "no")


def test_split_without_a_usable_field_is_refused(pairs_folder, tmp_path):
    for path in (pairs_folder / "fits").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(
        ImageError, match=r"No usable field in train; .* unusable image"
    ):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=pairs_folder)
