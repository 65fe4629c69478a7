from pathlib import Path

import pytest

from claran.errors import ImageError
from claran.io.paths import expand, pair_infrared

FITS = (".fits", ".fits.gz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with some files in `fields`."""
    (tmp_path / "fields" / "deep").mkdir(parents=True)
    names = ("b.fits", "a.FITS", "c.fits.gz", "notes.txt", "d.png", "deep/e.fits")
    for name in names:
        (tmp_path / "fields" / name).touch()
    (tmp_path / "odd[1].fits").touch()
    (tmp_path / "list.txt").write_text("fields/d.png\n\n  odd[1].fits\n@more.txt\n")
    (tmp_path / "more.txt").write_text("fields/b*\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "names, endings, expected",
    [
        pytest.param(["fields/d.png"], FITS, ["fields/d.png"], id="file"),
        pytest.param(
            ["fields"],
            FITS,
            ["fields/a.FITS", "fields/b.fits", "fields/c.fits.gz"],
            id="folder",
        ),
        pytest.param(
            ["fields/"],
            None,
            ["fields/a.FITS", "fields/b.fits", "fields/c.fits.gz", "fields/d.png"],
            id="any-ending",
        ),
        pytest.param(
            ["fields/[bd]*"], FITS, ["fields/b.fits", "fields/d.png"], id="pattern"
        ),
        pytest.param(
            ["fields/**/*.fits"],
            FITS,
            ["fields/b.fits", "fields/deep/e.fits"],
            id="deep-pattern",
        ),
        pytest.param(["odd[1].fits"], FITS, ["odd[1].fits"], id="brackets-in-a-name"),
        pytest.param(
            ["@list.txt"],
            FITS,
            ["fields/d.png", "odd[1].fits", "fields/b.fits"],
            id="list",
        ),
        pytest.param(
            ["fields/d.png", "fields/b.fits"],
            FITS,
            ["fields/d.png", "fields/b.fits"],
            id="order-given",
        ),
        pytest.param([], FITS, [], id="nothing"),
    ],
)
def test_expand(folder, names, endings, expected):
    assert expand(names, endings) == [Path(name) for name in expected]


@pytest.mark.parametrize(
    "name, message",
    [
        pytest.param("x.fits", r"^x\.fits: no such file; check the path\.", id="file"),
        pytest.param("x*.fits", r"^x\*\.fits: no such file", id="pattern"),
        pytest.param("field[s]", r"^field\[s\]: no such file", id="only-a-folder"),
        pytest.param("fields/deep", r"^fields/deep: no \.jpg in this", id="folder"),
        pytest.param("@x.txt", r"^x\.txt: cannot be read .*No such file", id="list"),
        pytest.param("@binary.txt", r"^binary\.txt: cannot be read", id="binary-list"),
        pytest.param("@empty.txt", r"^empty\.txt: is empty; write", id="empty-list"),
    ],
)
def test_names_that_stand_for_no_file(folder, name, message):
    with pytest.raises(ImageError, match=message):
        expand([name], (".jpg",))


def paths(*names):
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    "radio, infrared",
    [
        pytest.param(["r/x.fits"], ["i/y.png"], id="one-and-one"),
        pytest.param(["r/x.fits", "r/y.fits"], ["i/x.png", "i/y.png"], id="same-names"),
        pytest.param(["x.fits", "y.fits"], ["x_infrared.png", "y_ir.png"], id="kinds"),
        pytest.param(
            ["x_radio.fits.gz", "y_radio.fits"],
            ["x_W1.fits", "y-wise.JPEG"],
            id="endings",
        ),
        pytest.param(
            ["J1.5+2.fits", "J1.5+3.fits"], ["J1.5+2.png", "J1.5+3.png"], id="dots"
        ),
        pytest.param(["x.fts", "y.fits.fz"], ["x.tiff", "y.jpeg"], id="rare-endings"),
        pytest.param(["spw1.fits", "x.fits"], ["spw1_w1.fits", "x.png"], id="w1"),
        pytest.param([], ["x.png"], id="none"),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["in-order", "turned"])
def test_pair_infrared(radio, infrared, turned):
    order = -1 if turned else 1
    found = pair_infrared(paths(*radio), paths(*infrared[::order]))
    assert found == dict(zip(paths(*radio), paths(*infrared), strict=False))


@pytest.mark.parametrize(
    "infrared, message",
    [
        pytest.param(
            ["a.png", "c.png"],
            r"^r/b\.fits: no file among .* name it b_infrared\.png",
            id="missing",
        ),
        pytest.param(
            ["a.png", "b.png", "b_w1.fits"], r"^r/b\.fits: 2 files among", id="two"
        ),
        pytest.param([], r"^r/a\.fits: no file among", id="none"),
    ],
)
def test_infrared_that_does_not_fit(infrared, message):
    with pytest.raises(ImageError, match=message):
        pair_infrared(paths("r/a.fits", "r/b.fits"), paths(*infrared))
