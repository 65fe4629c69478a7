import math

import numpy as np
import pytest

from claran.detection.counting import (
    FAINT,
    FieldIslands,
    count_groups,
    network_threshold,
    recount,
)
from claran.detection.group_members import member_numbers
from claran.detection.groupings import LEAST_REST, MOST, STEPS
from claran.labels import RGZ_CLASSES
from claran.sky.islands import class_code

ISLANDS = FieldIslands(
    np.array([[10.0, 10, 20, 20], [30, 10, 40, 20], [70, 70, 80, 90]]),
    np.array([[1], [3], [2]]),
)
DOUBLE = [9.0, 8, 43, 21]
LEFT = [8.0, 8, 22, 22]


def counted(*given, **options):
    found = recount(*given, **options)
    return found.boxes, found.labels, found.scores


def run(*detections, trust=0.9, islands=ISLANDS):
    """Each detection is a box, a class and a score."""
    boxes, labels, scores = zip(*detections, strict=True) if detections else ((),) * 3
    labels = np.array([RGZ_CLASSES.index(code) + 1 for code in labels], np.int64)
    found = counted(
        np.array(boxes, float).reshape(-1, 4), labels, np.array(scores, float),
        islands, RGZ_CLASSES, trust=trust,
    )  # fmt: skip
    return [
        (box.tolist(), RGZ_CLASSES[label - 1], pytest.approx(score))
        for box, label, score in zip(*found, strict=True)
    ]


def alone(score, islands=2):
    """The probability of a group of islands that no other group has one of."""
    rest = max(1 - score, LEAST_REST)
    as_evidence, as_belief = score / rest**islands, min(score, 1 - LEAST_REST) / rest
    fitted = as_belief * (as_evidence / as_belief) ** (1 / 2**STEPS)
    odds = math.sqrt(as_evidence * fitted)
    return odds / (1 + odds)


def test_box_and_class_are_counted():
    union, score = [10, 10, 40, 20], alone(0.8)
    assert run((DOUBLE, "2_2", 0.8)) == [
        (union, "2_3", 0.9 * score),
        (union, "2_2", 0.1 * score),
    ]
    assert run((DOUBLE, "2_3", 0.8)) == [(union, "2_3", score)]
    assert run((DOUBLE, "2_2", 0.8), trust=1.0) == [(union, "2_3", score)]


def test_classes_have_the_shares_of_the_grids_that_give_them():
    """In one of five grids the first island has two peaks."""
    peaks = np.array([[1, 1, 2, 1, 1], [1, 1, 1, 1, 1], [2, 2, 2, 2, 2]])
    islands = ISLANDS._replace(peaks=peaks)
    union, score = [10, 10, 40, 20], alone(0.8)
    assert run((DOUBLE, "2_2", 0.8), islands=islands) == [
        (union, "2_2", (0.9 * 0.8 + 0.1) * score),
        (union, "2_3", 0.9 * 0.2 * score),
    ]
    # A class that is no name of the model leaves its share to the network.
    boxes, labels = np.array([DOUBLE], float), np.array([1])
    given = boxes, labels, np.array([0.8]), islands, ("2_2", "1_1")
    found = recount(*given, trust=0.9)
    assert found.scores == pytest.approx([score])


def test_a_source_of_unsure_class_is_in_the_catalog():
    """No class of the double has half of its probability; its left lobe has 0.45."""
    peaks = np.array([[1, 1, 1, 2, 2], [1, 1, 1, 1, 1], [2, 2, 2, 2, 2]])
    boxes = np.array([DOUBLE, LEFT], float)
    labels = np.array([RGZ_CLASSES.index(code) + 1 for code in ("2_2", "1_1")])
    found = recount(
        boxes, labels, np.array([0.6, 0.55]), ISLANDS._replace(peaks=peaks),
        RGZ_CLASSES, trust=1.0,
    )  # fmt: skip
    assert found.scores.max() < 0.5 < found.probability.max()
    catalog = found.catalog(0.5)
    assert catalog.boxes.tolist() == [[10, 10, 40, 20]]
    assert RGZ_CLASSES[catalog.labels[0] - 1] == "2_2"
    two = found.boxes[:, 2] == 40
    assert found.scores[two].sum() == pytest.approx(found.probability[two][0])
    # The second class of the double and all of the lobe's are alternatives.
    assert found.alternative.sum() == len(found) - 1


def test_a_network_says_which_islands_are_meant():
    """The box around both outer islands holds the middle one as well."""
    boxes, labels = np.array([[10.0, 10, 80, 90]] * 2), np.array([4, 4])
    members = np.array([[0, 2, -1], [-1, -1, -1]])
    found = count_groups(
        boxes, labels, np.array([0.8, 0.9]), ISLANDS, RGZ_CLASSES, trust=1.0,
        members=members,
    )  # fmt: skip
    assert found.members == ((0, 2),)
    assert found.boxes.tolist() == [[10, 10, 80, 90]]


def test_numbers_of_members():
    masks = np.zeros((3, 32), bool)
    masks[0, [1, 2]] = masks[2, :17] = True
    found = member_numbers(masks, np.arange(20) + 100)
    assert found[0].tolist() == [101, 102, *[-1] * 14]
    assert (found[1:] == -1).all()  # No islands, and more than a column has.


def test_classes_of_the_same_islands_add_up():
    found = run((DOUBLE, "2_2", 0.5), ([9, 9, 41, 22], "2_3", 0.3))
    union, score = [10, 10, 40, 20], alone(0.8)
    assert found[0] == (union, "2_3", score * (0.9 + 0.1 * 3 / 8))
    assert found[1] == (union, "2_2", score * 0.1 * 5 / 8)


def test_no_probability_above_one():
    ((_, _, score),) = run((LEFT, "1_1", 0.9), (LEFT, "1_2", 0.8), trust=1.0)
    assert score == alone(1.0, islands=1)


def test_an_island_is_not_of_two_sources():
    right = [29.0, 9, 41, 21]
    found = run((DOUBLE, "2_3", 0.8), (LEFT, "1_1", 0.9), (right, "1_3", 0.6))
    scores = {tuple(box): score.expected for box, _, score in found}
    double, left, right = (
        scores[box] for box in ((10, 10, 40, 20), (10, 10, 20, 20), (30, 10, 40, 20))
    )
    assert double + left == pytest.approx(1, abs=0.01)
    # As independent evidence the lobes are less probable: both must be sources.
    assert 0.9 * 0.6 / (0.9 * 0.6 + 0.8) < right < left < 0.9 / (0.9 + 0.8)


def test_without_an_island_there_is_no_source():
    assert run(([50, 50, 60, 60], "1_1", 0.9)) == []
    assert run(([10, 10, 10.9, 20], "1_1", 0.9)) == []  # Touches a tenth of one.
    assert run() == []
    nothing = FieldIslands(np.zeros((0, 4)), np.zeros((0, 1), np.int64))
    assert run((LEFT, "1_1", 0.9), islands=nothing) == []


@pytest.mark.parametrize(
    "code, right_edge, islands",
    [
        ("1_1", 34.9, 1),  # Holds the left one; half of the right one is outside.
        ("2_2", 34.9, 2),  # Needs it.
        ("2_2", 30.9, 1),  # But hardly touches it.
        ("1_1", 35.1, 2),  # Holds more than it needs.
    ],
)
def test_a_class_takes_the_islands_it_needs(code, right_edge, islands):
    found = run(([9, 9, right_edge, 21], code, 0.8), trust=1.0)
    assert found[0][1] == {1: "1_1", 2: "2_3"}[islands]


def test_a_class_outside_the_list_keeps_what_the_network_said():
    four = FieldIslands(
        np.array([[10.0 * i, 0, 10 * i + 5, 5] for i in range(4)]),
        np.ones((4, 1), int),
    )
    ((box, code, score),) = run(([0, 0, 40, 10], "3_3", 0.8), islands=four)
    assert (box, code) == ([0, 0, 35, 5], "3_3")
    assert score == alone(0.8, islands=4)


def test_the_threshold_of_the_network():
    assert network_threshold(0.5, 0.9) == FAINT
    assert network_threshold(0.001, 0.9) == 0.001
    assert network_threshold(0.5, 0.0) == 0.5


def dense_held(boxes, islands, components):
    """A table of detections and islands: which each detection holds."""
    low = np.maximum(boxes[:, None, :2], islands[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], islands[None, :, 2:])
    area = (islands[:, 2:] - islands[:, :2]).prod(axis=1)
    part = (high - low).clip(min=0).prod(axis=2) / area
    rank = np.argsort(np.argsort(-part, axis=1, kind="stable"), axis=1)
    return (part > 0.5) | ((rank < components[:, None]) & (part > 0.1))


def dense_clusters(table):
    """Sets of groups that hang together by common islands."""
    clusters = []
    for g, row in enumerate(table):
        members, touched = {g}, row.copy()
        for other in [one for one in clusters if (one[1] & row).any()]:
            clusters.remove(other)
            members, touched = members | other[0], touched | other[1]
        clusters.append((members, touched))
    return [sorted(members) for members, _ in clusters]


def dense_recount(boxes, labels, scores, islands, trust, by_brute_force):
    """The same by tables of everything with everything, for clusters up to `MOST`."""
    components = np.array([int(code[0]) for code in RGZ_CLASSES])
    inside = dense_held(boxes, islands.boxes, components[labels - 1])
    rows = np.flatnonzero(inside.any(axis=1) & (scores > 0))
    table, which = np.unique(inside[rows], axis=0, return_inverse=True)
    shares = np.zeros((len(table), len(RGZ_CLASSES)))
    np.maximum.at(shares, (which, labels[rows] - 1), scores[rows])
    totals = np.minimum(shares.sum(axis=1), 1)
    found = []
    for cluster in dense_clusters(table):
        assert len(cluster) <= MOST
        own = table[cluster][:, table[cluster].any(axis=0)]
        probabilities = by_brute_force(own, totals[cluster])
        for g, probability in zip(cluster, probabilities, strict=True):
            edges = islands.boxes[table[g]]
            box = [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]
            code = class_code(int(table[g].sum()), int(islands.peaks[table[g]].sum()))
            counted = np.array([name == code for name in RGZ_CLASSES])
            own_trust = trust if counted.any() else 0.0
            share = (1 - own_trust) * shares[g] / shares[g].sum() + own_trust * counted
            found += [
                (*box, label + 1, probability * share[label])
                for label in np.flatnonzero(share)
            ]
    return found


@pytest.mark.parametrize("seed", range(12))
def test_against_tables_of_everything_with_everything(seed, by_brute_force):
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 60)
    corners = rng.integers(0, 400, (count, 2)).astype(float)
    # Some islands are a hundred times as long as others.
    sides = np.ceil(10 ** rng.uniform(0.3, 2.3, (count, 2)) / rng.integers(1, 9))
    islands = FieldIslands(
        np.concatenate([corners, corners + sides], axis=1),
        rng.integers(1, 5, (count, 1)),
    )
    picked = rng.integers(0, count, (2, count))
    picked[1, ::2] = picked[0, ::2]  # Detections of one island, or of some two.
    boxes = np.concatenate(
        [
            islands.boxes[picked][..., :2].min(axis=0),
            islands.boxes[picked][..., 2:].max(axis=0),
        ],
        axis=1,
    ) + rng.normal(0, 2, (count, 4))
    small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) < 60
    boxes = np.concatenate([boxes[small], rng.uniform(0, 400, (3, 4))])
    labels = rng.integers(1, len(RGZ_CLASSES) + 1, len(boxes))
    scores = rng.choice([0.0, 0.01, 0.3, 0.9, 1.0], len(boxes)).astype(np.float32)
    given = boxes, labels, scores, islands
    expected = sorted(dense_recount(*given, 0.9, by_brute_force))
    found_boxes, found_labels, found_scores = counted(*given, RGZ_CLASSES, trust=0.9)
    assert (np.diff(found_scores) <= 0).all()
    found = np.column_stack([found_boxes, found_labels, found_scores])
    assert len(found) == len(expected)
    found = np.array(sorted(found.tolist())).reshape(-1, 6)
    expected = np.array(expected).reshape(-1, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def draw(rng, count):
    """Returns islands, and detections of one of them or of some near each other."""
    corners = rng.integers(0, 300, (count, 2)).astype(float)
    islands = FieldIslands(
        np.concatenate([corners, corners + rng.integers(3, 30, (count, 2))], axis=1),
        rng.integers(1, 5, (count, 1)),
    )
    picked = rng.integers(0, count, (2, 3 * count))
    picked[1, ::2] = picked[0, ::2]
    pair = islands.boxes[picked]
    boxes = np.concatenate(
        [pair[..., :2].min(axis=0), pair[..., 2:].max(axis=0)], axis=1
    )
    labels = rng.integers(1, len(RGZ_CLASSES) + 1, len(boxes))
    return boxes, labels, rng.uniform(0.01, 1, len(boxes)), islands


def test_detections_are_searched_in_parts(monkeypatch):
    given = draw(np.random.default_rng(0), 30)
    expected = recount(*given, RGZ_CLASSES, trust=0.9)
    monkeypatch.setattr("claran.detection.held_islands.SEARCHED", 7)
    found = recount(*given, RGZ_CLASSES, trust=0.9)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("seed", range(5))
def test_groups_and_detections_are_of_one_count(seed):
    boxes, labels, scores, islands = draw(np.random.default_rng(seed), 20)
    groups = count_groups(boxes, labels, scores, islands, RGZ_CLASSES, trust=0.9)
    found = recount(boxes, labels, scores, islands, RGZ_CLASSES, trust=0.9)
    assert len(found) == (groups.classes > 0).sum()
    # The catalog is the same: each group with its best class.
    kept = np.flatnonzero(~groups.alternative)
    best = groups.classes[kept].max(axis=1)
    order = np.argsort(-best, kind="stable")
    catalog = found[~found["alternative"]]
    np.testing.assert_array_equal(catalog.scores, best[order])
    np.testing.assert_array_equal(catalog.boxes, groups.boxes[kept[order]])
    np.testing.assert_array_equal(
        catalog.labels, groups.classes[kept[order]].argmax(axis=1) + 1
    )
    probabilities = groups.classes.sum(axis=1)
    assert (probabilities <= 1 + 1e-9).all()
    for members, box in zip(groups.members, groups.boxes, strict=True):
        edges = islands.boxes[list(members)]
        assert box.tolist() == [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]
    # No two of the catalog share an island.
    taken = [island for g in kept for island in groups.members[g]]
    assert len(taken) == len(set(taken))


def test_clusters_counted_at_once_are_as_one_after_the_other(rng):
    # All of them at the same place, so that detections touch islands of others.
    parts = [draw(rng, count) for count in (1, 2, 9, 30, 1, 17)]
    counts = [len(part[3].boxes) for part in parts]
    starts = np.cumsum([0, *counts])
    own = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    islands = FieldIslands(
        *(np.concatenate(a) for a in zip(*(p[3][:2] for p in parts), strict=True))
    )
    boxes, labels, scores = (np.concatenate([p[i] for p in parts]) for i in range(3))
    order = rng.permutation(len(boxes))
    clusters = own[order], np.repeat(np.arange(len(parts)), counts)
    at_once = count_groups(
        boxes[order], labels[order], scores[order], islands, RGZ_CLASSES, trust=0.9,
        clusters=clusters,
    )  # fmt: skip
    places = {members: row for row, members in enumerate(at_once.members)}
    for part, start in zip(parts, starts[:-1].tolist(), strict=True):
        alone = count_groups(*part, RGZ_CLASSES, trust=0.9)
        rows = [places.pop(tuple(i + start for i in one)) for one in alone.members]
        for name in ("boxes", "classes", "alternative"):
            np.testing.assert_array_equal(
                getattr(at_once, name)[rows], getattr(alone, name), err_msg=name
            )
    assert not places


def test_no_groups_without_islands():
    groups = count_groups(
        np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0), ISLANDS, RGZ_CLASSES,
        trust=0.9,
    )  # fmt: skip
    assert groups.members == () and groups.classes.shape == (0, 6)
    assert groups.boxes.shape == (0, 4) and groups.alternative.shape == (0,)
