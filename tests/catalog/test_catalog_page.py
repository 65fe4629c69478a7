"""docs/catalog.md says of each column and flag what the code does."""

import re
from pathlib import Path

import pytest

from claran.catalog.columns import COLUMNS
from claran.catalog.tables import FORMATS
from claran.photometry.fit_flags import FIT_FLAG_MEANINGS
from claran.photometry.source_flags import FLAG_MEANINGS

PAGE = (Path(__file__).resolve().parents[2] / "docs/catalog.md").read_text()


def section(title):
    """Returns the cells of the rows of the table below a heading."""
    (text,) = re.findall(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns(kind):
    rows = section(kind.capitalize())
    expected = [
        [f"`{one.name}`", one.unit, one.meaning, f"`{one.ucd}`"]
        for one in COLUMNS[kind]
    ]
    if kind == "sources":
        place = [one.name for one in COLUMNS[kind]].index("probability") + 1
        (classes,) = [row for row in rows if row[0].startswith("`p_")]
        expected.insert(place, classes)
        assert classes[3] == "`stat.probability;src.class`"
    assert rows == expected


def test_flags_of_sources():
    expected = [
        [f"`{int(flag)}`", flag.name.lower().replace("_", " "), meaning]
        for flag, meaning in FLAG_MEANINGS.items()
    ]
    assert section("Flags of sources") == expected


def test_flags_of_components():
    expected = [
        [f"`{int(flag)}`", flag.name.lower().replace("_", " "), meaning]
        for flag, meaning in FIT_FLAG_MEANINGS.items()
    ]
    assert section("Flags of components") == expected


def test_formats():
    named = {cell[0].strip("`") for cell in section("Files")}
    assert {ending for ending in FORMATS if ending not in (".csv", ".xml")} <= named
