import re
from pathlib import Path

from claran.photometry.fit_flags import FitFlag
from claran.photometry.source_flags import FLAG_MEANINGS, SourceFlag

CATALOG = Path(__file__).resolve().parents[2] / "docs" / "catalog.md"


def test_the_document_has_all_flags():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", CATALOG.read_text(), re.MULTILINE)
    expected = [(str(int(bit)), FLAG_MEANINGS[bit]) for bit in SourceFlag]
    assert rows[: len(expected)] == expected
    assert [int(bit) for bit, _ in rows[len(expected) :]] == [int(b) for b in FitFlag]
