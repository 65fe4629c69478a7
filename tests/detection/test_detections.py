import re

import numpy as np
import pytest

from claran.detection.detections import Detections

BOXES = np.array([[0.0, 1.0, 4.0, 6.0], [2.0, 2.0, 9.0, 5.0], [7.0, 0.0, 8.0, 3.0]])


def make(rows=3, **columns):
    return Detections(
        boxes=BOXES[:rows],
        labels=np.array([2, 1, 6])[:rows],
        scores=np.array([0.5, 0.25, 0.125])[:rows],
        columns={name: np.array(values)[:rows] for name, values in columns.items()},
    )


def assert_same(found, expected):
    assert list(found.columns) == list(expected.columns)
    for name in ("boxes", "labels", "scores"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(found[name], column)
        assert found[name].dtype == column.dtype


def test_columns_are_had_by_their_names():
    found = make(ra=[1.5, 2.5, np.nan], host=["a", "bb", ""])
    assert found["host"].tolist() == ["a", "bb", ""]
    assert len(found) == 3 and len(Detections.none()) == 0
    with pytest.raises(KeyError, match="dec"):
        found["dec"]


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, None),
        np.array([1, 2]),
        np.array([False, True, True]),
    ],
    ids=["slice", "numbers", "mask"],
)
def test_rows_keep_all_their_columns(rows):
    found = make(ra=[1.5, 2.5, 3.5])[rows]
    assert found.labels.tolist() == [1, 6] and found.scores.tolist() == [0.25, 0.125]
    np.testing.assert_array_equal(found.boxes, BOXES[1:])
    assert found["ra"].tolist() == [2.5, 3.5]


def test_further_columns_replace_those_of_their_names():
    found = make(ra=[1.0, 2.0, 3.0], field=[1, 2, 3])
    more = found.with_columns(ra=np.zeros(3), dec=np.ones(3))
    assert list(more.columns) == ["ra", "field", "dec"]
    assert more["ra"].tolist() == [0, 0, 0]
    assert found["ra"].tolist() == [1, 2, 3]  # As it was.


def test_concatenated_floats_that_are_missing_are_nan():
    parts = [
        make(2, ra=[1.5, 2.5]),
        make(1),
        make(3, ra=[3.5, 4.5, 5.5], pixel=np.ones((3, 2), np.float32)),
    ]
    found = Detections.concatenate(parts)
    np.testing.assert_array_equal(found["ra"], [1.5, 2.5, np.nan, 3.5, 4.5, 5.5])
    assert found["pixel"].shape == (6, 2) and found["pixel"].dtype == np.float32
    assert np.isnan(found["pixel"][:3]).all() and (found["pixel"][3:] == 1).all()
    assert found.labels.tolist() == [2, 1, 2, 2, 1, 6]


def test_other_columns_may_be_missing_only_where_there_is_no_row():
    first = make(2, host=["a", "longer"])
    found = Detections.concatenate([Detections.none(), first, make(0)])
    assert found["host"].tolist() == ["a", "longer"]
    with pytest.raises(ValueError, match="column 'host' is missing in some of the"):
        Detections.concatenate([first, make(1)])


def test_nothing_concatenated_is_nothing():
    for parts in ([], [Detections.none()] * 2):
        found = Detections.concatenate(parts)
        assert found.boxes.shape == (0, 4) and found.columns == {}
        assert found.labels.dtype == np.int64


@pytest.mark.parametrize("counts", [[3], [1, 0, 2], [0, 3, 0], np.array([2, 1])])
def test_split_undoes_concatenate(counts):
    whole = make(ra=[1.5, 2.5, 3.5], host=["a", "b", "c"])
    parts = whole.split(counts)
    assert [len(part) for part in parts] == list(counts)
    assert_same(Detections.concatenate(parts), whole)
    ends = np.cumsum(counts)
    for part, end in zip(parts, ends, strict=True):
        assert_same(part, whole[end - len(part) : end])


def test_no_part_is_of_nothing():
    assert Detections.none().split([]) == []


def test_arrays_come_back_from_a_file(tmp_path):
    found = make(ra=[1.5, np.nan, 3.5], host=["a", "", "c"], boxes=[1, 2, 3])
    path = tmp_path / "found.npz"
    np.savez(path, **found.to_arrays(), counts=np.array([3]))
    with np.load(path, allow_pickle=False) as arrays:
        assert_same(Detections.from_arrays(arrays), found)


def test_repr_names_the_columns():
    assert repr(make()) == "<Detections: 3 rows of boxes, labels, scores>"
    found = make(ra=[1.0, 2.0, 3.0], dec=[1.0, 2.0, 3.0])
    assert repr(found) == "<Detections: 3 rows of boxes, labels, scores, ra, dec>"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"boxes": BOXES[0]}, "`boxes` must be (n, 4), got (4,)."),
        ({"boxes": BOXES[:, :3]}, "`boxes` must be (n, 4), got (3, 3)."),
        ({"labels": np.ones(2, int)}, "`labels` must be (3,), got (2,)."),
        ({"scores": np.ones((3, 1))}, "`scores` must be (3,), got (3, 1)."),
        (
            {"columns": {"ra": np.ones(4)}},
            "column 'ra' must have 3 rows, got 4.",
        ),
        ({"boxes": BOXES * np.nan}, "`boxes` and `scores` of detections must be"),
        (
            {"scores": np.array([0, np.inf, 1])},
            "`boxes` and `scores` of detections must be finite.",
        ),
    ],
    ids=["one box", "edges", "labels", "scores", "column", "NaN", "infinite"],
)
def test_what_does_not_fit_is_refused(change, message):
    whole = {"boxes": BOXES, "labels": np.ones(3, int), "scores": np.ones(3)}
    with pytest.raises(ValueError, match=re.escape(message)):
        Detections(**(whole | change))


def test_parts_must_be_of_all_rows():
    with pytest.raises(ValueError, match="`counts` must add up to 3 rows, got 2"):
        make().split([1, 1])
