"""The command's modes that make data: simulate, prepare, preview."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table


def test_simulated_fields_are_a_data_set(claran, tmp_path):
    status, printed, _ = claran("--mode=simulate", "--num=12", "--output=fields")
    assert status == 0
    assert "12 fields" in printed
    assert len(list((tmp_path / "fields").glob("*_radio.fits"))) == 12
    table = Table.read(tmp_path / "fields" / "annotations.csv")
    assert set(table["first_id"]) <= {f"SIM{i:07d}" for i in range(12)}

    status, printed, _ = claran(
        "--mode=prepare", "--data=rgz/pairs", "--manual_dir=fields", "--data_dir=sets",
        "--workers=0",
    )  # fmt: skip
    assert status == 0
    counts = [
        int(word.rstrip(",")) for word in printed.split() if word.strip(",").isdigit()
    ]
    assert sum(counts) == 12

    status, printed, _ = claran(
        "--mode=preview", "--data=rgz/pairs", "--data_dir=sets", "--pages=1",
        "--inputs=D4", "--output=pages",
    )  # fmt: skip
    assert status == 0
    page = cv2.imread(str(tmp_path / "pages" / "batch_0000.png"))
    assert page.std() > 10


def test_preview_of_own_files_and_of_pictures(claran, tmp_path):
    claran("--mode=simulate", "--num=3", "--output=fields")
    status, printed, _ = claran(
        "--mode=preview", "--data=fields", "--split=all", "--pages=1",
    )  # fmt: skip
    assert status == 0
    assert printed.startswith("fields: 3 fields (all); 1_1, 1_2")
    assert cv2.imread(str(tmp_path / "preview/batch_0000.png")).std() > 10

    picture = np.zeros((40, 40, 3), np.uint8)
    picture[5:15, 10:30] = 255
    cv2.imwrite("fields/bent.png", picture)
    Path("bent.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "bent.png"}, {"id": 2}],
                "categories": [{"id": 1, "name": "bent tail"}],
                "annotations": [
                    {"image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10]}
                ],
            }
        )
    )
    arguments = ("--mode=preview", "--data=bent.json", "--split=all", "--pages=1")
    status, printed, _ = claran(*arguments, "--output=bent")
    assert status == 0
    assert "bent.json: 1 fields (all); bent tail" in printed
    assert "1 malformed (image" in printed
    assert (tmp_path / "bent/batch_0000.png").is_file()
    status, _, complaint = claran(*arguments, "--inputs=D4")
    assert status == 1
    assert "bent.json has only pictures; give --inputs=picture" in complaint


def test_a_seed_gives_the_same_fields(claran, tmp_path):
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        claran("--mode=simulate", "--num=1", f"--seed={seed}", f"--output={folder}")
    a, b, c = (
        fits.getdata(tmp_path / name / "SIM0000000_radio.fits") for name in "abc"
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_balanced_population(claran, tmp_path):
    claran("--mode=simulate", "--num=40", "--population=balanced", "--output=balanced")
    claran("--mode=simulate", "--num=40", "--output=catalogue")
    single = [
        np.mean(Table.read(tmp_path / name / "annotations.csv")["cls"] == "1_1")
        for name in ("balanced", "catalogue")
    ]
    assert single[0] < single[1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--mode=prepare"], "Give --data, such as rgz/pairs"),
        (["--mode=preview"], "Give --data, such as rgz/pairs"),
        (
            ["--mode=prepare", "--data=rgz/d9", "--data_dir=sets"],
            "There is no data set 'rgz/d9'",
        ),
        (["--mode=preview", "--data=lost"], "--data=lost: no such file or folder"),
        (
            ["--mode=prepare", "--data=rgz/pairs", "--manual_dir=nowhere"],
            "--manual_dir nowhere: no such folder.",
        ),
    ],
    ids=["no-data", "no-data-preview", "unknown", "lost", "no-folder"],
)
def test_errors(claran, arguments, message):
    status, _, complaint = claran(*arguments)
    assert status == 1
    assert complaint.startswith("claran: ")
    assert message in complaint
